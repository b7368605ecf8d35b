"""Python objects that a recipe names: built-in pieces are found by their names, all others here.

Invariant: nothing is imported but what the user's own recipe or installed packages name.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Any

from trifacet.base.errors import TrifacetError


def load_extension(name: str, kind: str) -> Any:
    """The object called ``package.module:name``, or the entry point ``name`` of the group ``trifacet.<kind>``.

    Raises:
        TrifacetError: there is none, or importing it fails.
    """
    module, colon, attribute = name.partition(":")
    found = entry_points(group=f"trifacet.{kind}", name=name)
    if not colon and not found:
        raise TrifacetError(f"no {kind} {name!r}; give your own as package.module:name, or install the package with it")
    try:
        if not colon:
            return next(iter(found)).load()
        return getattr(importlib.import_module(module), attribute)
    except AttributeError:
        raise TrifacetError(f"{kind} {name!r}: the module {module!r} has no {attribute!r}; correct the name") from None
    except Exception as error:  # a module that is imported may raise anything
        raise TrifacetError(
            f"{kind} {name!r} cannot be imported ({type(error).__name__}: {error}); "
            "put its folder on PYTHONPATH, or install it"
        ) from error
