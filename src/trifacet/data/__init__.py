"""Records, the files that hold them, and what is wrong with those."""
