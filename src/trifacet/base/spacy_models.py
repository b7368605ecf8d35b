"""spaCy pipelines that a user names.

Invariant: a pipeline is loaded from what the user named and nothing else. Loading one runs the code of its package, as
spaCy is made.
"""

from __future__ import annotations

import functools
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import needed_for


@functools.lru_cache(maxsize=4)
def spacy_model(name: str) -> Any:
    """The user's spaCy pipeline, by name or by its folder.

    Raises:
        TrifacetError: spaCy or the model is not there.
    """
    with needed_for(f"spaCy model {name!r}"):
        import spacy
    try:
        return spacy.load(name)
    except Exception as error:  # a damaged folder raises whatever spaCy trips over
        reason = str(error).split("\n", 1)[0][:200]
        raise TrifacetError(
            f"spaCy model {name!r} cannot be loaded ({reason}); install it or name its folder"
        ) from None
