"""With on_bad_row: skip, what cannot be used is left out, counted and listed; the rest trains as if it were all."""

import json
import shutil

import pytest
import torch
from PIL import Image
from small_runs import STAGE, Command, recipe_file, recipe_of, train, weights_of

from trifacet.base.errors import TrifacetError
from trifacet.data.checking import check_file
from trifacet.runs.run import run_recipe
from trifacet.training.bad_rows import read_skipped

SKIP = {"data.on_bad_row": "skip"}


@pytest.fixture
def data(tmp_path, world):
    return shutil.copytree(world, tmp_path / "data")


def edit(file, number, change):
    """Change row ``number`` (from 1): a function of its values, or the text that replaces it."""
    lines = file.read_text().splitlines()
    if isinstance(change, str):
        lines[number - 1] = change
    else:
        row = json.loads(lines[number - 1])
        change(row)
        lines[number - 1] = json.dumps(row)
    file.write_text("\n".join(lines) + "\n")


def without(file, *numbers):
    lines = file.read_text().splitlines()
    file.write_text("".join(line + "\n" for number, line in enumerate(lines, 1) if number not in numbers))


def image_of(file, number):
    return file.parent / json.loads(file.read_text().splitlines()[number - 1])["image"]


def decodes_by_half(path):
    """The header is fine and half of the picture is missing: only decoding shows it."""
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    image.save(path, "PNG")
    path.write_bytes(path.read_bytes()[:-4000])
    assert Image.open(path).size == (64, 64)


def spoil(data):
    """A bad row of each kind, by row: the field and a part of the reason."""
    file = data / "preference.jsonl"
    image_of(file, 2).unlink()
    decodes_by_half(image_of(file, 4))
    Image.new("1", (400, 400)).save(image_of(file, 6), format="PNG")
    edit(file, 8, lambda row: row.update(response=" ".join(["word"] * 2000)))
    edit(file, 10, lambda row: row.update(rejected_responses=[]))
    edit(file, 12, '{"id": "half a row')
    edit(file, 14, lambda row: row.update(response="  "))
    edit(file, 16, lambda row: row.update(id=json.loads(file.read_text().splitlines()[0])["id"]))
    return {
        2: ("image", "no image file"),
        4: ("image", "damaged or truncated"),
        6: ("image", "more than the limit"),
        8: (None, "more than data.max_length"),
        10: ("rejected_responses", "has no rejected response"),
        12: (None, "broken JSON"),
        14: ("response", "is empty"),
        16: ("id", "is already that of row 1"),
    }


CHANGES = {
    **SKIP,
    "data.max_pixels": 10_000,
    "data.max_length": 512,
    "sft": None,
    "align.mcm": {**STAGE, "objective": "mcm-dpo", "max_steps": 3},
}


@pytest.fixture
def spoilt(data):
    return spoil(data)


def test_each_kind_of_bad_row_is_left_out_and_listed(data, spoilt, tmp_path, tiny_folder, capfd):
    train(recipe_of(tmp_path / "out", data, tiny_folder, CHANGES), "mcm", tiny_folder)
    listed = read_skipped(tmp_path / "out")
    assert [line["row"] for line in listed] == list(spoilt)
    for line in listed:
        field, reason = spoilt[line["row"]]
        assert line["for"] == "mcm"
        assert line["file"] == str(data / "preference.jsonl")
        assert line["field"] == field
        assert reason in line["reason"]
        assert line["id"] == (None if line["row"] in (12, 14, 16) else f"preference-{line['row'] - 1:05}")
    assert json.loads((tmp_path / "out/models/mcm/done.json").read_text())["samples"] == 8
    said = capfd.readouterr().err
    assert f"mcm: 8 of 16 rows left out, listed in {tmp_path / 'out/skipped.jsonl'}:" in said
    assert "row 2, field 'image': sample 'preference-00001': no image file" in said
    assert "and 5 more" in said


def test_it_trains_as_on_a_file_without_these_rows(data, spoilt, tmp_path, tiny_folder):
    train(recipe_of(tmp_path / "skipping", data, tiny_folder, CHANGES), "mcm", tiny_folder)
    without(data / "preference.jsonl", *spoilt)
    train(recipe_of(tmp_path / "clean", data, tiny_folder, {**CHANGES, "data.on_bad_row": "stop"}), "mcm", tiny_folder)
    mine, theirs = (weights_of(tmp_path / name / "models/mcm") for name in ("skipping", "clean"))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert not (tmp_path / "clean/skipped.jsonl").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_the_donors_of_rejected_versions_are_good_ones(data, tmp_path, tiny_folder, workers):
    """A sample is not blamed for the broken image of another, and does not get it as its rejected one."""
    for number in range(3, 17):
        decodes_by_half(image_of(data / "preference.jsonl", number))
    changes = {**CHANGES, "rejected.image.strategy": "randomness", "data.workers": workers}
    train(recipe_of(tmp_path / "out", data, tiny_folder, changes), "mcm", tiny_folder)
    assert [line["row"] for line in read_skipped(tmp_path / "out")] == list(range(3, 17))


def test_what_leaves_a_sample_without_a_donor_leaves_it_out_too(data, tmp_path, tiny_folder):
    for number in range(2, 17):
        image_of(data / "preference.jsonl", number).unlink()
    message = r"none of its rows can be used \(16 left out; the first is row 1: no other sample has a different context"
    with pytest.raises(TrifacetError, match=message):
        train(recipe_of(tmp_path / "out", data, tiny_folder, CHANGES), "mcm", tiny_folder)


