"""One command gives a table of several benchmarks whose pictures lie inside their files, beside them, or in folders."""

import csv
import io
import json
from base64 import b64encode

import pytest
from PIL import Image

from trifacet.benchmarks.known import mme, mmstar, textvqa


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder for each benchmark, with one or two questions of the released form."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, "PNG")
    for name in ("mmstar", "textvqa/train_images", f"mme/{mme.FOLDER}"):
        (tmp_path / name).mkdir(parents=True)
    with (tmp_path / "mmstar" / mmstar.TABLE).open("w", newline="") as table:
        writer = csv.writer(table, delimiter="\t")
        writer.writerow(["index", "question", "answer", "category", "l2_category", "bench", "image"])
        writer.writerow([0, "Which?", "A", "math", "geometry", "MathVista", b64encode(file.getvalue()).decode()])
    question = {"question_id": 1, "question": "what?", "image_id": "a", "answers": ["stop"] * 10}
    (tmp_path / "textvqa" / textvqa.FILE).write_text(json.dumps({"data": [question]}))
    (tmp_path / "textvqa" / "train_images" / "a.jpg").write_bytes(file.getvalue())
    for name in mme.SUBTASKS:
        lines = "a.jpg\tIs it red? Please answer yes or no.\tYes\na.jpg\tIs it blue? Please answer yes or no.\tNo\n"
        (tmp_path / "mme" / mme.FOLDER / f"{name}.txt").write_text(lines)
        place = tmp_path / "mme" / name / ("images" if name in mme.IN_IMAGES else "")
        place.mkdir(parents=True)
        (place / "a.jpg").write_bytes(file.getvalue())
    return tmp_path


def test_one_command_gives_the_table(trifacet, data, tiny_folder):
    named = [part for name in ("mme", "mmstar", "textvqa") for part in ("--benchmark", f"{name}={data / name}")]
    command = ["evaluate", f"tiny={tiny_folder}", "--output", data / "table", "--max-new-tokens", 3, *named]
    code, _, told = trifacet(*command)
    assert code == 0, told
    table = (data / "table" / "tables.md").read_text()
    for name in ("perception", "cognition", "accuracy"):
        assert name in table
    scores = {name: json.loads((data / "table" / "tiny" / "benchmarks" / name / "scores.json").read_text())
              for name in ("mme", "mmstar", "textvqa")}  # fmt: skip
    assert scores["mme"]["items"] == 28 and scores["mmstar"]["items"] == scores["textvqa"]["items"] == 1
    assert set(scores["mme"]["metrics"]) >= {"perception", "cognition", "total"}
