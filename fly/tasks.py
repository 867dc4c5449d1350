"""What an operator types about workspaces."""
