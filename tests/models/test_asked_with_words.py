"""A model remembers whether it was asked with the words of pictures; files of those that were not are as ever."""

import json

import pytest

from trifacet.base.errors import TrifacetError
from trifacet.data.settings import Data
from trifacet.generation.opening import way_of_asking
from trifacet.lettering.settings import Reading
from trifacet.models.asking import WayOfAsking
from trifacet.training.recipe import recipe_fingerprint

AS_EVER = """{
  "prompt": "Write alt-text for the image, given its context.",
  "context_label": "Context:",
  "max_length": 2048,
  "image_tiles": "one",
  "image_pixels": null
}"""
WORDS = {"lettering": "prompt", "lettering_label": "Read:", "lettering_characters": 90}


def test_without_words_the_file_is_as_ever(tmp_path):
    for data in (Data(), Data(lettering_label="Read:", lettering_characters=90)):
        asking = WayOfAsking.of(data)
        asking.write(tmp_path)
        assert (tmp_path / "trifacet.json").read_text() == AS_EVER
        assert WayOfAsking.read(tmp_path) == WayOfAsking()
        assert asking.told() == json.loads(AS_EVER) | {"four_bit": None}  # what regions by attention were located by
        assert asking.quoting is None


def test_with_words_all_of_it_comes_back(tmp_path):
    asking = WayOfAsking.of(Data(**WORDS, reading={"engine": "tesseract", "languages": ["deu", "rus"]}))
    asking.write(tmp_path)
    assert WayOfAsking.read(tmp_path) == asking
    quoting = WayOfAsking.read(tmp_path).quoting
    assert (quoting.label, quoting.characters) == ("Read:", 90)
    assert quoting.reading == Reading(engine="tesseract", languages=("deu", "rus"))
    (tmp_path / "trifacet.json").write_text(json.dumps({**asking.told(), "lettering": "always"}))
    with pytest.raises(TrifacetError, match="damaged"):
        WayOfAsking.read(tmp_path)


def test_reading_otherwise_than_in_training_is_said_once(tmp_path, capsys):
    WayOfAsking.of(Data(**WORDS)).write(tmp_path)
    with_words, without = str(tmp_path), str(tmp_path / "elsewhere")
    assert way_of_asking(with_words).quoting == way_of_asking(with_words, read=True).quoting
    assert way_of_asking(with_words).quoting.label == "Read:"
    assert way_of_asking(without, read=False).quoting is None
    assert capsys.readouterr().err == ""
    assert way_of_asking(with_words, read=False).quoting is None
    assert "was trained with the words of pictures" in capsys.readouterr().err
    assert way_of_asking(without, prompt="Say it.", read=True).quoting.label == "Words in the image:"
    assert "was trained without the words of pictures" in capsys.readouterr().err


def test_the_keys_count_in_a_recipe_where_words_are_asked_with(tmp_path):
    from small_runs import recipe_of

    def fingerprint(**changes):
        changes = {f"data.{key}": value for key, value in changes.items()}
        return recipe_fingerprint(recipe_of("out", "data", "model", changes))

    plain = fingerprint()
    assert fingerprint(lettering="leave", lettering_label="Read:", reading={"engine": "given"}) == plain
    asked = [fingerprint(lettering="prompt"), fingerprint(**WORDS)]
    asked += [fingerprint(lettering="prompt", reading={"longest_side": 500})]
    assert len({plain, *asked}) == 4
