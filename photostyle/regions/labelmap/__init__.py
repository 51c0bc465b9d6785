"""Label maps that somebody painted: from the colours of a file to labels."""
