"""People decide on suggested alt-texts, on a local page."""
