"""The locator words: what of a response stands in the picture is where it stands; read once, by the real engine."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from trifacet.data.records import PreferenceSample
from trifacet.lettering.engine import open_engine
from trifacet.lettering.engines.rapid import Rapid
from trifacet.lettering.matching import missing
from trifacet.lettering.settings import Reading
from trifacet.preferences.rejected.images import image_strategy, rejected_image
from trifacet.preferences.rejected.strategy import Draw, Seen
from trifacet.preferences.rejected.words import RegionWords
from trifacet.regions.locating import Located, LocatedRegion, Looking
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.regions.locators.words import WordsInPicture
from trifacet.regions.looking import KeyWord, Look
from trifacet.regions.store import LINES, Masks, read_located

SIZE = (400, 200)


def font(size, name="DejaVuSans"):
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size)


def locator(**settings):
    values = {"name": "words", "reading": {"engine": "given"}, **settings}
    return WordsInPicture(LocatorSettings.model_validate(values), Path(), max_pixels=10**6)


def look(response, lines, words=()):
    """A look at a picture in which these lines stand, a row of 20 pixels each, a letter 10 pixels wide."""
    lettering = [
        line if isinstance(line, dict) else {"text": line, "box": [0, 20 * row, 10 * len(line), 20 * row + 20]}
        for row, line in enumerate(lines)
    ]
    sample = PreferenceSample(id="s", image="s.png", response=response, extra={"lettering": lettering})
    return Look(sample, Image.new("RGB", SIZE), tuple(KeyWord(word, 1.0, ()) for word in words), 17)


def named(response, lines, **settings):
    """The key words, and where each stands: what is lettered there."""
    seeing = look(response, lines)
    found = locator(**settings)
    words = found.words(seeing)
    for word in words:
        for start, end in word.spans:
            assert " ".join(response[start:end].split()).casefold() == word.text.casefold()
    regions = found.locate(Look(seeing.sample, seeing.picture, words, 17))
    assert {one.word for one in regions} == {word.text for word in words}
    return [(one.word, " ".join(word.text for word in one.lettering)) for one in regions]


@pytest.mark.parametrize(
    ("response", "lines", "found"),
    [
        ("A poster: born this way.", ["BORN", "THIS", "WAY"], [("born this way", "BORN THIS WAY")]),
        ("Greek yogurt pizza", ["GREEK YOGURT", "for pizza"], [("Greek yogurt", "GREEK YOGURT"), ("pizza", "pizza")]),
        ("Best restaurants in Rome", ["RESTAURANTSIN", "ROME"], [("restaurants in Rome", "RESTAURANTSIN ROME")]),
        ("The end of the road", ["of the", "THE", "A"], []),  # stop words alone are chance
        ("He reads to be or not", ["TO BE OR NOT"], [("to be or not", "TO BE OR NOT")]),  # four in a row are none
        ("Open until 8 or 9", ["8 TO 9"], [("8", "8"), ("9", "9")]),
        ("Rooms from $4,000 a month", ["$4,000!"], [("4,000", "$4,000!")]),
        ("Rooms from $4,000", ["$4,500"], []),  # an exchanged digit is another number
        ("a middle-class home", ["Middle - Class"], [("middle-class", "Middle Class")]),
        ("Sale! A sale.", ["SALE", "x", "sale"], [("Sale", "SALE"), ("Sale", "sale")]),  # each place
        ("Plan b", ["B", "A"], []),
        ("An owl.", ["MARKET"], []),
    ],
)  # fmt: skip
def test_the_longest_runs_of_a_responses_words_that_stand_in_the_picture(response, lines, found):
    assert named(response, lines) == found


def test_a_chosen_word_is_where_it_stands_as_a_whole_or_where_all_its_words_do():
    seeing = look("irrelevant", ["Korean Tuna Mayo", "Rice Bowl"], ["tuna rice bowl", "korean fish", "rice bowl"])
    found = [(one.word, " ".join(word.text for word in one.lettering)) for one in locator().locate(seeing)]
    assert found == [("tuna rice bowl", "Tuna"), ("tuna rice bowl", "Rice"), ("tuna rice bowl", "Bowl"),
                     ("rice bowl", "Rice Bowl")]  # fmt: skip


def test_masks_hold_the_words_of_each_line_with_what_is_between_and_a_margin():
    seeing = look("Night market", ["Old night", "market days"])
    (region,) = locator(margin=0.0).locate(Look(seeing.sample, seeing.picture, locator().words(seeing), 17))
    expected = np.zeros(SIZE[::-1], np.bool_)
    expected[:20, 40:90] = expected[20:40, :60] = True
    assert (region.mask == expected).all()
    (wider,) = locator(margin=0.1).locate(Look(seeing.sample, seeing.picture, locator().words(seeing), 17))
    expected[:22, 38:92] = expected[18:42, :62] = True
    assert (wider.mask == expected).all()
    assert wider.box == (0, 0, 92, 42)


def test_what_is_kept_of_several_places_and_what_does_not_count():
    lines = [
        {"text": "sale", "box": [0, 0, 40, 20], "confidence": 0.6},
        {"text": "sale", "box": [0, 40, 40, 60], "confidence": 0.9},
        {"text": "sale", "box": [0, 80, 40, 100], "confidence": 0.4},
        "sale",
    ]
    lines[3] = {"text": "sale"}  # nobody says where
    seeing = look("A sale", lines, ["sale"])
    assert [one.score for one in locator().locate(seeing)] == [0.9, 0.6]
    assert [one.score for one in locator(threshold=0.1).locate(seeing)] == [0.9, 0.6, 0.4]
    assert [one.score for one in locator(keep="best").locate(seeing)] == [0.9]


# --- the real engine ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine():
    return open_engine(Reading())


@pytest.fixture
def read(monkeypatch):
    """Counts the pictures that the real engine reads."""
    counted = []
    own = Rapid.read

    def reads(self, picture):
        counted.append(picture.size)
        return own(self, picture)

    monkeypatch.setattr(Rapid, "read", reads)
    return counted


def poster(lines, *, size=26, turn=0.0, letters=(20, 30, 90), behind=(240, 225, 190)):
    """A picture with lines of text, and of each word the pixels of its ink."""
    picture, inks = Image.new("RGB", (360, 150), behind), {}
    for row, line in enumerate(lines):
        at = 45.0
        for word in line.split():
            ink = Image.new("L", picture.size)
            ImageDraw.Draw(ink).text((at, 35 + 1.6 * size * row), word, fill=255, font=font(size))
            ink = ink.rotate(turn, Image.Resampling.BICUBIC)
            picture.paste(letters, (0, 0), ink)
            inks[word] = np.asarray(ink) > 60
            at += font(size).getlength(f"{word} ")
    return picture, inks


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Three pairs with pictures: two with the same lettering, one without; an own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    poster(["Night Market", "Friday 18:30"])[0].save(tmp_path / "a.png")
    Image.new("RGB", (64, 48), (90, 120, 60)).save(tmp_path / "b.png")
    rows = [
        {"id": "1", "image": "a.png", "response": "A sign for the night market on Friday.", "rejected_responses": ["x"]},
        {"id": "2", "image": "a.png", "response": "The market opens at 18:30.", "rejected_responses": ["x"]},
        {"id": "3", "image": "b.png", "response": "A meadow.", "rejected_responses": ["x"]},
    ]
    write(tmp_path, rows)
    return tmp_path


def write(folder, rows):
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def located(trifacet, folder, *options, **settings):
    sets = [f"--set=locator.{name}={value}" for name, value in {"name": "words", **settings}.items()]
    return trifacet("regions", folder / "pairs.jsonl", "--output", folder / "regions", *sets, *options)


def test_each_picture_is_read_once_and_never_again(data, trifacet, read):
    code, _, said = located(trifacet, data)
    assert code == 0, said
    kept = {one.id: one for one in read_located(data / "regions")}
    assert [(one.word, [word.text for word in one.lettering]) for one in kept["1"].regions] == [
        ("night market", ["Night", "Market"]), ("Friday", ["Friday"])
    ]  # fmt: skip
    assert [one.word for one in kept["2"].regions] == ["market", "18:30"]
    assert kept["3"].status == "nothing found"
    assert sorted(read) == [(64, 48), (360, 150)]  # two rows have one picture
    assert "lettered <q><bdi>Night Market</bdi></q>" in (data / "regions" / "regions.html").read_text()
    read.clear()
    lines = (data / "regions" / LINES).read_bytes()
    assert located(trifacet, data)[0] == 0
    assert located(trifacet, data, "--overwrite")[0] == 0
    assert (data / "regions" / LINES).read_bytes() == lines
    assert located(trifacet, data, "--overwrite", margin=0.3)[0] == 0
    assert not read
    code, _, said = located(trifacet, data)
    assert (code, "locator margin 0.3 there, 0.1 now" in said) == (2, True)


def test_what_rows_say_of_their_pictures_makes_regions_stale(data, trifacet, read):
    rows = [json.loads(line) for line in (data / "pairs.jsonl").read_text().splitlines()]
    rows[0]["extra"] = {"lettering": [{"text": "NIGHT MARKET", "box": [40, 30, 240, 70]}]}
    write(data, rows)
    given = {"reading.engine": "given"}
    assert located(trifacet, data, **given)[0] == 0
    assert not read
    kept = {one.id: one for one in read_located(data / "regions")}
    assert [one.word for one in kept["1"].regions] == ["night market"]
    assert kept["2"].status == "nothing found"
    rows[0]["extra"]["lettering"][0]["box"][2] = 250
    write(data, rows)
    code, _, said = located(trifacet, data, **given)
    assert code == 2
    assert "sample '1' is not the one whose regions" in said
    rows[0]["extra"]["lettering"] = "NIGHT MARKET"
    write(data, rows)
    code, _, said = located(trifacet, data, "--overwrite", **given)
    assert code == 2
    assert "row 1" in said and "extra.lettering" in said


def test_lines_that_were_kept_before_there_was_lettering_stay_as_they_are():
    old = {"word": "dog", "score": 0.5, "box": [0.0, 0.0, 2.0, 2.0], "area": 0.1, "mask": "x"}
    region = LocatedRegion.model_validate_json(json.dumps(old))
    assert region.lettering == ()
    assert region.model_dump(mode="json") == old
    new = {**old, "lettering": [{"text": "DOG", "quad": [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]}]}
    region = LocatedRegion.model_validate_json(json.dumps(new))
    assert region.model_dump(mode="json") == new
    line = {"id": "1", "status": "located", "seen": {}, "size": [9, 9], "regions": [new, new]}
    assert [one.text for one in Located.model_validate_json(json.dumps(line)).lettering] == ["DOG"]  # a place once


@pytest.mark.parametrize("turn", [0, 12])
def test_no_ink_of_a_word_is_left_beside_its_region_and_no_other_words_is_within(engine, turn):
    picture, inks = poster(["Night Market day", "open to 18:30"], turn=turn)
    response = "Night Market day, open to 18:30"
    sample = PreferenceSample(id="s", image="s.png", response=response,
                              extra={"lettering": engine.read(picture).model_dump(mode="json")})  # fmt: skip
    seen = 0
    for word, ink in inks.items():
        regions = locator().locate(Look(sample, picture, (KeyWord(word, 1.0, ()),), 17))
        others = np.any([other for one, other in inks.items() if one != word], 0)
        for region in regions:
            assert not (ink & ~region.mask).any(), word
            assert (others & region.mask).sum() < 0.01 * others.sum(), word
        seen += len(regions)
    assert seen >= 5


@pytest.mark.parametrize("turn", [0, 10])
def test_spoilt_lettering_cannot_be_read_and_other_words_can(engine, turn):
    picture, _ = poster(["Night Market"], size=34, turn=turn)
    sample = PreferenceSample(id="s", image="s.png", response="The night market",
                              extra={"lettering": engine.read(picture).model_dump(mode="json")})  # fmt: skip
    found = Looking(None, locator())
    words = found.locator.words(Look(sample, picture, (), 17))
    (region,) = found.locator.locate(Look(sample, picture, words, 17))
    seen = Seen(picture, sample.response, Draw(3, "s"), lambda _: None, (), (), lambda: picture, region.mask, 1,
                region.lettering)  # fmt: skip
    for name in ("region-blur", "region-inpaint", "region-words"):
        made = rejected_image(image_strategy(name), seen)
        assert (np.asarray(made) == np.asarray(picture))[~region.mask].all()
        read = engine.read(made)
        assert set(missing(read, "night market")) == {"night", "market"}, (name, read.text)
        if name == "region-words":
            new = RegionWords().words(seen)
            assert list(new) == ["Night", "Market"]
            assert not missing(read, " ".join(new.values())), (new, read.text)


def test_training_asks_the_store_what_is_lettered(data, trifacet):
    assert located(trifacet, data)[0] == 0
    masks = Masks(data / "regions", max_pixels=10**6)
    samples = {one: PreferenceSample(id=one, image="a.png", response="x") for one in ("1", "3", "unknown")}
    assert [one.text for one in masks.lettering(samples["1"])] == ["Night", "Market", "Friday"]
    assert masks.lettering(samples["3"]) == masks.lettering(samples["unknown"]) == ()
    page = data / "gallery.html"
    code, _, said = trifacet("data", "show", data / "pairs.jsonl", "--output", page, "--strategy", "region-words",
                             "--regions", data / "regions", "--versions", "2")  # fmt: skip
    assert code == 0, said
    shown = page.read_text()
    assert shown.count("made by region-words, version 2 of 2") > 0
    assert "made by region-words, version 1 of 2: nothing located, so all of it" in shown
    assert "of no lettering" not in shown
