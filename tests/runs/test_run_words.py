"""Words of pictures from the recipe to the request: read once by the real engine, and asked with alike everywhere."""

import json
import shutil

import pytest
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from small_runs import STAGE, recipe_file

from trifacet import describe as describe_from_python
from trifacet import load
from trifacet.data.words_read import COUNTS, RECORD, read_record
from trifacet.engine.encode import SampleEncoder
from trifacet.lettering.engines.rapid import Rapid
from trifacet.reports.run.report import write_report

SIGNS = ["OPEN DAY", "SALE 30%", "Room 512", "No entry", "", "FRESH BREAD"]
CHANGES = {
    "sft": {**STAGE, "max_steps": 2},
    "align": {"dpo": {**STAGE, "max_steps": 1, "objective": "mdpo"}},
    "generate": {"beams": 1, "max_new_tokens": 3},
    "data.lettering": "prompt",
    "data.workers": 0,
}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def asked(monkeypatch):
    """What models are asked in this process: the user's words of every request, by the post."""
    said = {}
    user_text = SampleEncoder.user_text

    def noting(self, prompt, context):
        text = user_text(self, prompt, context)
        if context.startswith("Post"):
            said.setdefault(context, set()).add(text)
        return text

    monkeypatch.setattr(SampleEncoder, "user_text", noting)
    return said


@pytest.fixture
def reads(monkeypatch):
    """How many pictures the engine has read in this process."""
    counted = []
    read = Rapid.read
    monkeypatch.setattr(Rapid, "read", lambda self, picture: counted.append(1) or read(self, picture))
    return counted


def sign(text, path):
    picture = Image.new("RGB", (320, 120), "white")
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 40)
    ImageDraw.Draw(picture).text((20, 30), text, "black", font)
    picture.save(path)


