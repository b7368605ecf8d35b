"""Alt-text where pictures stand: places found in pages and files, texts suggested, reviewed, and put in place."""
