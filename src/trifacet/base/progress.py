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
    """A console on which what a file or model says is seen and not obeyed.

    Control characters stand as escapes; brackets and ``:cat:`` are letters like all others, and no markup of Rich's.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, emoji=False, markup=False, **options)

    def tell(self, *pieces: str | tuple[str, str], soft_wrap: bool = True) -> None:
        """Print a line of which some pieces have a style, as ``("error:", "bold red")``."""
        shown = [(visible(piece), "") if isinstance(piece, str) else (visible(piece[0]), piece[1]) for piece in pieces]
        self.print(Text.assemble(*shown), soft_wrap=soft_wrap)

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of what is printed, and of the cells of tables."""
        return super().render_str(visible(text), **options)

    def on_broken_pipe(self) -> None:
        """Whoever runs the command line says what becomes of it; Rich would leave with 1."""
        raise  # noqa: PLE0704 - called where the error is being handled


console = Terminal(stderr=True)


class Bar:
    """A context manager that shows how far ``total`` steps of ``title`` have come."""

    def __init__(self, title: str) -> None:
        self.title = title = visible(title)
        self._started = self._said = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
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