@pytest.fixture
def data(tmp_path):
    """Six posts with a sign each: the same pictures for training and test."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = []
    for number, text in enumerate(SIGNS):
        sign(text, folder / f"{number}.png")
        rows.append({"id": f"s{number}", "image": f"{number}.png", "context": f"Post number {number}."})
    said = [{**row, "response": f"A sign of number {row['id']}."} for row in rows]
    tests = [{**row, "references": []} for row in rows]
    pairs = [{**row, "rejected_responses": ["A dog."]} for row in said]
    for name, lines in (("sft", said), ("preference", pairs[:2]), ("test", tests)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_six_signs_are_read_once_and_asked_with_everywhere(data, tiny_folder, tmp_path, trifacet, asked, reads):
    recipe = recipe_file(tmp_path, out := tmp_path / "out", data, tiny_folder, CHANGES)
    code, _, said = trifacet("run", recipe)
    assert code == 0, said
    assert len(reads) == 6
    for split, told in (("sft", "5 of 6"), ("preference", "2 of 2"), ("test", "5 of 6")):
        assert f"{split}: {told} pictures have words" in said
    prompt = "Write alt-text for the image, given its context."
    expected = {
        f"Post number {number}.": {
            f'{prompt}\nWords in the image:\n"{text}"\nContext:\nPost number {number}.'
            if text
            else f"{prompt}\nContext:\nPost number {number}."
        }
        for number, text in enumerate(SIGNS)
    }
    assert asked == expected  # in training, reference pass, looks and texts, and nothing else

    record = read_record(out / RECORD)
    assert len(record) == 6
    assert json.loads((out / COUNTS).read_text())["test"]["words"] == 5
    sealed = json.loads((out / "run.json").read_text())["sealed"]
    assert {str(RECORD), str(COUNTS)} <= set(sealed)
    page = write_report(out).read_text()
    assert "“<bdi>OPEN DAY</bdi>”" in page
    assert "5 of 6 pictures have words" in page

    # the model remembers: whoever asks it asks alike
    model = out / "models" / "dpo" / "model"
    assert json.loads((model / "trifacet.json").read_text())["lettering"] == "prompt"
    asked.clear()
    code, told, said = trifacet(
        "describe",
        data / "0.png",
        "--context",
        "Post number 0.",
        "--model",
        model,
        "--max-new-tokens",
        "2",
        "--json",
        "-",
    )
    assert code == 0, said
    assert json.loads(told)["images"][0]["read"] == {"status": "read", "words": ["OPEN DAY"], "cut": False}
    describe_from_python(load(model), data / "1.png", "Post number 1.", max_new_tokens=2, beams=1)
    common = ("--model", model, "--max-new-tokens", "2")
    for command in (
        ("generate", data / "test.jsonl", *common, "--output", tmp_path / "texts.jsonl"),
        ("probe", data / "test.jsonl", *common, "--output", tmp_path / "probe.json", "--no-noise",
         "--no-embeddings"),
        ("evaluate", model, "--data", data / "test.jsonl", "--max-new-tokens", "2", "--output", tmp_path / "evaluation",
         "--no-probe"),
        ("rewards", recipe, "--model", model),
        ("diff", out / "models" / "sft" / "model", model, "--data", data / "sft.jsonl"),
    ):  # fmt: skip
        code, _, said = trifacet(*command)
        assert code in (0, 1), said
    assert asked == expected
    assert len(reads) == 6  # of all this not one picture was read again

    # nor where the run's record is gone, or the user's cache
    (out / RECORD).unlink()
    assert trifacet("run", recipe)[0] == 0
    assert len(reads) == 6
    assert read_record(out / RECORD) == record
    shutil.rmtree(tmp_path / "cache")
    shutil.rmtree(out / "models" / "dpo")
    assert trifacet("align", recipe)[0] == 0
    assert len(reads) == 6
    assert asked == expected


def test_what_rows_state_goes_first_and_needs_no_engine(data, tiny_folder, tmp_path, trifacet, asked, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rapidocr", None)
    for name in ("sft", "preference", "test"):
        file = data / f"{name}.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        stated = [{**row, "extra": {"lettering": [f"SIGN {row['id']}"]}} for row in rows]
        file.write_text("".join(json.dumps(row) + "\n" for row in stated))
    recipe = recipe_file(tmp_path, out := tmp_path / "out", data, tiny_folder, CHANGES)
    code, _, said = trifacet("run", recipe)
    assert code == 0, said
    assert "test: 6 of 6 pictures have words, 6 words stated by their rows" in said
    assert all('Words in the image:\n"SIGN s' in text for texts in asked.values() for text in texts)
    model = out / "models" / "sft" / "model"
    code, _, said = trifacet("describe", data / "0.png", "--model", model)
    assert code == 2  # a picture of which nobody says what stands in it: no silent difference
    assert "rapidocr" in said
    assert "trifacet[lettering]" in said
    assert len(said.strip().splitlines()) == 1
    code, _, said = trifacet("describe", data / "0.png", "--model", model, "--no-read", "--max-new-tokens", "2")
    assert code == 0
    assert "was trained with the words of pictures" in said


def test_regions_by_attention_are_looked_for_as_the_model_is_asked(data, tiny_folder, tmp_path, trifacet, asked, reads):
    regions = {"words": {}, "locator": {"name": "attention", "device": "cpu"}}
    changes = {**CHANGES, "sft": None, "regions": regions}
    recipe = recipe_file(tmp_path, tmp_path / "out", data, tiny_folder, changes)
    code, _, said = trifacet("regions", recipe, "--output", tmp_path / "regions")
    assert code == 0, said
    assert len(reads) == 2
    assert {text for texts in asked.values() for text in texts if "Post number 0" in text} == {
        'Write alt-text for the image, given its context.\nWords in the image:\n"OPEN DAY"\nContext:\nPost number 0.'
    }
    made_with = json.loads((tmp_path / "regions" / "regions.json").read_text())["fingerprint"]["locator"]["asking"]
    assert made_with["lettering"] == "prompt"


def test_a_row_that_says_nothing_is_named_where_only_rows_say(data, tiny_folder, tmp_path, trifacet):
    changes = {**CHANGES, "data.reading": {"engine": "given"}}
    recipe = recipe_file(tmp_path, tmp_path / "out", data, tiny_folder, changes)
    code, _, said = trifacet("run", recipe)
    assert code == 2
    assert "sft.jsonl, row 1, field 'extra.lettering'" in said
    assert "[] for none" in said
    assert not (tmp_path / "out" / "models" / "sft").exists()


def test_a_picture_that_cannot_be_used_is_named_with_its_row(data, tiny_folder, tmp_path, trifacet, reads):
    (data / "3.png").write_bytes(b"no picture")
    recipe = recipe_file(tmp_path, tmp_path / "out", data, tiny_folder, {**CHANGES, "align": None})
    code, _, said = trifacet("sft", recipe)
    assert code == 2
    assert "sft.jsonl, row 4, field 'image'" in said
    assert len(reads) == 3  # which are kept
    code, _, said = trifacet("sft", recipe, "--on-bad-row", "skip")
    assert code == 0, said
    assert len(reads) == 5
    assert "sft: 4 of 5 pictures have words" in said
    assert "1 of 6 rows left out" in said


def test_a_model_trained_without_words_reads_when_asked_to(data, tiny_folder, tmp_path, trifacet, asked):
    shown = ("describe", data / "0.png", "--context", "Post.", "--model", tiny_folder, "--max-new-tokens", "2")
    code, told, said = trifacet(*shown, "--json", "-")
    assert code == 0, said
    assert "read" not in json.loads(told)["images"][0]
    code, told, said = trifacet(*shown, "--read", "--json", "-")
    assert code == 0, said
    assert json.loads(told)["images"][0]["read"]["words"] == ["OPEN DAY"]
    assert said.count("was trained without the words of pictures") == 1
    assert "words: 1 of 1 pictures have words" in said
    bare, read = sorted(asked["Post."], key=len)
    assert read == bare.replace("\nContext:", '\nWords in the image:\n"OPEN DAY"\nContext:')
