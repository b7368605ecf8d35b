"""The page of a build: what became of the posts."""
