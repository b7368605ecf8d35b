"""``trifacet score`` on files: the table, the JSON, and one clear line for each kind of bad input."""

import json

import pytest
import typer
from typer.testing import CliRunner

from trifacet.base.errors import TrifacetError
from trifacet.cli.score import score
from trifacet.metrics import paper
from trifacet.metrics.wordnet import packaged_wordnet

app = typer.Typer()
app.command()(score)


@pytest.fixture(autouse=True)
def packaged_synonyms(monkeypatch):
    monkeypatch.setattr(paper, "find_wordnet", packaged_wordnet)  # an installed one takes seconds to read


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
    assert list(document) == ["profile", "samples", "metrics", "unofficial", "degenerate", "notes"]
    assert document["profile"] == "paper"
    assert document["samples"] == 2
    assert document["metrics"]["bleu_4"] == pytest.approx(50)
    assert document["metrics"]["meteor"] == pytest.approx(49.8)  # one chunk of five words, and nothing
    assert all(name in result.stdout for name in document["metrics"])
    assert all("note: " + note in result.stderr for note in document["notes"])
    per_sample = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [row["id"] for row in per_sample] == ["1", "2"]
    assert per_sample[0]["bleu_4"] == pytest.approx(100)
    assert per_sample[1]["rouge_l"] == 0


def test_a_star_is_explained_below_the_table_and_nowhere_else(predictions, tmp_path, monkeypatch):
    references = lines(tmp_path / "several.jsonl", {"id": "1", "text": "A disc. It is red."}, {"id": "2", "text": "x"})
    monkeypatch.setattr(paper, "word_tokenizer", lambda: (str.split, "split"))
    for installed in (False, True):
        monkeypatch.setattr(paper, "punkt_installed", lambda there=installed: there)
        shown = run(predictions, "--references", references).stdout
        assert ("bleu_4*" in shown) is not installed
        why = "* not official: bleu_4, bleu_4_cumulative, meteor: NLTK's punkt is not installed"
        assert (why in shown) is not installed


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
    pytest.importorskip("trifacet.data.formats")
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
    assert run(predictions, "--references", references, "--profile", "other").exit_code == 2


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


def coco_files(tmp_path, results, annotations, images=None):
    """COCO's two files: an array of results, and annotations written over several lines as some tools do."""
    predictions, references = tmp_path / "results.json", tmp_path / "captions.json"
    predictions.write_text(json.dumps([{"image_id": name, "caption": text} for name, text in results]))
    rows = [{"id": place, "image_id": name, "caption": text} for place, (name, text) in enumerate(annotations)]
    listed = {"images": [{"id": name, "file_name": f"{name}.png"} for name in images]} if images else {}
    references.write_text(json.dumps({"info": {}, **listed, "annotations": rows}, indent=1))
    return predictions, references


ANNOTATED = [(7, "A red disc on the grass."), (7, "a disc"), (9, "Two rings."), (11, "a box")]


def test_cocos_own_files_by_both_profiles(tmp_path):
    results = [(7, "a red disc on the grass"), (9, "a ring"), (11, "a box")]
    files = coco_files(tmp_path, results, ANNOTATED, images=[7, 9, 11])
    result = run(files[0], "--references", files[1], "--profile", "coco", "--profile", "paper", "--json", "-")
    assert result.exit_code == 0, result.exception
    document = json.loads(result.stdout)
    assert document["profile"] == "coco+paper"
    names = list(document["metrics"])
    assert names[:6] == [f"coco/bleu_{order}" for order in range(1, 5)] + ["coco/rouge_l", "coco/cider"]
    assert names[6:11] == list(paper.PAPER_METRICS)
    assert document["metrics"]["coco/bleu_1"] != document["metrics"]["bleu_4"]
    alone = run(files[0], "--references", files[1], "--profile", "coco")
    assert "coco/cider" in alone.stdout and "interval" not in alone.stdout
    assert "meteor" not in alone.stdout  # not asked for
    assert "NLTK" not in alone.stderr


def test_images_without_a_caption_of_ours_are_refused_or_left_out_as_asked(tmp_path):
    files = coco_files(tmp_path, [(7, "a disc"), (9, "a ring")], ANNOTATED)
    result = run(files[0], "--references", files[1], "--profile", "coco")
    assert "lack 1 id: '11'" in str(result.exception)
    assert "--subset" in str(result.exception)
    subset = run(files[0], "--references", files[1], "--profile", "coco", "--subset", "--json", "-")
    assert json.loads(subset.stdout)["samples"] == 2
    assert "1 of 3 samples have no text and are left out" in subset.stderr
    other = lines(tmp_path / "other.jsonl", {"id": "1", "text": "a"})
    assert "another run" in str(run(other, "--references", files[1], "--subset").exception)


@pytest.mark.parametrize(
    ("results", "annotations", "images", "named"),
    [
        ([(7, "a"), (8, "b")], [(7, "a")], None, "do not have 1 id: '8'"),
        ([(7, "a"), (7, "b")], [(7, "a")], None, "row 2, field 'image_id': '7' occurs twice"),
        ([(7, 3)], [(7, "a")], None, "row 1, field 'caption'"),
        ([(None, "a")], [(7, "a")], None, "row 1, field 'image_id'"),
        ([(7, "a")], [(7, "a"), (7, None)], None, "row 2, field 'annotations.caption'"),
        ([(7, "a")], [("", "a")], None, "row 1, field 'annotations.image_id'"),
        ([(7, "a")], [(7, "a"), (8, "a")], [7], "8 is not among the images"),
        ([(7, "a")], [(7, "a")], [7, 7], "field 'images.id': 7 occurs twice"),
        ([(7, "a")], [], None, "has no image"),
        ([(n, "a") for n in range(9)], [(n, "a") for n in range(8, 30)], None, "is this file of another run?"),
        ([(7, "a" * 20_001)], [(7, "a")], None, "has 20001 characters"),
    ],
)
def test_bad_coco_files(results, annotations, images, named, tmp_path):
    files = coco_files(tmp_path, results, annotations, images)
    result = run(files[0], "--references", files[1], "--profile", "coco")
    assert isinstance(result.exception, TrifacetError), result.output
    assert named in str(result.exception)
    assert "\n" not in str(result.exception)


