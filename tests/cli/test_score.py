"""``trifacet score`` on files: the table, the JSON, and one clear line for each kind of bad input."""

import json

import pytest
import typer
from typer.testing import CliRunner

from trifacet.cli.score import score
from trifacet.errors import TrifacetError
from trifacet.evaluation import paper
from trifacet.evaluation.wordnet import WordNet

app = typer.Typer()
app.command()(score)


@pytest.fixture(autouse=True)
def without_wordnet(monkeypatch):
    monkeypatch.setattr(paper, "find_wordnet", lambda: WordNet(None, "left out"))


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def predictions(tmp_path):
    return lines(
        tmp_path / "predictions.jsonl",
        {"id": "1", "text": "a red disc on grass", "new_tokens": 6},
        {"id": "2", "text": ""},
    )


@pytest.fixture
def references(tmp_path):
    return lines(
        tmp_path / "references.jsonl", {"id": "1", "texts": ["a red disc on grass"]}, {"id": 2, "text": "a ring"}
    )


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_table_json_and_rows_agree(predictions, references, tmp_path):
    out, rows = tmp_path / "scores.json", tmp_path / "rows.jsonl"
    result = run(predictions, "--references", references, "--json", out, "--per-sample", rows)
    assert result.exit_code == 0, result.output
    document = json.loads(out.read_text())
    assert list(document) == ["profile", "samples", "metrics", "degenerate", "notes"]
    assert document["profile"] == "paper"
    assert document["samples"] == 2
    assert document["metrics"]["bleu_4"] == pytest.approx(50)
    assert document["metrics"]["meteor"] is None
    assert all(name in result.stdout for name in document["metrics"])
    assert all("note: " + note in result.stderr for note in document["notes"])
    per_sample = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [row["id"] for row in per_sample] == ["1", "2"]
    assert per_sample[0]["bleu_4"] == pytest.approx(100)
    assert per_sample[1]["rouge_l"] == 0


def test_json_on_standard_output_is_json_only(predictions, references):
    result = run(predictions, "--references", references, "--json", "-")
    assert json.loads(result.stdout)["samples"] == 2


@pytest.mark.parametrize(
    "row",
    [
        {"references": ["a red disc"], "extra": {"facts": {"colour": ["red"]}}},
        {"response": "a red disc", "rejected_responses": ["a disc"], "extra": {"facts": {"colour": ["red"]}}},
    ],
    ids=["test set", "preference pairs"],
)
def test_references_from_our_own_data(row, tmp_path):
    pytest.importorskip("trifacet.formats")
    texts = lines(tmp_path / "p.jsonl", {"id": "x", "text": "a red disc"})
    data = lines(tmp_path / "data.jsonl", {"id": "x", "image": "x.png", "context": "Mara posts", **row})
    result = run(texts, "--references", data, "--json", "-")
    assert result.exit_code == 0, result.exception
    metrics = json.loads(result.stdout)["metrics"]
    assert metrics["rouge_l"] == pytest.approx(100, abs=1e-5)
    assert metrics["grounding"] == 100


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"id": "1", "text": "a"}\n{"id": oops}\n', "line 2"),
        ('{"id": "1", "text": "a"}\n[1]\n', "row 2"),
        ('{"id": "1", "text": "a"}\n{"id": "1", "text": "b"}\n', "row 2, field 'id': '1' occurs twice"),
        ('{"id": "1", "text": 3}\n', "row 1, field 'text'"),
        ('{"text": "a"}\n', "row 1, field 'id'"),
        ('{"id": "1", "text": "a"}\n', "lack 1 id: '2'"),
        ('{"id": "1", "text": "a"}\n{"id": "2", "text": "b"}\n{"id": "3", "text": "c"}\n', "do not have 1 id: '3'"),
        ("\n", "has no row"),
        ('{"id": "1", "text": "\\ud800"}\n', "surrogate"),
    ],
)
def test_bad_predictions(content, named, references, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text(content, encoding="utf-8")
    out = tmp_path / "scores.json"
    result = run(path, "--references", references, "--json", out)
    assert isinstance(result.exception, TrifacetError), result.output
    assert named in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not out.exists()


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"id": "1", "texts": "a"}, "field 'texts': is not a list"),
        ({"id": "1", "texts": [" "]}, "field 'texts': is empty"),
        ({"id": "1", "text": None}, "field 'text'"),
    ],
)
def test_bad_references(row, named, predictions, tmp_path):
    path = lines(tmp_path / "bad.jsonl", row)
    result = run(predictions, "--references", path)
    assert isinstance(result.exception, TrifacetError)
    assert named in str(result.exception)


def test_absent_files_and_unknown_profiles(predictions, references, tmp_path):
    result = run(tmp_path / "absent.jsonl", "--references", references)
    assert isinstance(result.exception, TrifacetError)
    assert "absent.jsonl" in str(result.exception)
    assert run(predictions, "--references", references, "--profile", "coco").exit_code == 2


def test_markup_in_ids_is_shown_as_it_stands(tmp_path):
    row = {"id": "x", "image": "x.png", "references": ["a"], "extra": {"facts": {"[red]": ["a"]}}}
    texts = lines(tmp_path / "p.jsonl", {"id": "x", "text": "a"})
    result = run(texts, "--references", lines(tmp_path / "d.jsonl", row))
    assert result.exit_code == 0, result.exception
    assert "grounding/[red]" in result.stdout


def test_an_output_that_cannot_be_written_is_one_line(predictions, references):
    result = run(predictions, "--references", references, "--json", f"{references}/scores.json")
    assert isinstance(result.exception, TrifacetError)
    assert "cannot write" in str(result.exception)
