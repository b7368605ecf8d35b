"""The errors that a user can mend. Invariant: each is one line: where, what is wrong, and what would be right."""

import errno
from pathlib import Path

_CURES = {
    errno.EMFILE: "let fewer work at the same time, or allow more open files (ulimit -n)",
    errno.ENFILE: "let fewer work at the same time: the machine has no more open files to give",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ELOOP: "a link leads to itself: correct it",
    errno.EBADF: "it is closed: open it, or name a file",
    errno.EROFS: "nothing can be written there: choose another path",
    errno.EIO: "the disk reports a fault: look at it, or choose another path",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_THE_MACHINES = (*_FULL, errno.EMFILE, errno.ENFILE)  # whichever file it is
# as torch, safetensors and SQLite say it, who have no error number
_FULL_WORDS = ("no space left", "file too large", "disk is full", "iostream error", "inline_container.cc")


class TrifacetError(Exception):
    """Bad input or a refused state: the command line prints the message and leaves with exit code 2.

    ``elsewhere`` is set where another process of the same run prints it.
    """

    elsewhere = False


LONGEST = 600  # characters of a problem or a cure: a file's own words may be quoted in it


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
        self.problem, self.fix, self.file, self.row = _line(problem), _line(fix), file, row
        self.field = field and _line(field)
        place = [str(file)] if file is not None else []
        place += [f"row {row}"] if row is not None else []
        place += [f"field '{self.field}'"] if field else []
        message = f"{', '.join(place)}: {self.problem}" if place else self.problem
        super().__init__(f"{message}; {self.fix}" if fix else message)


def _line(text: str) -> str:
    """``text`` in one line of bounded length."""
    line = text if len(text.splitlines()) <= 1 else " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."


def disk_is_full(error: Exception) -> bool:
    """Whether something could not be written for lack of space."""
    number = getattr(error, "errno", None)
    return number in _FULL if number is not None else any(sign in str(error).lower() for sign in _FULL_WORDS)


def cure_of(error: Exception, otherwise: str = "choose another path") -> str:
    """What helps against an error of the system's: files that cannot be opened, written or found."""
    return "free some space" if disk_is_full(error) else _CURES.get(getattr(error, "errno", None) or 0, otherwise)


def of_the_users(error: BaseException) -> TrifacetError | None:
    """The line for what a path or a text of the user's makes of any call to the system; None for all other errors."""
    if isinstance(error, TrifacetError):
        return error
    if isinstance(error, OSError) and error.errno and (error.filename is not None or error.errno in _THE_MACHINES):
        name = "a file" if error.filename is None else str(error.filename)
        return TrifacetError(f"{name}: {error.strerror}; {cure_of(error, 'correct the path')}")
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # pathlib's own
        return TrifacetError(f"{first_line(error)}; correct the link")
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        around = error.object[max(error.start - 20, 0) : error.end + 20]
        return TrifacetError(f"{around!r} is not UTF-8 text; give it as UTF-8, or rename the file")
    if isinstance(error, ValueError) and "embedded null" in str(error):
        return TrifacetError("a path holds a NUL; leave it out")
    return None


def of_sample(
    sample_id: str,
    error: TrifacetError,
    field: str | None = None,
    *,
    file: str | Path | None = None,
    row: int | None = None,
) -> TrifacetError:
    """``error`` with the sample that it is about, named once, and where that stands; one that tells a row stays so."""
    told = error if isinstance(error, DataError) else DataError(str(error))
    if told.row is not None:
        return error
    problem = told.problem if told.problem.startswith("sample ") else f"sample {sample_id!r}: {told.problem}"
    return DataError(problem, fix=told.fix, file=file, row=row, field=field or told.field)


def first_line(error: BaseException) -> str:
    """What another library's error says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
