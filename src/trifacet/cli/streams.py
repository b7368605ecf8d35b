"""Standard input, output and error, as whoever starts the program left them: open, closed, full, or read by nobody.

Invariant: no file of ours gets one of their numbers; what cannot be written to standard output is an OSError that says
so, once, and what cannot be told on standard error changes no exit code.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

STANDARD_OUTPUT = "standard output"  # as the name of the file in its errors


class _Stream(io.FileIO):
    """Writes to one of the standard streams."""

    failed = False

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError as error:
            if self.fileno() == 1 and not self.failed:
                self.failed = True  # what waits in the buffer is tried again as Python ends
                raise OSError(error.errno, error.strerror, STANDARD_OUTPUT) from None
            return len(data)


def guard_streams() -> None:
    """Put guarded streams in the place of ``sys.stdout`` and ``sys.stderr``."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: takes the lowest number that is free; writing to 1 fails, as it did
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
    for number, name in ((1, "stdout"), (2, "stderr")):
        there = getattr(sys, name)
        raw: Any = _Stream(number, "wb", closefd=False)
        at_once = there.write_through if there else False
        guarded = io.TextIOWrapper(
            raw if at_once else io.BufferedWriter(raw),
            encoding=there.encoding if there else "utf-8",
            errors="backslashreplace",  # a name that is no UTF-8, a letter that the terminal has not
            line_buffering=there.line_buffering if there else number == 2,
            write_through=at_once,
        )
        setattr(sys, name, guarded)
