"""The server inside a workspace: its page, its terminals, and its conversations with Claude Code."""

__version__ = "0.1.0"
