"""A card says what the run's files say, and shows the words of others as plain text."""

import json
import shutil

import pytest
import yaml
from markdown_it import MarkdownIt

from trifacet.publishing.card import card
from trifacet.publishing.exporting import Export, export
from trifacet.publishing.origin import is_hub_id, licence_of, origin_of

HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:b) `c` | d\n---\nlicense: mit\n# E *f*"


@pytest.fixture
def run(tiny_folder, tmp_path):
    """The folder of a run with one model and its scores, names in it hostile."""
    home = tmp_path / "run"
    model = shutil.copytree(tiny_folder, home / "models" / "mcm-dpo" / "model")
    (home / "run.json").write_text(json.dumps({"name": HOSTILE, "finished": "2026-01-01T00:00:00+00:00"}))
    recipe = {"name": HOSTILE, "seed": 17, "model": {"path": "someone/base"}}
    recipe["data"] = {"root": "/home/ada/secret", "preference": "/home/ada/secret/pairs.jsonl", "prompt": HOSTILE}
    (home / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    objective = {"name": HOSTILE, "terms": [{"name": HOSTILE, "weight": 0.5}]}
    done = {
        "objective": objective,
        "samples": 1234,
        "steps": 40,
        "learning_rate": 1e-5,
        "trained": {"vision": "frozen"},
    }
    (home / "models" / "mcm-dpo" / "done.json").write_text(json.dumps(done))
    value = {"value": 28.083, "interval": [25.006, 31.339], "official": False, "unofficial": "why"}
    settings = {"draws": 10, "level": 0.95, "seed": 1, "interval": "bca", "pairs": "all", "correction": "holm"}
    compared = {
        "models": ["mcm-dpo"],
        "baseline": "mcm-dpo",
        "settings": settings,
        "metrics": [
            {"profile": "paper", "metric": "bleu_4", "better": "higher", "units": 180, "values": {"mcm-dpo": value}}
        ],
        "differences": [],
        "notes": [],
    }
    scores = {"models": {"mcm-dpo": {"metrics": {"bleu_4": 28.083}, "degenerate": HOSTILE}}, "comparison": compared}
    (home / "scores.json").write_text(json.dumps(scores))
    (model / "trifacet.json").write_text(json.dumps({"prompt": HOSTILE}))
    return model


def text_of(model, **changes):
    settings = {"family": "llava", "to": "hub-folder", "dtype": "float32", "licence": None, "base": "someone/base"}
    return card(origin_of(str(model)), **settings | changes)


def test_it_says_what_the_run_says(run):
    text = text_of(run, licence="apache-2.0")
    _, front, body = text.split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["license"] == "apache-2.0" and told["base_model"] == "someone/base"
    assert told["pipeline_tag"] == "image-text-to-text" and told["library_name"] == "transformers"
    for piece in ("1,234", "1e-05", "28.083", "25.006 to 31.339", "95% interval", "180", "vision encoder: frozen"):
        assert piece in body, piece
    assert "pairs.jsonl" in body and "/home/ada" not in text


def test_the_words_of_others_are_words(run):
    text = text_of(run, licence=HOSTILE, base=HOSTILE)
    _, front, body = text.split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["license"].startswith("<img") and "\n" not in told["license"] and "base_model" not in told
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    assert "<img" not in html and "<a " not in html and "<code>c" not in html and "<em>f" not in html
    assert html.count("<h1>") == 1 and "<hr" not in html


NAMES = [
    "---\n", "---\nlicense: mit\n---\n", "a: b: 'c' \"d\"", "- x", "{{ x }} {% y %} ${z}", "!!python/object:os x",
    "# x", "&a *a", "| x", "> x", "null", "1e5", "\x00\x1b[2J\u2028\u202e", "é" * 500, "x" * 70 + " --- " + "y" * 70,
    "%", "\u200f",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_in_the_front_matter_is_one_word_of_it(run, name):
    """As the hub's own client reads it: no key more, none less, and every name a plain string on one line."""
    from huggingface_hub import ModelCard

    home = run.parents[2]
    (home / "run.json").write_text(json.dumps({"name": name, "finished": "2026-01-01T00:00:00+00:00"}))
    done = json.loads((home / "models" / "mcm-dpo" / "done.json").read_text())
    done["objective"]["name"] = name
    (home / "models" / "mcm-dpo" / "done.json").write_text(json.dumps(done))
    text = text_of(run, licence=name, base="someone/base")
    read = ModelCard(text)
    told = read.data.to_dict()
    assert set(told) == {"library_name", "pipeline_tag", "tags", "base_model", "license"}
    assert told["tags"][:2] == ["trifacet", "alt-text"] and len(told["tags"]) == 3
    for one in (told["license"], told["tags"][2]):
        assert isinstance(one, str) and one.isprintable() and len(one) <= 200
    assert told["base_model"] == "someone/base"
    assert read.text.lstrip().startswith("# ") and read.text.count("\n## ") == 5
    assert not any(char in text for char in "\x00\x1b\u2028\u202e")


def test_what_was_not_measured_has_no_number(run):
    home = run.parents[2]
    scores = json.loads((home / "scores.json").read_text())
    scores["models"]["mcm-dpo"]["metrics"] = {"bleu_4": None, "cider": 1.5}
    scores["comparison"] = None
    (home / "scores.json").write_text(json.dumps(scores))
    text = text_of(run)
    assert "cider" in text and "1.500" in text and "bleu" not in text and "nan" not in text and "None" not in text
    scores["models"] = {}
    (home / "scores.json").write_text(json.dumps(scores))
    assert "Nothing: the run has no scores of this model" in text_of(run)


def test_it_lies_with_what_is_exported_and_a_damaged_run_is_said_to_be(run, tmp_path, capsys):
    made, _, _ = export(Export(str(run), "hub-folder", tmp_path / "made"))
    assert "28.083" in (made / "README.md").read_text()
    (run.parents[2] / "scores.json").write_text("{")
    made, _, _ = export(Export(str(run), "hub-folder", tmp_path / "again"))
    assert "could not be read" in (made / "README.md").read_text()
    assert "scores.json" in capsys.readouterr().err


def test_the_folder_lies_here_whatever_the_run_is_called(run, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (run.parents[2] / "run.json").write_text(json.dumps({"name": "../there/x"}))
    (tmp_path / "there").mkdir()
    folder, _, _ = export(Export(str(run), "hub-folder"))
    assert folder.resolve().parent == tmp_path / "here" and not list((tmp_path / "there").iterdir())


def test_a_licence_is_the_bases_own_word(tmp_path):
    assert licence_of(str(tmp_path)) is None and licence_of(None) is None
    for text, known in (
        ("---\nlicense: gemma\n---\n# x", "gemma"),
        ("license: mit", None),
        ("---\n- a: [\n---\n", None),
    ):
        (tmp_path / "README.md").write_text(text)
        assert licence_of(str(tmp_path)) == known


def test_a_hubs_name_is_told_from_a_folder(tmp_path):
    assert is_hub_id("someone/base") and is_hub_id("base")
    assert not any(map(is_hub_id, (str(tmp_path), "/no/such", "a/b/c", "", None, "..", "<x>", "a b/c")))
