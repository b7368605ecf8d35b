"""What finds words in pictures, a file each; ``opening.py`` opens one by its settings."""
