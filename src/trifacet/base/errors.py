"""The errors that a user can mend. Invariant: each is one line: where, what is wrong, and what would be right."""

from pathlib import Path


class TrifacetError(Exception):
    """Bad input or a refused state: the command line prints the message and leaves with exit code 2.

    ``elsewhere`` is set where another process of the same run prints it.
    """

    elsewhere = False


class DataError(TrifacetError):
    """One problem in a data file, named by file, row and field.

    Args:
        problem: what is wrong, in a few words.
        fix: what would be right.
        file: the data file.
        row: 1-based row (or line) number in that file.
        field: the field's name as the file spells it.
    """

    def __init__(
        self,
        problem: str,
        *,
        fix: str = "",
        file: str | Path | None = None,
        row: int | None = None,
        field: str | None = None,
    ) -> None:
        self.problem, self.fix, self.file, self.row, self.field = problem, fix, file, row, field
        place = [str(file)] if file is not None else []
        place += [f"row {row}"] if row is not None else []
        place += [f"field '{field}'"] if field else []
        message = f"{', '.join(place)}: {problem}" if place else problem
        super().__init__(f"{message}; {fix}" if fix else message)


def first_line(error: BaseException) -> str:
    """What another library's error says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
