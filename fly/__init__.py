"""How a workspace is made, watched, changed and unmade."""
