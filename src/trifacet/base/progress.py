"""Progress on standard error: a bar with time left on a terminal, a line now and then elsewhere.

Invariant: nothing heavy is imported, so that commands without a model can show it too.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from trifacet.base.words import visible

_LINE_EVERY_SECONDS = 20.0


class Terminal(Console):
    """A console on which what a file or model says is seen and not obeyed: control characters stand as escapes."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of what is printed, and of the cells of tables."""
        return super().render_str(visible(text), **options)

    def on_broken_pipe(self) -> None:
        """Whoever runs the command line says what becomes of it; Rich would leave with 1."""
        raise  # noqa: PLE0704 - called where the error is being handled


console = Terminal(stderr=True, highlight=False, emoji=False)


class Bar:
    """A context manager that shows how far ``total`` steps of ``title`` have come."""

    def __init__(self, title: str) -> None:
        self.title = title = visible(title)
        self._started = self._said = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(title, total=None, note="")

    def update(self, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` steps; ``note`` is shown at the end."""
        self._bar.update(self._task, completed=done, total=total, note=note)
        now = time.monotonic()
        if not console.is_terminal and now - self._said > _LINE_EVERY_SECONDS:
            self._said = now
            console.print(f"{self.title}: {done}/{total} after {now - self._started:.0f} s {note}".rstrip())

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
