"""Objects of the user's own: objectives, rejected-image strategies, metrics, lint rules, benchmarks, data formats.

Invariant: nothing is imported but what was named: no module, and no entry point of an installed package. Whoever calls
this has the name from the user's own words (an option, a recipe, an argument), never from a file of results.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from trifacet.base.errors import TrifacetError


def load_extension(name: str, kind: str, expected: type | tuple[type, ...] = object) -> Any:
    """The object called ``name``.

    Args:
        name: ``package.module:attribute``, of what is installed or lies in the working directory, or the name of an
            entry point in the group ``trifacet.<kind>``.
        kind: what it is to be: objective, strategy, metric, rule, benchmark or format.
        expected: its class, or several.

    Raises:
        TrifacetError: there is none of this name, its module cannot be imported, or it is something else.
    """
    module_name, _, attribute = _place(name, kind).partition(":")
    with _working_directory():
        try:
            found: Any = importlib.import_module(module_name)
        except Exception as error:  # whatever the user's own code raises
            raise TrifacetError(
                f"{kind} {name!r}: {module_name} cannot be imported ({type(error).__name__}: {error}); install it, or "
                "run the command in the folder that it lies in"
            ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=1)
            hint = f"did you mean {near[0]!r}?" if near else "write package.module:name"
            raise TrifacetError(f"{kind} {name!r}: {module_name} has no {part!r}; {hint}")
        found = getattr(found, part)
    if not isinstance(found, expected):
        wanted = " or ".join(one.__name__ for one in (expected if isinstance(expected, tuple) else (expected,)))
        raise TrifacetError(f"{kind} {name!r} is of type {type(found).__name__}; name an object of type {wanted}")
    return found


def is_extension(name: str, kind: str) -> bool:
    """Whether ``name`` may be one of these: it has a colon, or is an entry point. Imports nothing."""
    return ":" in name or bool(_entry_points(name, kind))


def extension_file(name: str, kind: str) -> Path | None:
    """The file of the module that holds an object which was loaded; None where it is not of a file."""
    file = getattr(sys.modules.get(_place(name, kind).partition(":")[0]), "__file__", None)
    return Path(file) if file else None


def _place(name: str, kind: str) -> str:
    """``package.module:attribute``, which is what an entry point stands for too."""
    place = name
    if ":" not in name:
        found = _entry_points(name, kind)
        if not found:
            raise TrifacetError(
                f"unknown {kind} {name!r}; write package.module:name, or the name of an entry point in the group "
                f"trifacet.{kind}"
            )
        place = found[0].value
    module, _, attribute = place.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise TrifacetError(f"{kind} {name!r} names no object; write package.module:name")
    return place


def _entry_points(name: str, kind: str) -> list[EntryPoint]:
    return list(entry_points(group=f"trifacet.{kind}", name=name))


@contextlib.contextmanager
def _working_directory() -> Iterator[None]:
    """Modules of the working directory can be imported, after all that is installed: none is put before another."""
    here = str(Path.cwd())
    if here in sys.path:
        yield
        return
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)
