"""Tokens as the COCO caption toolkit makes them, without Java. **Invariant:** captions never shift."""

from trifacet.evaluation.ptb.lexer import PUNCTUATION, tokenize, tokenize_all

__all__ = ["PUNCTUATION", "tokenize", "tokenize_all"]
