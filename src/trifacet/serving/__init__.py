"""``trifacet serve``: models of this machine behind an OpenAI-compatible endpoint, and a page for people."""
