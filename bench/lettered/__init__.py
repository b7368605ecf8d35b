"""Pictures of words that are known, and how well they are read."""
