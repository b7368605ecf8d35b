"""The functions of the public face, in terms of records, texts and folders: what the command does, from Python."""
