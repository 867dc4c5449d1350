"""The server inside a workspace: the page, its settings, its terminals and its conversations with Claude Code."""

__version__ = "0.1.0"
