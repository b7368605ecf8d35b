"""Rejected contexts and images of a build: whose they are, and that nothing but the rows and the seed decides."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from asked import in_parts, tools_in
from PIL import Image, ImageChops, ImageStat
from pydantic import ValidationError
from rows_of import table_of

from trifacet.building.lending import OutsideCluster, TextsOnDisk, decisions_in_turn
from trifacet.building.steps import STEPS

CONTEXT, IMAGE = STEPS["rejected-context"], STEPS["rejected-image"]
MADE_STRATEGIES = ["diffusion", "blackness", "crop", "rotation", "small-crop", "random-region"]


def contexts(amount, **columns):
    return [{"context": f"post {k}", "split": "preference"} | columns for k in range(amount)]


def pictured(folder, amount, **columns):
    """Rows with pictures of several sizes; the last has the same file content as the first, under another name."""
    root, rng, rows = tools_in(folder).roots["0"], np.random.default_rng(3), []
    for k in range(amount):
        size = [(64, 48), (40, 80), (50, 50)][k % 3]
        coarse = Image.fromarray(rng.integers(0, 255, (5, 5, 3), dtype=np.uint8)).resize(size)
        coarse.save(root / f"{k}.png")
        if k == amount - 1:
            (root / f"{k}.png").write_bytes((root / "0.png").read_bytes())
        digest = hashlib.sha256((root / f"{k}.png").read_bytes()).hexdigest()
        rows.append({"file": f"0:{k}.png", "sha256": digest, "split": "preference"} | columns)
    return rows


def test_a_rejected_context_is_another_posts(tmp_path):
    rows = contexts(12)
    rows[3]["context"] = " post 5 "  # a twin
    rows[7]["context"] = ""
    for k in (0, 1, 2):
        rows[k]["cluster"] = 0
    done, events = in_parts(CONTEXT, table_of(*rows), tmp_path, 5, versions=4)
    lent = [row["rejected_contexts"] for row in done]
    assert lent[7] is None
    for k, row in enumerate(rows):
        if k != 7:
            assert len(set(lent[k])) == 4
            assert row["context"].strip() not in [text.strip() for text in lent[k]]
            assert "" not in lent[k]
    for k in (0, 1, 2):
        assert not {"post 0", "post 1", "post 2"} & set(lent[k])
    assert {event["verdict"] for event in events} == {"change"}


@pytest.mark.parametrize("step", [CONTEXT, IMAGE])
def test_only_rows_of_the_preference_set_borrow_and_lend(tmp_path, step):
    rows = pictured(tmp_path, 8)
    for k, row in enumerate(rows):
        row |= {"context": f"post {k}", "split": "preference" if k < 4 else "sft"}
    done, _ = in_parts(step, table_of(*rows), tmp_path, 3, **({"strategy": "randomness"} if step is IMAGE else {}))
    name = "rejected_images" if step is IMAGE else "rejected_contexts"
    own = [row["file"] if step is IMAGE else row["context"] for row in rows[:4]]
    assert all(row[name][0] in own for row in done[:4])
    assert all(row[name] is None for row in done[4:])
    without = [row | {"split": None} for row in rows]
    done, _ = in_parts(step, table_of(*without), tmp_path, 3, **({"strategy": "randomness"} if step is IMAGE else {}))
    assert all(row[name] for row in done)


@pytest.mark.parametrize(
    ("step", "options"), [(CONTEXT, {}), (IMAGE, {"strategy": "randomness"}), (IMAGE, {"strategy": "crop"})]
)
def test_parts_decide_nothing(tmp_path, step, options):
    rows = [row | {"context": f"post {k}"} for k, row in enumerate(pictured(tmp_path, 11))]
    table = table_of(*rows)
    whole = in_parts(step, table, tmp_path, 100, versions=2, **options)
    assert in_parts(step, table, tmp_path, 3, versions=2, **options) == whole


@pytest.mark.parametrize(
    ("step", "name", "value"), [(CONTEXT, "rejected_contexts", ["given"]), (IMAGE, "rejected_images", ["0:0.png"])]
)
def test_what_the_source_gave_stays(tmp_path, step, name, value):
    rows = [row | {"context": f"post {k}"} for k, row in enumerate(pictured(tmp_path, 4))]
    rows[2][name] = value
    done, events = in_parts(step, table_of(*rows), tmp_path, 2)
    assert done[2][name] == value
    assert "r2" not in {event["id"] for event in events}


def test_a_row_without_others_is_told_and_stays(tmp_path):
    rows = [row | {"context": "the same"} for row in pictured(tmp_path, 3)]
    rows[1]["sha256"] = rows[0]["sha256"]
    done, events = in_parts(CONTEXT, table_of(*rows), tmp_path, 2)
    assert [row["rejected_contexts"] for row in done] == [None] * 3
    assert {(event["verdict"], event["reason"]) for event in events} == {("note", "no other post to reject")}
    done, events = in_parts(IMAGE, table_of(*rows[:2]), tmp_path, 2, strategy="randomness")
    assert {(event["verdict"], event["reason"]) for event in events} == {("note", "no other image to reject")}


def test_a_rejected_image_of_another_row_is_another_image(tmp_path):
    rows = pictured(tmp_path, 9)
    for k in (2, 3, 4):
        rows[k]["cluster"] = 2
    for row in rows:
        row["more_files"] = ["0:1.png"]  # every post shows it beside its own
    done, _ = in_parts(IMAGE, table_of(*rows), tmp_path, 4, strategy="randomness", versions=3)
    digests = {row["file"]: row["sha256"] for row in rows}
    for k, row in enumerate(done):
        lent = row["rejected_images"]
        assert len({digests[file] for file in lent}) == 3
        assert rows[k]["sha256"] not in {digests[file] for file in lent}
        if k in (2, 3, 4):
            assert not {"0:2.png", "0:3.png", "0:4.png"} & set(lent)
        assert "0:1.png" not in lent


@pytest.mark.parametrize("strategy", MADE_STRATEGIES)
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_made_images_are_files_of_the_chosen_ones_size(tmp_path, strategy, kind):
    rows = pictured(tmp_path, 4)
    rows[1]["id"] = "../../escape"
    done, events = in_parts(IMAGE, table_of(*rows), tmp_path, 2, strategy=strategy, format=kind, versions=2)
    tools, seen = tools_in(tmp_path), set()
    for row in done:
        assert len(row["rejected_images"]) == 2
        for file in row["rejected_images"]:
            chosen, made = tools.image(row["file"]), tools.image(file)
            assert made.size == chosen.size
            assert sum(ImageStat.Stat(ImageChops.difference(made, chosen)).mean) > 5
            assert "escape" not in file
            seen.add(file)
    assert len(seen) == 8  # rows of the same picture too have their own
    assert len([path for path in tools.roots["made"].rglob("*") if path.is_file()]) == 8
    assert {event["reason"] for event in events} == {"image made"}


def test_blackness_is_black_and_noise_depends_on_the_seed(tmp_path):
    done, _ = in_parts(IMAGE, table_of(*pictured(tmp_path, 1)), tmp_path, 2, strategy="blackness", format="png")
    assert tools_in(tmp_path).image(done[0]["rejected_images"][0]).getextrema() == ((0, 0),) * 3
    again, _ = in_parts(IMAGE, table_of(*pictured(tmp_path, 1)), tmp_path, 2, t=300)
    stronger, _ = in_parts(IMAGE, table_of(*pictured(tmp_path, 1)), tmp_path, 2, t=900)
    assert again[0]["rejected_images"] != stronger[0]["rejected_images"]


def test_a_build_knows_no_regions():
    with pytest.raises(ValidationError, match="a build knows no regions, which strategy 'region-blur' spoils"):
        IMAGE.parameters(strategy="region-blur")


def test_an_image_that_cannot_be_opened_fails_its_row(tmp_path):
    rows = pictured(tmp_path, 3)
    (tmp_path / "images" / "1.png").write_bytes(b"not an image")
    done, events = in_parts(IMAGE, table_of(*rows), tmp_path, 2, strategy="crop")
    assert [row["id"] for row in done] == ["r0", "r2"]
    assert [event["verdict"] for event in events if event["id"] == "r1"] == ["fail"]


def test_texts_on_disk_are_those_that_were_written(tmp_path):
    texts = ["", "ä" * 3, "line\nline", *(f"text {k}" * (k % 7) for k in range(20_000))]
    kept = TextsOnDisk(iter(texts), tmp_path)
    assert len(kept) == len(texts)
    assert [kept[k] for k in (0, 1, 2, 8191, 8192, 19_999)] == [texts[k] for k in (0, 1, 2, 8191, 8192, 19_999)]
    assert kept[5:9] == texts[5:9]
    assert list(tmp_path.iterdir()) == []  # nothing is left behind, whatever ends the process
    clusters = np.array([3, -1, 3, -1] + [-1] * (len(texts) - 4))
    assert OutsideCluster(kept, clusters, 0)[2] == ""
    assert OutsideCluster(kept, clusters, 1)[3] == texts[3]  # -1 is no cluster


def test_decisions_are_made_while_they_are_read():
    made = []

    def rows():
        for k in range(20_000):
            made.append(k)
            yield k, [f"text {k}"]

    reader = decisions_in_turn(rows(), "texts")
    first = reader.read_next_batch()
    assert len(made) == len(first) < 20_000
    table = pa.Table.from_batches([first, *reader])
    assert table.column("row").to_pylist() == list(range(20_000))
    assert table.column("texts")[19_999].as_py() == ["text 19999"]
