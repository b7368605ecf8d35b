"""What the tests of sources share."""

import json

from trifacet.building.settings import Source
from trifacet.building.sources import BadRow, read_source


def read(path, **keys) -> tuple[list[dict], list[BadRow]]:
    """All posts of a source and the rows that can't be used."""
    bad: list[BadRow] = []
    rows = list(read_source(Source(path=str(path), **keys), 3, bad.append))
    assert all(row["source"] == 3 for row in rows)
    return rows, bad


def write_lines(path, *rows):
    """JSON lines; a string is written as it is."""
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path
