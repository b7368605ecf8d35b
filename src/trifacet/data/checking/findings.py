"""A finding: one thing about a data file that its owner should know.

Invariant: a finding is one line that names file, row, field, cause and cure; only an error makes a file unfit for use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from trifacet.base.errors import DataError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
ROWS_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """One problem (error), doubt (warning) or fact worth knowing (note)."""

    severity: Severity
    file: str
    row: int | None
    field: str | None
    cause: str
    cure: str

    @classmethod
    def of(cls, problem: DataError, file: str) -> Finding:
        """The finding for a problem that reading met."""
        return cls("error", file, problem.row, problem.field, problem.problem, problem.fix)

    @property
    def line(self) -> str:
        """The finding as one line of text, the way errors are written everywhere."""
        return " ".join(
            str(DataError(self.cause, fix=self.cure, file=self.file, row=self.row, field=self.field)).split()
        )

    def as_dict(self) -> dict[str, Any]:
        """The finding for ``--json``."""
        return asdict(self)


def together(findings: Iterable[Finding]) -> list[Finding]:
    """The findings with one in place of the warnings or notes that say the same of more rows than it names.

    So data of a kind, such as pairs that have no posts, get a line and not one for each row. Errors stay: each is
    a row to mend.
    """
    alike: dict[Finding, list[Finding]] = {}
    for finding in findings:
        alike.setdefault(finding if finding.severity == "error" else replace(finding, row=None), []).append(finding)
    told: list[Finding] = []
    for same, members in alike.items():
        rows = list(dict.fromkeys(finding.row for finding in members))
        if same.severity == "error" or len(rows) <= ROWS_NAMED:
            told += members
            continue
        named = ", ".join(map(str, rows[:ROWS_NAMED]))
        told.append(replace(same, cause=f"{same.cause}, in {len(rows)} rows ({named}, ...)"))
    return told
