"""Tokens as the COCO caption toolkit makes them, without Java. **Invariant:** captions never shift."""

from trifacet.evaluation.ptb.lexer import PUNCTUATION, tokenize

__all__ = ["PUNCTUATION", "tokenize"]
