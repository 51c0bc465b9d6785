"""Options: every option of every piece of work, with its default, its bounds and its checks."""
