"""``--read`` of score, compare and evaluate: words read in pictures, and the metrics of lettering that come of it."""

import json

import pytest

from trifacet.metrics import paper
from trifacet.metrics.lettering import LETTERING, PRECISION, RECALL
from trifacet.metrics.wordnet import packaged_wordnet


@pytest.fixture(autouse=True)
def packaged_synonyms(monkeypatch):
    monkeypatch.setattr(paper, "find_wordnet", packaged_wordnet)  # an installed one takes seconds to read


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def stated(tmp_path):
    """Two test posts that say what stands in their pictures, of which there are none."""
    rows = [
        {"id": "a", "image": "a.png", "context": "", "references": ["a sign"], "extra": {"lettering": ["BOOK FAIR"]}},
        {"id": "b", "image": "b.png", "context": "", "references": ["a door"], "extra": {"lettering": ["Room 12"]}},
    ]
    right = write(tmp_path / "right.jsonl", {"id": "a", "text": 'It reads "Book fair"'}, {"id": "b", "text": "Room 12"})
    wrong = write(tmp_path / "wrong.jsonl", {"id": "a", "text": 'It reads "Cook fair"'}, {"id": "b", "text": "Room 13"})
    return write(tmp_path / "test.jsonl", *rows), right, wrong


@pytest.fixture
def pictured(tmp_path, monkeypatch):
    """A test post with a picture of letters that nobody has read yet."""
    pytest.importorskip("rapidocr", reason="pip install 'trifacet[lettering]'")
    from PIL import Image, ImageDraw, ImageFont

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    picture = Image.new("RGB", (320, 90), "white")
    ImageDraw.Draw(picture).text((30, 25), "Platform 9", font=ImageFont.load_default(36), fill="black")
    (tmp_path / "photos").mkdir()
    picture.save(tmp_path / "photos" / "sign.png")
    test = write(tmp_path / "test.jsonl", {"id": "a", "image": "sign.png", "context": "", "references": ["a sign"]})
    return test, tmp_path / "photos"


def test_rows_that_state_their_words_are_scored_without_reading(stated, trifacet, tmp_path):
    test, right, wrong = stated
    code, out, _ = trifacet("score", wrong, "--references", test, "--json", tmp_path / "scores.json", "--intervals")
    assert code == 0
    document = json.loads((tmp_path / "scores.json").read_text())
    assert document["metrics"][RECALL] == 50 and document["metrics"][PRECISION] == 50
    assert RECALL in document["unofficial"]
    assert document["intervals"][RECALL] is not None
    assert f"{RECALL}*" in out
    code, out, _ = trifacet("score", right, "--references", test, "--read", "--json", "-")
    assert code == 0 and json.loads(out)["metrics"][RECALL] == 100  # nothing is left to read


def test_compare_tests_the_metrics_and_its_page_shows_what_was_read(stated, trifacet, tmp_path):
    test, right, wrong = stated
    page, document = tmp_path / "page.html", tmp_path / "compared.json"
    code, *_ = trifacet("compare", right, wrong, "--references", test, "--html", page, "--json", document)
    assert code == 0
    told = json.loads(document.read_text())
    (recall,) = [one for one in told["metrics"] if one["metric"] == RECALL]
    assert recall["better"] == "higher" and recall["units"] == 2
    assert not any(value["official"] for value in recall["values"].values())
    (difference,) = [one for one in told["differences"] if one["metric"] == RECALL]
    assert difference["difference"] == -50 and difference["losses"] == 2
    shown = page.read_text(encoding="utf-8")
    assert "Read in the picture" in shown and "“<bdi>BOOK FAIR</bdi>”" in shown


def test_values_of_each_sample_know_their_direction(stated, trifacet, tmp_path):
    test, right, wrong = stated
    for texts in (right, wrong):
        trifacet("score", texts, "--references", test, "--per-sample", tmp_path / f"{texts.stem}.rows.jsonl")
    rows = [f"{name}={tmp_path / f'{name}.rows.jsonl'}" for name in ("right", "wrong")]
    code, out, _ = trifacet("compare", *rows, "--metrics", RECALL, "--json", "-")
    assert code == 0 and json.loads(out)["metrics"][0]["better"] == "higher"


def test_pictures_are_read_where_it_is_asked_for(pictured, trifacet, tmp_path):
    test, photos = pictured
    right = write(tmp_path / "right.jsonl", {"id": "a", "text": 'A sign, "Platform 9"'})
    wrong = write(tmp_path / "wrong.jsonl", {"id": "a", "text": 'A sign, "Platform 4"'})
    code, out, _ = trifacet("score", right, "--references", test, "--images", photos, "--json", "-")
    assert code == 0 and not json.loads(out)["metrics"].keys() & set(LETTERING)
    code, out, _ = trifacet("score", right, "--references", test, "--images", photos, "--read", "--json", "-")
    assert code == 0 and json.loads(out)["metrics"][RECALL] == json.loads(out)["metrics"][PRECISION] == 100
    given = ("--references", test, "--images", photos, "--read", "--common", "--json", "-")
    code, out, _ = trifacet("compare", right, wrong, *given)
    (recall,) = [one for one in json.loads(out)["differences"] if one["metric"] == RECALL]
    assert code == 0 and recall["difference"] == -50


def test_references_without_pictures_are_told(trifacet, tmp_path):
    pytest.importorskip("rapidocr", reason="pip install 'trifacet[lettering]'")
    texts = write(tmp_path / "texts.jsonl", {"id": "a", "text": "a sign"})
    code, _, said = trifacet("score", texts, "--references", texts, "--read")
    assert code == 2 and "there are no pictures to read" in said and said.count("\n") == 1


def test_a_missing_engine_is_one_line(pictured, trifacet, tmp_path, monkeypatch):
    import sys

    test, photos = pictured
    for name in [name for name in sys.modules if name.startswith("trifacet.lettering.engines.rapid")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    texts = write(tmp_path / "texts.jsonl", {"id": "a", "text": "a sign"})
    code, _, said = trifacet("score", texts, "--references", test, "--images", photos, "--read")
    assert code == 2
    assert "rapidocr" in said and "pip install 'trifacet[lettering]'" in said
    assert len([line for line in said.splitlines() if line.startswith("error")]) == 1 and "Traceback" not in said


def test_evaluate_reads_before_the_models_and_its_report_has_the_metrics(pictured, trifacet, tiny_folder, tmp_path):
    test, photos = pictured
    given = ("evaluate", f"tiny={tiny_folder}", "--data", test, "--images", photos, "--read", "--no-probe")
    quick = ("--beams", 1, "--max-new-tokens", 4, "--device", "cpu")
    code, _, said = trifacet(*given, "--output", tmp_path / "out", *quick)
    assert code == 0, said
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    (recall,) = [one for one in told["metrics"] if one["metric"] == RECALL]
    assert recall["values"]["tiny"]["value"] == 0  # it has learned nothing
    assert RECALL in (tmp_path / "out" / "tables.md").read_text(encoding="utf-8")


def test_evaluate_without_a_test_set_has_nothing_to_read(trifacet, tmp_path):
    code, _, said = trifacet("evaluate", "any", "--output", tmp_path / "out", "--benchmark", "pope=none", "--read")
    assert code == 2 and "--read reads the pictures of a test set" in said
