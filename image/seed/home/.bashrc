# Yours: what you write here comes after the workspace's own settings (/etc/bash.bashrc).
