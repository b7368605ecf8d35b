"""The live view and the story on the terminal: right numbers, sparing, and no control character from a post."""

from __future__ import annotations

import io
import re
from collections import Counter

import pytest
from told_build import local_steps, raw_posts, told_build, told_recipe

from trifacet.base.progress import Terminal
from trifacet.building.build import run_build
from trifacet.building.counts import BuildProgress, StepProgress
from trifacet.building.story import explain
from trifacet.cli import build_view
from trifacet.cli.build_view import live_view, print_story, progress_table, time_left
from trifacet.llm.books import Tally


def console(terminal: bool) -> Terminal:
    return Terminal(file=io.StringIO(), force_terminal=terminal, width=100)


def written(view: Terminal) -> str:
    return view.file.getvalue()


def cells(table) -> list[list[str]]:
    return [list(column.cells) for column in table.columns]


def test_a_terminal_shows_all_steps_with_their_rows(tmp_path):
    view, seen = console(True), []
    with local_steps(), live_view(view) as show:
        recipe = told_recipe(tmp_path, raw_posts(tmp_path / "raw", 20))
        run_build(recipe, workers=1, show=lambda progress: (seen.append(progress), show(progress)))
    names, states, rows_in, rows_out, dropped, failed, *_ = cells(progress_table(seen[-1]))
    assert names == [
        "read",
        "told-images",
        "alt-length",
        "told-names",
        "told-grammar",
        "told-twins",
        "told-verify",
        "write",
    ]
    assert set(states) == {"done"}
    for place in range(len(names)):
        assert int(rows_in[place]) == int(rows_out[place]) + int(dropped[place]) + int(failed[place])
    assert "told-verify" in written(view)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_every_step_is_one_line_on_a_narrow_terminal_too(width):
    counts = Counter({"fail: row cannot be used": 1000})
    steps = [
        StepProgress(0, "read", state="done", rows_in=20_000, rows_out=19_000, counts=counts, rows_here=20_000,
                     seconds=1.2),
        StepProgress(1, "near-duplicates", state="signing", parts=5, parts_done=2),
        StepProgress(2, "rejected-response", state="running", parts=5, parts_done=2, rows_in=12_000, rows_out=11_000,
                     rows_here=12_000, seconds=33.0, money=1.25),
        StepProgress(3, "write"),
    ]  # fmt: skip
    view = Terminal(file=io.StringIO(), width=width)
    view.print(progress_table(BuildProgress(steps), width))
    lines = written(view).splitlines()
    assert [line.split()[0] for line in lines] == ["step", "read", "near-duplicates", "rejected-response", "write"]
    assert max(map(len, lines)) <= width
    assert ("left" in lines[0]) and ("failed" in lines[0]) == (width == 120), lines[0]


def test_a_log_gets_one_line_a_step(tmp_path):
    view = console(False)
    with local_steps(), live_view(view) as show:
        run_build(told_recipe(tmp_path, raw_posts(tmp_path / "raw", 20)), workers=1, show=show)
    lines = written(view).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "read", "told-images", "alt-length", "told-names", "told-grammar", "told-twins", "told-verify", "write",
    ]  # fmt: skip
    assert "\x1b" not in written(view)
    assert re.match(r"alt-length: done, 17 in, 15 out, 2 dropped", lines[2])


def test_a_log_gets_a_line_now_and_then(monkeypatch):
    view, now = console(False), [0.0]
    monkeypatch.setattr(build_view.time, "monotonic", lambda: now[0])
    progress = BuildProgress([StepProgress(0, "read"), StepProgress(1, "slow")])
    with live_view(view) as show:
        progress.show = show
        progress.begin([1], "running", 1000)
        for part in range(1000):
            now[0] = part / 10  # 100 seconds
            progress.add({"part": part, "steps": [{"step": 1, "in": 10, "out": 9, "counts": {"drop: x": 1}}]})
    assert 3 <= len(written(view).splitlines()) <= 5


def test_time_left_is_by_rows_where_their_number_is_known():
    before = StepProgress(1, "x", state="done", rows_out=1000)
    step = StepProgress(2, "y", parts=1, state="running", rows_underway=250, began=0.0, seconds=5.0)
    assert time_left(step, before) == pytest.approx(15.0)
    assert time_left(step, StepProgress(1, "x", state="running", rows_out=10)) is None


def test_time_left_is_by_the_parts_done_here():
    step = StepProgress(1, "x", parts=10, state="running", parts_done=6, rows_in=600, rows_here=200, seconds=4.0)
    assert time_left(step) == pytest.approx(8.0)  # two parts in 4 s here, four to come
    assert time_left(StepProgress(1, "x", parts=10, state="running", parts_done=6, rows_in=600)) is None
    assert time_left(StepProgress(1, "x", parts=10, state="done", rows_in=6, rows_here=6, seconds=1.0)) is None


def test_each_step_has_its_own_cost():
    progress = BuildProgress([StepProgress(0, "read"), StepProgress(1, "grammar"), StepProgress(2, "verify")])
    progress.begin([1], "running", 1)
    tallies = {("grammar", "a"): Tally(spent=0.5), ("verify", "a"): Tally(spent=2.0), ("verify", "b"): Tally(spent=1.0)}
    progress.asked(1, {("grammar", "a"): tallies["grammar", "a"]})
    progress.begin([2], "running", 1)
    progress.asked(2, tallies)
    table = progress_table(progress)
    place = [column.header for column in table.columns].index("cost")
    assert cells(table)[place] == ["", "0.5000", "3.0000"]


def test_the_cost_is_shown_where_a_model_was_asked():
    progress = BuildProgress([StepProgress(0, "[bold]x[/bold]\x1b[2J")], sent=1200, kept=30, money=0.25)
    view = console(True)
    view.print(progress_table(progress))
    assert "1,200 questions sent, 30 answered from what is kept, cost 0.2500" in written(view)
    assert "\x1b[2J" not in written(view)
    assert "[bold]x[/bold]" in written(view)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    with local_steps():
        yield told_build(tmp_path_factory.mktemp("view"))


def told(recipe, row_id) -> str:
    view = Terminal(file=io.StringIO(), width=200, soft_wrap=True)
    print_story(explain(recipe, row_id), view)
    return written(view)


def test_the_story_tells_every_event(recipe):
    text = told(recipe, "p0002")
    for event in explain(recipe, "p0002")[0].events:
        assert f"{event['step']} {event['name']}: changed ({event['field']}): {event['reason']}" in text
        assert event["after"] in text
    assert "attempt 2: A worse text than" in text
    assert "order 2: answer B, first rejected, prefers alt-text" in text
    assert "written to the preference set: preference/preference-00000.parquet, row 1" in text


def test_the_story_tells_duplicates_and_drops(recipe):
    assert "Duplicate of p0000" in told(recipe, "p0014")
    assert "dropped by step 5, told-twins: near-duplicate of a better row" in told(recipe, "p0014")
    assert "p0014 (row 15): near-duplicate of a better row" in told(recipe, "p0000")


@pytest.mark.parametrize("row_id", ["p0006", "p0016", "p0026", "p0036"])
def test_hostile_posts_reach_the_terminal_as_text(recipe, row_id):
    text = told(recipe, row_id)
    assert all(char.isprintable() or char == "\n" for char in text)
    said = explain(recipe, row_id)[0].read["alt"]
    assert re.sub("[\x07\x1b\u202a-\u202e]", lambda char: ascii(char[0])[1:-1], said) in text


def test_markup_in_a_post_is_shown_as_it_is(recipe):
    assert "[bold]loud[/bold]" in told(recipe, "p0036")
