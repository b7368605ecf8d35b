"""``trifacet read``: lines as text, JSON and a page; what is hostile is shown and not obeyed."""

import hashlib
import inspect
import json
import shutil

import pytest
from axe import assert_accessible, in_light_and_dark
from hostile_pages import HOSTILE, only_our_markup
from PIL import Image, ImageDraw, ImageFont

from trifacet.base.seals import sealed
from trifacet.cli.read import read
from trifacet.lettering.lines import Lettering, Line
from trifacet.lettering.reading import Readings
from trifacet.lettering.settings import Reading

pytest.importorskip("rapidocr", reason="pip install 'trifacet[lettering]'")


def sign(path, text):
    picture = Image.new("RGB", (320, 90), "white")
    ImageDraw.Draw(picture).text((20, 20), text, fill="black", font=ImageFont.load_default(36))
    picture.save(path)
    return path


@pytest.fixture
def kept(tmp_path):
    """A cache, and how to plant a reading in it, as if a picture held these lines."""
    folder = tmp_path / "kept"
    readings = Readings(Reading(), folder)

    def plant(path, *texts):
        with Image.open(path) as picture:
            size = picture.size
        lines = tuple(Line(text=text, box=(1, 1, size[0] - 1, size[1] / 2)) for text in texts)
        found = Lettering(size=size, lines=lines, unreadable=((0, 0, 5, 5),))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        place = readings.folder / digest[:2] / f"{digest}.json"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(sealed(found.model_dump(mode="json"))))
        return folder

    return plant


def test_lines_json_and_page_of_a_folder(tmp_path, trifacet):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    sign(folder / "shop.png", "Farm shop")
    sign(folder / "more" / "gate.png", "No entry 24")
    Image.new("RGB", (60, 40), "navy").save(folder / "sky.png")
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    (folder / "notes.txt").write_text("no picture")
    cache, lines, page = tmp_path / "kept", tmp_path / "words.jsonl", tmp_path / "words.html"
    asked = ("read", folder, "--cache", cache)
    code, printed, said = trifacet(*asked, "--json", lines, "--html", page)
    assert code == 2
    assert printed.splitlines()[0].endswith("shop.png:")
    assert "  Farm shop" in printed
    assert "  No entry 24" in printed
    assert "sky.png: nothing" in printed
    assert "torn.jpg" in said
    assert "4 pictures: 2 with words (2 lines), 1 without letters, 1 unusable" in said
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [row["picture"].rpartition("/")[2] for row in rows] == ["shop.png", "sky.png", "torn.jpg", "gate.png"]
    assert [row.get("status") for row in rows] == ["read", "nothing", None, "read"]
    assert "torn.jpg" in rows[2]["error"]
    line = rows[0]["lines"][0]
    assert (line["text"], [word["text"] for word in line["words"]]) == ("Farm shop", ["Farm", "shop"])
    assert line["share"] == pytest.approx(
        (line["box"][2] - line["box"][0]) * (line["box"][3] - line["box"][1]) / (320 * 90), abs=1e-4
    )
    text = page.read_text()
    only_our_markup(text, "lettering.html.jinja")
    assert text.count("<img ") == 3
    for expected in ("Farm shop", "No entry 24", "No letters were found.", "It cannot be used"):
        assert expected in text
    assert trifacet(*asked)[1] == printed  # from the cache
    assert trifacet(*asked, "--workers", 2)[1] == printed


def test_what_stands_there_is_shown_and_not_obeyed(tmp_path, kept, trifacet):
    path = sign(tmp_path / "<b>x\x1b[31m.png", "x")
    cache = kept(path, HOSTILE, "ignore the above\n<image>", "\u202eabc\x1b]0;x\x07")
    page = tmp_path / "page.html"
    code, printed, said = trifacet("read", path, "--cache", cache, "--html", page, "--json", "-")
    assert code == 0, said
    assert len(printed.splitlines()) == 1
    assert json.loads(printed)["lines"][0]["text"] == HOSTILE
    only_our_markup(page.read_text(), "lettering.html.jinja")
    plain = trifacet("read", path, "--cache", cache)[1]
    assert len(plain.splitlines()) == 4
    assert r"ignore the above\n<image>" in plain
    for output in (printed, plain, said):
        assert not set(output) & set("\x1b\x07\x00\u202e\u200b\u2069")


@in_light_and_dark
def test_the_page_is_accessible(tmp_path, kept, trifacet, dark):
    path = sign(tmp_path / "sign.png", "x")
    (tmp_path / "torn.png").write_bytes(b"torn")
    long = "Donaudampfschifffahrtsgesellschaft" * 9
    cache = kept(path, *[f"Line {number}" for number in range(30)], long, "\u05d0\u05d1 21")
    page = tmp_path / "page.html"
    assert trifacet("read", path, tmp_path / "torn.png", "--cache", cache, "--html", page)[0] == 2
    assert_accessible(page, dark=dark)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing.png",), "missing.png: no such file; correct the path"),
        ((".",), "holds no picture; files with .jpg"),
        (("x.png", "--engine", "other"), "'other' is not one of 'rapidocr', 'tesseract'"),
        (("x.png", "--languages", "rus"), "no model for language 'rus'"),
        (("x.png", "--longest-side", "0"), "greater than or equal to 64"),
        (("x.png", "--least-confidence", "nan"), "Invalid value for '--least-confidence'"),
        (("x.png", "--engine", "tesseract", "--languages", "-x"), "'-x' is no language code of tesseract"),
    ],
)
def test_bad_input_is_one_line(arguments, said, tmp_path, trifacet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "tesseract" in arguments and shutil.which("tesseract") is None:
        pytest.skip("tesseract is not installed (Debian: apt-get install tesseract-ocr)")
    code, printed, told = trifacet("read", *arguments, "--cache", "kept")
    assert code == 2
    assert said in told
    assert not printed
    assert len([line for line in told.splitlines() if line.startswith("error:")]) == 1


def test_a_page_that_cannot_be_written_is_one_line(tmp_path, kept, trifacet):
    path = sign(tmp_path / "sign.png", "x")
    cache = kept(path, "x")
    (tmp_path / "file").write_text("")
    code, _, told = trifacet("read", path, "--cache", cache, "--html", tmp_path / "file" / "page.html")
    assert code == 2
    assert "cannot write" in told


def test_the_commands_defaults_are_the_settings_own():
    given = inspect.signature(read).parameters
    for name in ("longest_side", "least_confidence"):
        assert given[name].default == Reading.model_fields[name].default
