"""The page of a comparison, and its tables in LaTeX and Markdown."""