def test_the_default_stops_at_the_first(data, spoilt, tmp_path, tiny_folder):
    with pytest.raises(TrifacetError, match=r"preference.jsonl, row 12: broken JSON"):
        train(
            recipe_of(tmp_path / "out", data, tiny_folder, {**CHANGES, "data.on_bad_row": "stop"}), "mcm", tiny_folder
        )
    assert not (tmp_path / "out/skipped.jsonl").exists()


def test_a_file_that_is_damaged_as_a_whole_is_not_skipped(data, tmp_path, tiny_folder):
    rows = [json.loads(line) for line in (data / "preference.jsonl").read_text().splitlines()]
    (data / "preference.jsonl").write_text(json.dumps(rows)[:-500])
    with pytest.raises(TrifacetError, match="broken JSON at line 1"):
        run_recipe(recipe_of(tmp_path / "out", data, tiny_folder, CHANGES))
    assert not (tmp_path / "out").exists()


def test_a_run_leaves_out_bad_held_out_posts_and_the_report_shows_all(data, tmp_path, tiny_folder):
    """Stopped at first, the run goes on with --on-bad-row skip: no stage had met a bad row."""
    file = data / "test.jsonl"
    for number in range(1, 7):  # scoring against references takes longer than all the rest
        edit(file, number, lambda row: row.update(references=[]))
    edit(file, 1, "7")
    image_of(file, 2).write_text("no picture")
    image_of(data / "preference.jsonl", 1).write_text("<b>no picture</b>")
    changes = {
        "sft.max_steps": 1,
        "align.mcm.max_steps": 1,
        "generate.limit": None,
        "rejected.image.strategy": "randomness",
    }
    path = recipe_file(tmp_path, tmp_path / "out", data, tiny_folder, changes)
    stopped = Command(tmp_path, "run", path)
    assert stopped.wait() == 2
    assert "test.jsonl, row 1: is not a JSON object" in stopped.stderr
    command = Command(tmp_path, "run", path, "--on-bad-row", "skip")
    assert command.wait() == 0, command.stderr
    assert "mcm: 1 of 16 rows left out" in command.stderr
    assert "test: 2 of 6 rows left out" in command.stderr
    listed = [(line["for"], line["row"]) for line in read_skipped(tmp_path / "out")]
    assert sorted(listed) == [("mcm", 1), ("test", 1), ("test", 2)]
    for name in ("sft", "mcm"):
        assert len((tmp_path / f"out/generations/{name}.jsonl").read_text().splitlines()) == 4
    page = (tmp_path / "out/report.html").read_text()
    assert "Left out" in page
    assert "1 for <bdi>mcm</bdi>, 2 for <bdi>test</bdi>" in page
    again = Command(tmp_path, "run", path, "--on-bad-row", "skip")
    assert again.wait() == 0
    assert sorted((line["for"], line["row"]) for line in read_skipped(tmp_path / "out")) == sorted(listed)


def test_posts_that_are_watched_are_among_those_that_can_be_used(data, tmp_path, tiny_folder):
    decodes_by_half(image_of(data / "preference.jsonl", 1))
    looking = {**CHANGES["align.mcm"], "max_steps": 1, "eval_every": 1, "eval_samples": 3}
    changes = {**CHANGES, "data.test": None, "align.mcm": looking}
    recipe = recipe_of(tmp_path / "out", data, tiny_folder, changes)
    run_recipe(recipe)
    folder = tmp_path / "out/models/mcm"
    watched = {json.loads(line)["id"] for line in (folder / "samples.jsonl").read_text().splitlines()}
    assert watched == {"preference-00001", "preference-00002"}
    assert "problem" not in json.loads((folder / "done.json").read_text())["difference"]


def reject_the_chosen(data):
    """A row of each kind that ``data check`` calls an error though it can be read, by row: its field."""
    file = data / "preference.jsonl"
    shutil.copy(image_of(file, 5), file.parent / "copy.png")
    edit(file, 3, lambda row: row.update(rejected_responses=[f" {row['response']}\n"]))
    edit(file, 5, lambda row: row.update(rejected_images=["copy.png"]))
    edit(file, 7, lambda row: row.update(rejected_contexts=["Another.", row["context"]]))
    edit(file, 9, lambda row: row.update(rejected_images=[row["image"]]))
    return {3: "rejected_responses", 5: "rejected_images", 7: "rejected_contexts", 9: "rejected_images"}


def test_rows_that_reject_what_they_choose_are_left_out_as_the_check_says(data, tmp_path, tiny_folder):
    equal = reject_the_chosen(data)
    errors = [one for one in check_file(data / "preference.jsonl", "preference").findings if one.severity == "error"]
    assert {one.row: one.field for one in errors} == equal
    with pytest.raises(
        TrifacetError, match=r"preference\.jsonl, row 3, field 'rejected_responses': .*equals the chosen"
    ):
        train(
            recipe_of(tmp_path / "out", data, tiny_folder, {**CHANGES, "data.on_bad_row": "stop"}), "mcm", tiny_folder
        )
    train(recipe_of(tmp_path / "out", data, tiny_folder, CHANGES), "mcm", tiny_folder)
    assert {line["row"]: line["field"] for line in read_skipped(tmp_path / "out")} == equal
    done = json.loads((tmp_path / "out/models/mcm/done.json").read_text())
    assert (done["samples"], done["left_out"]) == (12, 4)


def test_what_no_term_rejects_is_not_compared(data, tmp_path, tiny_folder):
    reject_the_chosen(data)
    changes = {**CHANGES, "align.mcm": {**STAGE, "objective": "dpo", "max_steps": 1}}
    train(recipe_of(tmp_path / "out", data, tiny_folder, changes), "mcm", tiny_folder)
    assert [line["row"] for line in read_skipped(tmp_path / "out")] == [3]
