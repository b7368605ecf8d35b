"""The votes of a review as a file, with the models' names in place of text 1 and text 2.

Invariant: every vote ever given is a row; ``counts`` says which of a judge's votes on a sample is the last.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

from trifacet.review.store import Store, Vote

_COLUMNS = (
    "sample", "judge", "shown_first", "shown_second", "choice", "winner", "comment", "saw_image", "time", "counts",
)  # fmt: skip
# What a spreadsheet would compute: at the beginning of a cell, and cells begin where one that takes semicolons, tabs or
# lines for their ends sees fit.
_FORMULA = re.compile(r"""(^|[;\t\n])([\s"']*)(?=[=+@＝＋－＠-])|^(?=\t)""")


def vote_rows(store: Store) -> list[dict[str, Any]]:
    """One row of ``_COLUMNS`` per vote, in the order in which they were given."""
    return [_row(vote, store.names) for vote in store.votes()]


def as_jsonl(rows: list[dict[str, Any]]) -> str:
    """The rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_csv(rows: list[dict[str, Any]]) -> str:
    """The rows as CSV; what a spreadsheet would take for a formula gets an apostrophe before it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _row(vote: Vote, names: tuple[str, str]) -> dict[str, Any]:
    shown = names if vote.first == "A" else names[::-1]
    winner = {"first": shown[0], "second": shown[1], "tie": "tie", "skip": None}[vote.choice]
    values = (vote.sample, vote.judge, *shown, vote.choice, winner, vote.comment, vote.saw, vote.time, vote.counts)
    return dict(zip(_COLUMNS, values, strict=True))


def _cell(value: Any) -> Any:
    match value:
        case bool():
            return str(value).lower()
        case str():  # the writer quotes a line feed, but not a carriage return: it would begin a row of its own
            return _FORMULA.sub(r"\g<1>\g<2>'", value.replace("\r\n", "\n").replace("\r", "\n"))
        case _:
            return value
