"""Names and brands that a site uses: they may stand in suggestions, and are told to the model as they are spelled.

Invariant: a glossary is small and plain: at most ``MOST`` terms, each on one line, so that it fits beside a request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.digests import json_digest
from trifacet.base.errors import DataError
from trifacet.base.opening import read_text
from trifacet.base.words import CONTROL
from trifacet.settings.yaml_values import read_yaml

MOST = 10_000  # terms
LONGEST = 200  # characters of a term, or of what it means
_MAX_BYTES = 5_000_000
_TOLD = 60  # terms in one request, where the page has none of them
_WORD = re.compile(r"\w+")
_FORMS = "a line for each name, or YAML: a list of names, or names with what they mean"


@dataclass(frozen=True)
class Glossary:
    """Terms with what they mean ("" where that is not said), in the file's order."""

    terms: Mapping[str, str]

    @property
    def digest(self) -> str:
        """What identifies it."""
        return json_digest(list(self.terms.items()))

    def told(self, *texts: str) -> str:
        """The terms for a request about what is in ``texts``: those found there, and others up to ``_TOLD``."""
        around = set(_WORD.findall("\n".join(texts).casefold()))
        found = [term for term in self.terms if around.issuperset(_WORD.findall(term.casefold()))]
        chosen = [*found, *(term for term in self.terms if term not in found)][: max(_TOLD, len(found))][: 2 * _TOLD]
        return "; ".join(f"{term} ({self.terms[term]})" if self.terms[term] else term for term in chosen)


NONE = Glossary({})


def read_glossary(path: Path) -> Glossary:
    """The glossary of a file: YAML (``.yaml``, ``.yml``), else text: one name a line, "name = meaning" or a tab, # for
    remarks.

    Raises:
        DataError: it cannot be read, or an entry is no name.
    """
    text = read_text(path, _MAX_BYTES)
    rows = _of_yaml(text, path) if path.suffix.lower() in (".yaml", ".yml") else _of_lines(text)
    terms: dict[str, str] = {}
    for number, (term, meaning) in enumerate(rows, start=1):
        if not isinstance(term, str) or not (meaning is None or isinstance(meaning, str)):
            raise DataError(f"entry {term!r} is no name", fix=f"write {_FORMS}", file=path, row=number)
        name, means = (" ".join(CONTROL.sub("", one or "").split()) for one in (term, meaning))
        if not name or max(len(name), len(means)) > LONGEST:
            told = f"a name or meaning is empty or longer than {LONGEST} characters"
            raise DataError(told, fix="shorten it", file=path, row=number)
        terms[name] = means
    if len(terms) > MOST:
        raise DataError(f"has {len(terms)} names", fix=f"give at most {MOST}", file=path)
    return Glossary(terms)


def _of_lines(text: str) -> list[tuple[Any, Any]]:
    lines = (line.strip() for line in text.splitlines())
    rows = []
    for line in lines:
        if line and not line.startswith("#"):
            name, _, meaning = line.replace("\t", "=", 1).partition("=")
            rows.append((name.strip(), meaning.strip()))
    return rows


def _of_yaml(text: str, path: Path) -> list[tuple[Any, Any]]:
    held = read_yaml(text, str(path))
    if held is None:
        return []
    if isinstance(held, dict):
        return list(held.items())
    if isinstance(held, list):
        return [(one, "") for one in held]
    raise DataError(f"is {type(held).__name__}", fix=f"write {_FORMS}", file=path)
