"""A model that was trained with the words in pictures is asked with them, read by the real engine, and none is kept."""

import base64
import json
import shutil
import tempfile
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("rapidocr", reason="pip install 'trifacet[lettering]'")

from trifacet.data.records import TestSample
from trifacet.data.words_read import with_words
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model
from trifacet.serving.hosted import ID


@pytest.fixture(scope="module")
def reading(base, tmp_path_factory):
    """The base, as if it had been trained with the words in its pictures."""
    folder = tmp_path_factory.mktemp("reading") / "model"
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("complete.json"))
    asked = json.loads((base / "trifacet.json").read_text())
    asked |= {"lettering": "prompt", "lettering_label": "Words in it:", "lettering_characters": 60}
    (folder / "trifacet.json").write_text(json.dumps(asked))
    return folder


@pytest.fixture(scope="module")
def signs(tmp_path_factory):
    """Two pictures of words and one without."""
    root = tmp_path_factory.mktemp("signs")
    for name, words in (("open.png", "OPEN TODAY"), ("fish.png", "FRESH FISH"), ("none.png", "")):
        picture = Image.new("RGB", (420, 120), (250, 245, 230))
        ImageDraw.Draw(picture).text((30, 35), words, fill=(10, 10, 60), font=ImageFont.load_default(48))
        picture.save(root / name)
    return root


def alone(checkpoint, signs, name, post=""):
    """What ``FamilyWriter`` gives, with the words as ``trifacet generate`` reads them; and those words."""
    loaded, asked = load_model(checkpoint, device="cpu"), WayOfAsking.read(checkpoint)
    (sample,) = with_words([TestSample(id=ID, image=name, context=post)], signs, asked.quoting)
    writer = FamilyWriter(loaded.model, asked.encoder(loaded.family), Generation(beams=1, max_new_tokens=12), 17)
    return next(iter(writer.write([sample], signs, draws=1))).text, json.dumps(sample.extra)


def ask(served, signs, name, post=None, **others):
    url = f"data:image/png;base64,{base64.b64encode((signs / name).read_bytes()).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}]
    body = {"extra_body": {"post": post}} if post is not None else {}
    return served.client().chat.completions.create(
        model="m", messages=[{"role": "user", "content": content}], max_tokens=12, **others, **body
    )


def test_the_words_of_a_picture_are_put_as_in_training(serving, reading, signs):
    served = serving({"m": str(reading)})
    engine = served.desk.hosted["m"].words_of
    read, count = engine.read, []

    def counted(picture):
        count.append(picture.size)
        return read(picture)

    engine.read = counted
    before = {path.name for path in Path(tempfile.gettempdir()).glob("trifacet-serve-*")}
    told = {}
    for name, words, post in (
        ("open.png", "OPEN", None),
        ("fish.png", "FISH", "At the harbour"),
        ("none.png", "", None),
    ):
        text, extra = alone(reading, signs, name, post or "")
        assert words in extra.upper()
        answer = ask(served, signs, name, post)
        assert answer.choices[0].message.content == text
        told[name] = answer.usage.prompt_tokens
    assert told["open.png"] > told["none.png"]
    assert len(count) == 3
    samples = ask(served, signs, "open.png", n=3, temperature=1.0, seed=1)
    assert samples.usage.prompt_tokens == told["open.png"] and len(count) == 3  # known
    assert {path.name for path in Path(tempfile.gettempdir()).glob("trifacet-serve-*")} == before  # kept in no file


def test_words_that_cannot_be_read_fail_alone(serving, reading, signs):
    """An engine that gives a picture up is the picture's fault, told by its field; the next is read."""
    import openai

    from trifacet.base.errors import DataError

    served = serving({"m": str(reading)})
    engine = served.desk.hosted["m"].words_of
    read = engine.read

    def fails(picture):
        raise DataError("takes too long to read", fix="show another")

    engine.read = fails
    with pytest.raises(openai.BadRequestError, match=r"messages\[0\].content\[0\].image_url: takes too long to read"):
        ask(served, signs, "open.png")
    engine.read = read
    assert ask(served, signs, "open.png").choices[0].message.content
