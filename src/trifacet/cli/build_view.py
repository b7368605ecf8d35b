"""What ``trifacet build`` shows: live progress on standard error, and the story of one row.

Invariant: every text that comes from posts, recipes or models passes through ``common.plain`` before it is shown.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.table import Table

from trifacet.base.progress import Terminal
from trifacet.cli.common import err, out, plain
from trifacet.reports.words import duration

if TYPE_CHECKING:
    from trifacet.building.counts import BuildProgress, StepProgress
    from trifacet.building.story import RowStory

REFRESH = 4  # times a second, at most
_LINE_EVERY_SECONDS = 20.0
_LONGEST = 2000  # characters of one text on the terminal
_LABELS = {"drop": "dropped", "fail": "failed", "change": "changed", "note": "noted"}


@contextmanager
def live_view(console: Terminal = err) -> Iterator[Callable[[BuildProgress], None]]:
    """Show a build's progress while the block runs; give what this yields to ``run_build(show=...)``.

    On a terminal a table that is drawn anew at most ``REFRESH`` times a second, elsewhere a line where a step ends and
    one every ``_LINE_EVERY_SECONDS`` in between.
    """
    view = _Lines(console)
    if not console.is_terminal:
        yield view.show
        return
    latest: list[BuildProgress] = []
    with Live(
        get_renderable=lambda: progress_table(latest[0], console.width) if latest else "",
        console=console,
        refresh_per_second=REFRESH,
        redirect_stdout=False,
    ):
        yield lambda progress: latest.__setitem__(slice(None), [progress])


class _Lines:
    """Progress as lines, for logs."""

    def __init__(self, console: Terminal) -> None:
        self.console, self._said, self._done, self._cost = console, time.monotonic(), set[int](), ""

    def show(self, progress: BuildProgress) -> None:
        """Print what has ended, and now and then what runs."""
        now = time.monotonic()
        for step in progress.steps:
            if step.state == "done" and step.index not in self._done:
                self._done.add(step.index)
                self._line(progress, step)
            elif step.state not in ("done", "waiting") and now - self._said > _LINE_EVERY_SECONDS:
                self._line(progress, step)

    def _line(self, progress: BuildProgress, step: StepProgress) -> None:
        self._said = time.monotonic()
        cells = dict(
            zip(
                ("", "state", "in", "out", "dropped", "failed", "a second", "cost", "left"),
                _cells(progress, step),
                strict=True,
            )
        )
        told = ", ".join(f"{value} {name}" for name, value in list(cells.items())[2:] if value not in ("", "0"))
        before, self._cost = self._cost, _cost(progress)
        cost = f"; {self._cost}" if self._cost != before else ""  # said again where there is something new to it
        self.console.print(f"{cells['']}: {cells['state']}" + (f", {told}" if told else "") + cost, soft_wrap=True)


def progress_table(progress: BuildProgress, width: int | None = None) -> Table:
    """All steps with their rows, rates and time left; below it what the language models have cost.

    Where ``width`` has no room for all columns, those that are empty or can be done without are left out.
    """
    columns = ["step", "state", "rows in", "out", "dropped", "failed", "rows/s", "cost", "left"]
    rows = [_cells(progress, step) for step in progress.steps]
    longest = {
        name: max(map(len, cells)) for name, cells in zip(columns, zip(columns, *rows, strict=True), strict=True)
    }
    shown, room = list(columns), width or sum(longest.values()) + 2 * len(columns)
    empty = [name for name, *cells in zip(columns, *rows, strict=True) if not any(cells)]
    for name in [*empty, "failed", "dropped", "rows in", "cost", "rows/s", "out", "left"]:
        if name in shown and sum(longest[one] + 2 for one in shown) > room:
            shown.remove(name)
    table = Table(box=None, pad_edge=False, header_style="bold", caption=_cost(progress), caption_justify="left")
    for name in shown:
        numeric = name not in ("step", "state")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for step, cells in zip(progress.steps, rows, strict=True):
        style = {"waiting": "dim", "done": ""}.get(step.state, "bold")
        table.add_row(*(cell for name, cell in zip(columns, cells, strict=True) if name in shown), style=style)
    return table


def time_left(step: StepProgress, before: StepProgress | None = None) -> float | None:
    """Seconds until the step is done, at the rate it has had in this process; None if that is not known.

    By rows where the step ``before`` it is done and has said how many come; else by parts.
    """
    here = step.rows_here + step.rows_underway
    if step.state != "running" or not (here and step.seconds):
        return None
    if before is not None and before.state == "done":
        return step.seconds * max(0, before.rows_out - step.rows_in - step.rows_underway) / here
    if not (step.rows_here and step.rows_in):
        return None
    parts_here = step.parts_done * step.rows_here / step.rows_in
    return step.seconds * max(0, step.parts - step.parts_done) / parts_here


def _cells(progress: BuildProgress, step: StepProgress) -> list[str]:
    """Name, state, rows in, out, dropped, failed, rows a second, cost, time left."""
    state: str = step.state
    if state in ("running", "signing") and step.parts:
        state += f" {100 * step.parts_done // step.parts} %"
    counts = [(said.partition(": ")[0], count) for said, count in list(step.counts.items())]
    lost = {verdict: sum(count for kind, count in counts if kind == verdict) for verdict in ("drop", "fail")}
    if step.state == "waiting":
        return [plain(step.name), state, *[""] * 7]
    here = step.rows_here + step.rows_underway
    rate = f"{here / step.seconds:,.{0 if here >= 10 * step.seconds else 1}f}" if here and step.seconds else ""
    left = time_left(step, progress.steps[step.index - 1] if step.index else None)
    rows = [f"{count:,}" for count in (step.rows_in + step.rows_underway, step.rows_out, lost["drop"], lost["fail"])]
    cost = f"{step.money:.4f}" if step.money else ""
    return [plain(step.name), state, *rows, rate, cost, "" if left is None else duration(left)]


def _cost(progress: BuildProgress) -> str:
    """What was asked and paid; empty where no model took part."""
    if not (progress.sent or progress.kept):
        return ""
    return f"{progress.sent:,} questions sent, {progress.kept:,} answered from what is kept, cost {progress.money:.4f}"


def print_story(stories: Sequence[RowStory], console: Terminal = out) -> None:
    """Tell the whole story of the rows that share an id, usually one, on standard output."""
    for number, story in enumerate(stories):
        if number:
            console.print()
        _print_one(story, console)


def _print_one(story: RowStory, console: Terminal) -> None:
    place = plain(story.source) + ("" if story.source_row is None else f", row {story.source_row}")
    console.tell((_short(story.id), "bold"), f": row {story.row} of the build, from {place}")
    if story.read is None:
        console.print("  It could not be used as it was read.")
    else:
        console.tell(("As read", "bold"))
        for name in ("image", "context", "alt", "prompt", "extra"):
            if story.read[name]:
                console.print(f"  {name}: {_short(story.read[name])}")
    console.tell(("What happened", "bold") if story.events else "No step has decided anything about it.")
    for event in story.events:
        _print_event(event, console)
    if story.kept is not None:
        console.tell(("Duplicate of", "bold"), f" {_short(story.kept['id'])}: {_short(story.kept['alt'])}")
    if story.dropped_for_it:
        console.tell(("Dropped in favour of this row", "bold"))
        for event in story.dropped_for_it:
            console.print(f"  {_short(event['id'])} (row {event['row']}): {plain(event['reason'])}{_rest(event)}")
    where = f": {plain(story.ending.file)}, row {story.ending.file_row}" if story.ending.file else ""
    console.tell(("Where it is now", "bold"), f"\n  {plain(story.ending.words)}{where}")


def _print_event(event: Mapping[str, Any], console: Terminal) -> None:
    field = f" ({plain(event['field'])})" if event["field"] else ""
    head = f"  {event['step']} {plain(event['name'])}: {_LABELS[event['verdict']]}{field}: {plain(event['reason'])}"
    console.print(head + _rest(event))
    for name in ("before", "after"):
        if event[name] is not None:
            console.print(f"      {name}: {_short(event[name])}")
    attempts = event["detail"].get("attempts")
    for number, attempt in enumerate(attempts if isinstance(attempts, list) else (), start=1):
        text = "nothing" if attempt.get("text") is None else _short(attempt["text"])
        why = f" ({_short(str(attempt['problem']))})" if attempt.get("problem") else ""
        console.print(f"      attempt {number}: {text}\n        {plain(str(attempt.get('result')))}{why}")
        for order, judged in enumerate(attempt.get("orders", ()), start=1):
            said = ", ".join(f"{name} {plain(str(value))}" for name, value in judged.items())
            console.print(f"        order {order}: {said}")


def _rest(event: Mapping[str, Any]) -> str:
    """What else an event holds, in brackets."""
    known = {name: value for name, value in event["detail"].items() if name != "attempts"}
    told = ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value)}" for name, value in known.items()
    )
    return f" [{_short(told)}]" if told else ""


def _short(text: str) -> str:
    return plain(text if len(text) <= _LONGEST else text[:_LONGEST] + " …")
