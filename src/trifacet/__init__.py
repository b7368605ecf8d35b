"""Trifacet: preference alignment of vision-language models over image, context and response."""

__version__ = "0.1.0"
