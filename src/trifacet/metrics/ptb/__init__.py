"""Tokens as the COCO caption toolkit makes them, without Java. **Invariant:** captions never shift."""

from trifacet.metrics.ptb.lexer import PUNCTUATION, plain_token, tokenize, tokenize_all

__all__ = ["PUNCTUATION", "plain_token", "tokenize", "tokenize_all"]
