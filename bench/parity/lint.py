"""Our compatible rules beside the npm linter's recorded verdicts: texts with the same rules in the same order."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from parity.row import Row
from trifacet.lint import COMPAT, lint_text


def rows(data: Path) -> Iterator[Row]:
    with gzip.open(data / "alt_lint" / "double_great_alt_text_3.2.1_oracle.json.gz", "rt", encoding="utf-8") as file:
        recorded = json.load(file)
    ours = [[finding.rule for finding in lint_text(row["text"], rules=COMPAT)] for row in recorded]
    same = sum(mine == row["violations"] for mine, row in zip(ours, recorded, strict=True))
    yield Row("texts with the same verdict", "alt_lint", same, len(recorded))
    for rule in COMPAT:
        official = sum(rule.name in row["violations"] for row in recorded)
        yield Row(f"texts with {rule.name}", "alt_lint", sum(rule.name in mine for mine in ours), official)
