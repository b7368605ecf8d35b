"""MMStar: how an answer is read, the numbers, and pictures inside its two files."""

import base64
import csv
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trifacet.base.embedded import kept_picture
from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered
from trifacet.benchmarks.known import mmstar

ALL = [(category, kind) for category, kinds in mmstar.CATEGORIES.items() for kind in kinds]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def picture(colour="red", size=(8, 6)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def row(number, **more):
    category, kind = ALL[number % len(ALL)]
    return {
        "index": number,
        "question": f"Which is it, {number}?\nOptions: A: one, B: two, C: three, D: four",
        "image": picture(),
        "answer": "B",
        "category": category,
        "l2_category": kind,
        **more,
    }


def parquet(folder, rows):
    held = [{**one, "image": {"bytes": one["image"], "path": "../../elsewhere.png"}} for one in rows]
    pq.write_table(pa.Table.from_pylist(held), folder / mmstar.PARQUET)
    return folder


def table(folder, rows):
    with (folder / mmstar.TABLE).open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        names = ["index", "question", "answer", "category", "l2_category", "bench", "image"]
        writer.writerow(names)
        for one in rows:
            image = one["image"]
            text = base64.b64encode(image).decode() if isinstance(image, bytes) else image
            writer.writerow({**one, "bench": "SEEDBench_IMG", "image": text}[name] for name in names)
    return folder


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("B", True),
        (" b\n", True),
        ("B: two", True),
        ("(B) two", True),
        ("Option B", True),
        ("The answer is B.", True),
        ("But it is A", True),  # the first letter decides, whatever word it begins
        ("(\nB)", False),
        ("The answer is (B)", False),
        ("Answer: B", False),
        ("two", False),
        ("A", False),
        ("(", False),
        ("", False),
    ],
)
def test_an_answer_is_read_by_how_it_begins(answer, right):
    assert mmstar.is_right(answer, "B") is right


def test_both_files_hold_the_same(tmp_path):
    rows = [row(number) for number in range(len(ALL))]
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    items = mmstar.read(parquet(first, rows))
    assert items == mmstar.read(table(second, rows))
    assert kept_picture(items[3].image).read_bytes() == rows[3]["image"]
    assert items[3].image.endswith("/3.jpg") and "elsewhere" not in items[3].image
    assert items[3].prompt == f"{items[3].question}\n{mmstar.INSTRUCTION}"


def test_a_table_may_hold_large_pictures(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    assert len(file.getvalue()) > 200_000, "more than a cell of the csv module may have by itself"
    limit = csv.field_size_limit()
    items = mmstar.read(table(tmp_path, [row(0, image=file.getvalue())]))
    assert kept_picture(items[0].image).read_bytes() == file.getvalue() and csv.field_size_limit() == limit


def test_numbers(tmp_path):
    items = mmstar.read(table(tmp_path, [row(0), row(0 + 18, index=18), row(1), row(17)]))
    answers = ["B", "A", "(B)", "none"]
    outcome = mmstar.score([Answered(*pair) for pair in zip(items, answers, strict=True)])
    values = {measure.name: measure.value for measure in outcome.measures}
    assert values["accuracy"] == 50.0 and values["coarse_perception"] == pytest.approx(200 / 3)
    assert values["coarse_perception/image_scene_and_topic"] == 50.0
    assert values["coarse_perception/image_style_and_quality"] == 100.0
    assert values["math"] == values["math/statistical_reasoning"] == 0.0 and "logical_reasoning" not in values
    assert (outcome.counts["accuracy/right"], outcome.counts["accuracy/questions"]) == (2, 4)
    assert outcome.of_items["18"] == {"correct": 0.0}
    assert not any(measure.unofficial for measure in outcome.measures)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("index", "one"),
        ("index", 0),
        ("question", " "),
        ("answer", "E"),
        ("category", "perception"),
        ("l2_category", "geometry"),
        ("image", "not base64!"),
        ("image", ""),
    ],
)
def test_bad_rows_are_named(tmp_path, field, value):
    with pytest.raises(DataError) as caught:
        mmstar.read(table(tmp_path, [row(0), row(1, **{field: value})]))
    assert (caught.value.file.name, caught.value.row, caught.value.field) == (mmstar.TABLE, 2, field)


def test_what_is_no_picture_is_told_before_a_model_is_asked(trifacet, tmp_path):
    data = parquet(tmp_path, [row(0), row(1, image=b"no picture at all")])
    code, out, _ = trifacet("benchmarks", "check", "mmstar", "--data", data, "--json", "-")
    assert code == 1 and "1.jpg" in out
    command = [
        "benchmarks",
        "run",
        "mmstar",
        "--data",
        data,
        "--model",
        tmp_path / "none",
        "--output",
        tmp_path / "out",
    ]
    code, _, told = trifacet(*command)
    assert code == 2 and "1 of 2 pictures are missing or damaged: '1.jpg'" in told


def test_a_model_answers_pictures_of_the_file(trifacet, tmp_path, tiny_folder):
    data = parquet(tmp_path, [row(number, image=picture(size=(40, 30))) for number in range(3)])
    command = ["benchmarks", "run", "mmstar", "--data", data, "--model", tiny_folder, "--output", tmp_path / "out"]
    code, out, told = trifacet(*command, "--max-new-tokens", 3, "--json", "-")
    assert code == 0, told
    found = json.loads(out)
    assert found["items"] == 3 and set(found["counts"]) >= {"accuracy/right"} and not found["official"]


def test_answers_of_toolkits_are_matched(trifacet, tmp_path):
    rows = [row(number) for number in range(3)]
    data = table(tmp_path, rows)
    lmms = tmp_path / "x_samples_mmstar.jsonl"
    lines = [
        {"doc_id": n, "input": f"{one['question']}\n{mmstar.INSTRUCTION}", "filtered_resps": ["B"]}
        for n, one in enumerate(rows)
    ]
    lmms.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, told = trifacet("benchmarks", "score", "mmstar", "--data", data, "--answers", lmms, "--json", "-")
    assert code == 0, told
    assert json.loads(out)["metrics"]["accuracy"]["value"] == 100.0
