"""Pages for people to read, each one file that opens without network."""
