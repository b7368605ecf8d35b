"""What is told of a build: counts add up, examples are drawn fairly, a row's story is whole, the audit counts right."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections import Counter

import pyarrow as pa
import pytest
from told_build import local_steps, raw_posts, told_build, told_recipe

from trifacet.base.errors import TrifacetError
from trifacet.building.build import run_build
from trifacet.building.examples import Reason, draw_events, examples
from trifacet.building.plan import stages_of
from trifacet.building.rows import EVENTS
from trifacet.building.stage_folder import StageFolder, events_of
from trifacet.building.story import audit, explain, steps_told


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    with local_steps():
        yield told_build(tmp_path_factory.mktemp("told"))


@pytest.fixture(scope="module")
def events(recipe):
    return list(events_of(stages_of(recipe)))


def test_at_every_step_rows_in_are_rows_out_and_rows_that_left(recipe, events):
    told = steps_told(recipe)
    for step, following in zip(told, [*told[1:], None], strict=True):
        assert step.rows_in == step.rows_out + step.total("drop") + step.total("fail")
        assert following is None or following.rows_in == step.rows_out
        naive = Counter((one["verdict"], one["reason"]) for one in events if one["step"] == step.index)
        assert step.counts == naive
        assert step.parts == step.of_parts > 1
    assert told[0].total("fail") == 8  # one line that is no JSON, seven ids used before
    assert {step.name for step in told if step.total("drop")} == {"alt-length", "told-twins", "told-verify"}


def test_an_unfinished_build_is_told_as_far_as_it_has_come(recipe, tmp_path):
    part = recipe.model_copy(update={"output": str(tmp_path / "part")})
    shutil.copytree(recipe.folder, part.folder)
    (part.folder / "manifest.json").unlink()
    log = stages_of(part)[2].folder / "parts.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join(lines[:2]) + '\n{"part": 2, "fi')  # killed while it wrote
    told = steps_told(part)
    assert [step.parts for step in told[4:7]] == [5, 2, 2]
    assert told[5].rows_in == told[5].rows_out + told[5].total("drop")
    assert explain(part, "p0009")[0].ending.state == "not yet"


def test_every_reason_has_examples_and_they_are_events_of_it(recipe, events):
    found = examples(recipe, per_reason=3)
    rows = {
        reason: {e["row"] for e in events if Reason(e["step"], e["verdict"], e["reason"]) == reason} for reason in found
    }
    assert set(found) == {Reason(one["step"], one["verdict"], one["reason"]) for one in events}
    for reason, shown in found.items():
        assert len(shown) == min(3, len(rows[reason]))
        assert len({one.events[0]["row"] for one in shown}) == len(shown)
        for one in shown:
            assert {event["row"] for event in one.events} <= rows[reason]
            assert one.row is None or one.row["row"] == one.events[0]["row"]
            assert (one.row is None) == (reason.step == 0)
    twins = next(shown for reason, shown in found.items() if reason.reason == "near-duplicate of a better row")
    assert all(one.kept and one.kept["context"] == one.row["context"] for one in twins)


def test_examples_depend_on_the_seed_and_not_on_part_borders(recipe, tmp_path):
    def drawn(**changes):
        other = told_recipe(tmp_path / str(changes), recipe_posts(recipe), **changes)
        run_build(other, workers=1)
        return {
            reason: [event["row"] for one in shown for event in one.events] for reason, shown in examples(other).items()
        }

    assert drawn(part_rows=7) == drawn(part_rows=1000)
    assert drawn(seed=18) != drawn(seed=17)


def recipe_posts(recipe):
    return recipe.sources[0].path


def test_examples_of_many_events_need_little_memory(tmp_path):
    def peak(parts: int) -> int:
        stage = StageFolder(tmp_path / str(parts))
        for part in range(parts):
            table = pa.Table.from_pylist(
                [
                    {"row": row, "id": str(row), "step": 1, "name": "x", "verdict": "drop", "reason": f"r{row % 3}",
                     "field": "alt", "before": "a text of some length " * 20}
                    for row in range(part * 500, part * 500 + 500)
                ],
                schema=EVENTS,
            )  # fmt: skip
            name, digest = stage.write("events", part, table)
            stage.add("parts", {"part": part, "files": {name: digest}, "steps": []})
        del table
        tracemalloc.start()
        before = pa.total_allocated_bytes()
        drawn = draw_events([stage], 17, 4)
        assert [len(rows) for rows in drawn.values()] == [4, 4, 4]
        assert pa.total_allocated_bytes() - before < 1_000_000
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)  # what is imported on the way
    assert peak(80) < 1.5 * peak(8)


def test_the_story_of_every_row_holds_all_its_events(recipe, events):
    ids = {one["id"] for one in events if one["id"]}
    told = {story.row: story for row_id in ids for story in explain(recipe, row_id)}
    for row in {one["row"] for one in events if one["id"]}:
        seen = [(one["step"], one["verdict"], one["reason"], one["field"]) for one in told[row].events]
        assert seen == [(e["step"], e["verdict"], e["reason"], e["field"]) for e in events if e["row"] == row]


def test_endings(recipe):
    import pyarrow.parquet as pq

    written = explain(recipe, "p0009")[0]
    shard = pq.read_table(recipe.folder / written.ending.file).to_pylist()
    assert written.ending.state == "written"
    assert shard[written.ending.file_row - 1]["id"] == "p0009"
    assert explain(recipe, "p0011")[0].ending.words == "dropped by step 2, alt-length: alt-text too short"
    assert explain(recipe, "p0025")[0].ending.state == "failed"
    assert written.source == recipe.sources[0].path
    lines = raw_lines(recipe)
    assert lines[written.source_row - 1]["id"] == "p0009"


def raw_lines(recipe):
    with open(recipe.sources[0].path, encoding="utf-8") as file:  # noqa: PTH123
        return [json.loads(line) if not line.startswith('{"id": "torn"') else None for line in file]


def test_duplicates_are_told_from_both_sides(recipe):
    kept, dropped = explain(recipe, "p0000")[0], explain(recipe, "p0014")[0]
    assert dropped.kept["id"] == "p0000"
    assert [one["id"] for one in kept.dropped_for_it] == [f"p00{tens}4" for tens in range(1, 8)]
    assert kept.kept is None
    assert not dropped.dropped_for_it


def test_all_rows_that_share_an_id_are_told(recipe):
    stories = explain(recipe, "p0007")
    assert [story.ending.state for story in stories] == ["written", *["failed"] * 7]
    assert all(story.read is None and story.kept["row"] == 7 for story in stories[1:])
    assert [story.source_row for story in stories] == [8, *range(19, 80, 10)]


def test_an_unknown_id_names_its_neighbours(recipe, tmp_path):
    with pytest.raises(TrifacetError, match=r"no row .* 'p00123'; the nearest ids are .*'p0012'.*go by FILE-ROW"):
        explain(recipe, "p00123")
    with pytest.raises(TrifacetError, match="no row"):
        explain(recipe, "")
    with pytest.raises(TrifacetError, match="holds no build"):
        explain(recipe.model_copy(update={"output": str(tmp_path / "none")}), "p0001")


def test_the_audit_equals_a_naive_count(recipe, events):
    faults = {fault.label: fault for fault in audit(recipe)}
    planted = [(row, line["fault"]) for row, line in enumerate(raw_lines(recipe)) if line and "fault" in line]
    gone = {one["row"]: one for one in events if one["verdict"] in ("drop", "fail")}
    changed = {one["row"] for one in events if one["verdict"] == "change" and one["field"] in ("alt", "context")}
    assert set(faults) == {label for _, label in planted}
    for label, fault in faults.items():
        rows = [row for row, name in planted if name == label]
        dropped = [row for row in rows if row in gone and gone[row]["verdict"] == "drop"]
        assert fault.planted == len(rows)
        assert fault.dropped.total() == len(dropped)
        assert fault.failed.total() == len([row for row in rows if row in gone]) - len(dropped)
        assert fault.changed_rows == len([row for row in rows if row in changed and row not in gone])
        assert fault.planted == len([r for r in rows if r in gone]) + fault.changed_rows + fault.kept + fault.waiting
    assert faults["same id"].failed == {("read", "id used before"): 7}
    assert faults["name"].changed == {("told-names", "names replaced"): 8}


def test_an_audit_of_an_unfinished_build_waits(tmp_path):
    with local_steps():
        recipe = told_recipe(tmp_path, raw_posts(tmp_path / "raw", 20))
        with pytest.raises(KeyboardInterrupt):
            run_build(recipe, workers=1, show=stop_after_names)
        assert sum(fault.waiting for fault in audit(recipe)) > 0
        assert sum(fault.kept for fault in audit(recipe)) == 0


def stop_after_names(progress):
    if progress.steps[3].state == "done":
        raise KeyboardInterrupt


def test_no_audit_without_a_field(recipe):
    assert audit(recipe.model_copy(update={"audit": None})) == []
