"""Arguments that may hold a name: ``[NAME=]PATH`` and ``[NAME=]MODEL``.

Invariant: every command takes them apart by the same rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from trifacet.base.errors import TrifacetError
from trifacet.base.opening import is_file, is_folder


def name_and_place(argument: str, place: str = "PATH") -> tuple[str, str]:
    """The name, "" where none is given, and what stands after it.

    What exists as it stands has no name before it, whatever "=" its path holds; else all before the first "=" is the
    name, its white space single. ``place`` is how messages call what is named.

    Raises:
        TrifacetError: nothing stands before the "=", or nothing after it.
    """
    name, sign, there = argument.partition("=")
    if not sign or is_file(Path(argument)) or is_folder(Path(argument)):
        return "", argument
    name = " ".join(name.split())
    if not name or not there.strip():
        raise TrifacetError(f"{argument!r}: write NAME={place}, or {place} alone; neither part may be empty")
    return name, there


def name_models(given: Sequence[str]) -> dict[str, str]:
    """Checkpoints by name, from ``[NAME=]MODEL`` arguments: folders or hub ids.

    Without a name a checkpoint is called after its folder, and one at ``.../<name>/model``, as runs leave them, after
    the folder above.

    Raises:
        TrifacetError: a name that can be no folder's, or two of one name.
    """
    models: dict[str, str] = {}
    for one in given:
        name, place = name_and_place(one, "MODEL")
        if not name:
            parts = [part for part in Path(one).parts if part not in (".", "/")]
            name = parts[-2] if len(parts) > 1 and parts[-1] == "model" else (parts or [""])[-1]
        if not names_folder(name):
            raise TrifacetError(
                f"{one!r}: a model's name has letters, digits, '_' and '+', later also '.' and '-'; write NAME=MODEL"
            )
        if name in models:
            raise TrifacetError(f"two models are called {name!r}; name them apart: A={models[name]} B={place}")
        models[name] = place
    return models


def names_folder(name: str) -> bool:
    """Whether ``name`` may be that of a folder of an evaluation."""
    return re.fullmatch(r"[\w+][\w.+-]*", name) is not None
