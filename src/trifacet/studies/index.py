"""All studies in a folder, begun or finished, as one document: what its index page shows.

Invariant: what stands there is what the studies' own documents say; a folder whose document cannot be read is told and
left out.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trifacet.base import claims, seals
from trifacet.base.errors import DataError, TrifacetError, first_line
from trifacet.base.files import write_atomically
from trifacet.base.json_text import read_json
from trifacet.reports.study.index import index_markdown, index_page
from trifacet.studies.folder import DOCUMENT, MARK

INDEX = ("index.html", "index.md")
DEEPEST, MOST, MOST_BYTES = 3, 1000, 200_000_000  # folders below the one that is given; studies; of a document


class _Known(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Claim(_Known):
    statement: str
    verdict: str
    text: str = ""
    source: str = ""
    why: str = ""


class _Pair(_Known):
    cell: str
    other: str
    verdict: str
    why: str = ""


class _People(_Known):
    pairs: list[_Pair] = Field(default_factory=list)


class _Told(_Known):
    """What of a study's document the index shows."""

    study: str
    title: str = ""
    budget: str = ""
    cells: list[Any]
    seeds: list[int]
    claims: list[_Claim]
    failed: dict[str, str] = Field(default_factory=dict)
    people: _People | None = None
    plan: dict[str, Any] = Field(default_factory=dict)


def write_index(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Write ``index.html`` and ``index.md`` of all studies below a folder.

    Returns:
        the page and its document.

    Raises:
        TrifacetError: no study is there, or the folder cannot be written.
    """
    document = index_document(folder)
    page = folder / INDEX[0]
    write_atomically(page, index_page(document))
    write_atomically(folder / INDEX[1], index_markdown(document))
    return page, document


def index_document(folder: Path) -> dict[str, Any]:
    """What is known of the studies below a folder, by name. Raises TrifacetError where there is none."""
    if not folder.is_dir():
        raise TrifacetError(f"{folder}: no such folder; give the one that studies are in, such as runs/studies")
    marks = [one for depth in range(DEEPEST + 1) for one in sorted(folder.glob("*/" * depth + MARK))]
    if not marks:
        raise TrifacetError(f"{folder} holds no study; trifacet study NAME makes one")
    rows, problems = [], []
    for mark in marks[:MOST]:
        try:
            rows.append(_row(folder, mark))
        except (DataError, ValidationError, TypeError, KeyError) as error:
            problems.append(f"{mark.parent}: cannot be read ({first_line(error)})")
    if len(marks) > MOST:
        problems.append(f"{len(marks) - MOST} more studies are not shown")
    rows.sort(key=lambda row: (row["study"], row["budget"]))
    return {"folder": folder.name, "studies": rows, "verdicts": _counted(rows), "problems": problems}


def _row(folder: Path, mark: Path) -> dict[str, Any]:
    home = mark.parent
    held = seals.read_document(mark, claims.CURE)
    where = home.relative_to(folder).as_posix()
    if not (home / DOCUMENT).exists():
        return {
            "study": str(held["study"]), "title": "", "budget": str(held.get("budget") or ""), "folder": where,
            "cells": len(held["cells"]), "seeds": len(held["seeds"]), "state": "begun", "link": "", "claims": [],
            "verdicts": {}, "people": [], "seconds": None,
        }  # fmt: skip
    told = _Told.model_validate(read_json(home / DOCUMENT, MOST_BYTES))
    rows = [*told.claims, *(told.people.pairs if told.people else ())]
    seconds = told.plan.get("seconds")
    return {
        "study": told.study,
        "title": told.title,
        "budget": told.budget,
        "folder": where,
        "cells": len(told.cells),
        "seeds": len(told.seeds),
        "state": f"{len(told.failed)} run{'s' * (len(told.failed) > 1)} not finished" if told.failed else "finished",
        "link": f"{where}/study.html" if where != "." else "study.html",
        "claims": [one.model_dump() for one in told.claims],
        "people": [one.model_dump() for one in told.people.pairs] if told.people else [],
        "verdicts": dict(Counter(one.verdict for one in rows)),
        "seconds": seconds.get("shared") if isinstance(seconds, dict) else None,
    }


def _counted(rows: list[dict[str, Any]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row["verdicts"])
    return dict(counts)
