"""A finding: one thing about a data file that its owner should know.

Invariant: a finding is one line that names file, row, field, cause and cure; only an error makes a file unfit for use.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from trifacet.base.errors import DataError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


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
