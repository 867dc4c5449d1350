"""Her files: what lies in the workspace, and everything the page may do with it."""