def test_files_that_were_swapped_are_recognised(tmp_path):
    files = coco_files(tmp_path, [(7, "a")], [(7, "a")])
    assert "not of references" in str(run(files[0], "--references", files[0]).exception)
    for row in ('{"id": "7", "texts": ["a"]}', '{"images": [], "annotations": []}'):
        (tmp_path / "swapped.json").write_text(row)
        assert "not of generated texts" in str(run(tmp_path / "swapped.json", "--references", files[1]).exception)
    broken = tmp_path / "broken.json"
    broken.write_text('{"annotations": {"image_id": 7}}')
    assert "field 'annotations': is not a list" in str(run(files[0], "--references", broken).exception)
    broken.write_text('{"annotations": [{"image_id": 7, "caption": ')
    assert "broken JSON" in str(run(files[0], "--references", broken).exception)


def test_odd_texts_have_a_score_or_a_note(tmp_path):
    odd = [
        "",
        "\u0000\u001b[31m\u2028\u202e",
        "一只狗在草地上",
        "Ein roter Kreis.",
        "🙂" * 50,
        "a\r\nb\x0bc",
        "x " * 9000,
    ]
    texts = lines(tmp_path / "p.jsonl", *({"id": str(place), "text": text} for place, text in enumerate(odd)))
    refs = [{"id": str(place), "text": text if text.strip() else "a dog"} for place, text in enumerate(odd)]
    result = run(texts, "--references", lines(tmp_path / "r.jsonl", *refs), "--profile", "coco", "--json", "-")
    assert result.exit_code == 0, result.exception
    assert "1 of 7 texts are empty and score 0" in result.stderr
    assert "2 texts or references are in a script without spaces" in result.stderr
    assert "\x1b" not in result.stderr
    assert json.loads(result.stdout)["metrics"]["coco/cider"] > 0


def test_one_sample_and_nothing_but_empty_texts_are_said(tmp_path):
    one = lines(tmp_path / "p.jsonl", {"id": "1", "text": ""})
    result = run(one, "--references", lines(tmp_path / "r.jsonl", {"id": "1", "text": "a dog"}), "--profile", "coco",
                 "--json", "-")  # fmt: skip
    document = json.loads(result.stdout)
    assert all(document["metrics"][name] == pytest.approx(0, abs=1e-6) for name in document["metrics"])
    assert "no word" in document["degenerate"]
    assert any("CIDEr of a single sample is 0" in note for note in document["notes"])


def test_settings_of_other_data_are_noticed(tmp_path):
    from trifacet.data.formats import read_samples
    from trifacet.generation.settings import data_digest, settings_path

    rows = [{"id": f"row-{n}", "image": f"{n}.png", "context": f"post {n}", "references": ["a"]} for n in (1, 2)]
    data, other = lines(tmp_path / "d.jsonl", *rows), lines(tmp_path / "o.jsonl", rows[0], rows[1] | {"context": "x"})
    texts = tmp_path / "p.jsonl"
    lines(texts, {"id": "row-1", "text": "a"}, {"id": "row-2", "text": "b"})
    noted = {"data": data_digest(read_samples(data, "test")), "samples": 2}
    settings_path(texts).write_text(json.dumps(noted))
    assert "p.jsonl.settings.json" not in run(texts, "--references", data).stderr
    wrong = run(texts, "--references", other)
    assert wrong.exit_code == 0
    assert "p.jsonl.settings.json names other data" in wrong.stderr
    assert "proves nothing" in wrong.stderr
    settings_path(texts).write_text(json.dumps(noted | {"samples": 3}))
    assert "speaks of 3 texts, of which 2 are there" in run(texts, "--references", data).stderr
    settings_path(texts).write_text("[]")
    assert run(texts, "--references", other).exit_code == 0


def test_a_metric_whose_model_cannot_be_loaded_is_shown_as_absent(predictions, references, tmp_path):
    result = run(predictions, "--references", references, "--profile", "coco", "--clip", tmp_path / "none",
                 "--bert-score", tmp_path / "none", "--json", tmp_path / "s.json")  # fmt: skip
    assert result.exit_code == 0, result.exception
    metrics = json.loads((tmp_path / "s.json").read_text())["metrics"]
    assert metrics["clip_score"] is None
    assert metrics["bert_score_f1"] is None
    assert metrics["coco/bleu_1"] is not None
    assert "CLIPScore is not computed" in result.stderr
    assert "BERTScore is not computed" in result.stderr


def test_meteor_of_the_jar_says_what_is_missing(predictions, references, monkeypatch):
    from trifacet.metrics import meteor_jar

    monkeypatch.setattr(meteor_jar.shutil, "which", lambda name: None)
    result = run(predictions, "--references", references, "--profile", "coco", "--meteor", "jar")
    assert result.exit_code == 0, result.exception
    assert "METEOR 1.5 is not computed: there is no Java" in result.stderr
    assert "coco/meteor_1.5" in result.stdout
