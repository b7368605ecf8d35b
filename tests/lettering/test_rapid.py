"""RapidOCR by its steps: words and their places, whatever the picture's shape; nothing fetched, nothing said."""

import logging
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rendered import lettered, places

from trifacet.base.errors import TrifacetError
from trifacet.lettering.engines.fitting import SLIMMEST, SMALLEST, fitted
from trifacet.lettering.settings import Reading

pytest.importorskip("rapidocr", reason="pip install 'trifacet[lettering]'")
from trifacet.lettering.engines import rapid as module
from trifacet.lettering.engines.rapid import MODELS, Rapid

SIGN = "FAREWELL to the old shop"


@pytest.fixture
def no_network(monkeypatch):
    """Whoever wants to connect is noted, and fails."""
    tried = []

    def refuse(*arguments, **options):
        tried.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


def test_every_word_has_its_place(rapid):
    picture = lettered(SIGN, "12,50 €")
    found = rapid.read(picture)
    assert [line.text for line in found.lines] == [SIGN, "12,50 €"]
    assert found.size == picture.size
    assert found.status == "read"
    line = found.lines[0]
    assert [word.text for word in line.words] == SIGN.split()
    for word, (start, end) in zip(line.words, places(SIGN), strict=True):
        assert word.box[0] == pytest.approx(start, abs=7)
        assert word.box[2] == pytest.approx(end, abs=7)
        assert word.confidence > 0.8
    assert all(a.box[2] <= b.box[0] for a, b in zip(line.words, line.words[1:], strict=False))


@pytest.mark.parametrize(("angle", "backwards"), [(90, True), (270, False), (180, True)])
def test_turned_lines_are_read_and_placed(rapid, angle, backwards):
    found = rapid.read(lettered(SIGN, angle=angle))
    assert [line.text for line in found.lines] == [SIGN]
    words = found.lines[0].words
    assert [word.text for word in words] == SIGN.split()
    along = [word.box[0 if angle == 180 else 1] for word in words]
    assert along == sorted(along, reverse=backwards)


def test_the_same_picture_gives_the_same_lines(rapid):
    picture = lettered(SIGN, size=14)
    assert rapid.read(picture) == Rapid(Reading()).read(picture)
    assert rapid.fingerprint() == Rapid(Reading()).fingerprint()
    assert rapid.fingerprint() != Rapid(Reading(longest_side=640)).fingerprint()


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (300, 20)])
def test_pictures_without_letters(rapid, size):
    found = rapid.read(Image.new("RGB", size, (200, 30, 30)))
    assert found.status == "nothing"
    assert found.size == size


@pytest.mark.parametrize("size", [(1, 1), (1, 9000), (9000, 1), (50, 40), (6000, 5000), (640, 480)])
def test_no_shape_makes_detection_dear(size):
    """The detector enlarges the shorter side to 736 pixels: shapes are bounded so that this stays small."""
    shown = fitted(Image.new("RGB", size, "white"), 2000)
    width, height = shown.picture.size
    assert min(width, height) >= SMALLEST
    assert max(width, height) <= 2000
    assert max(width, height) <= SLIMMEST * min(width, height)
    assert shown.box((0, 0, width, height)) == (0, 0, *size)


def test_a_thin_picture_keeps_its_places(rapid):
    line = " ".join([SIGN] * 3)
    picture = lettered(line, size=16)
    picture = picture.crop((0, 0, picture.width, 40))
    found = rapid.read(picture)
    assert picture.width > 12 * picture.height
    assert " ".join(line.text for line in found.lines) == line
    assert found.lines[-1].words[-1].box[2] > picture.width - 40


@pytest.mark.endurance
def test_thousands_of_letters(rapid):
    lines = [f"{number} {SIGN} and the next one" for number in range(60)]
    found = rapid.read(lettered(*lines, size=11))
    letters = sum(map(len, lines))
    assert letters > 2000
    right = sum(line.text in lines for line in found.lines)
    assert right > 50


def test_mirrored_letters_are_no_words_that_one_could_rely_on(rapid):
    found = rapid.read(lettered("Bakery closed today").transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert "Bakery closed today" not in found.text
    assert all(line.confidence < 0.95 for line in found.lines)


def test_nothing_is_fetched(no_network):
    assert Rapid(Reading()).read(lettered("OPEN")).text == "OPEN"
    assert not no_network


@pytest.mark.parametrize("part", MODELS)
def test_a_model_that_is_not_there_is_named_and_not_fetched(part, tmp_path, monkeypatch, no_network):
    import rapidocr

    folder = Path(rapidocr.__file__).parent / "models"
    for name in MODELS.values():
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / name).symlink_to(folder / name)
    (tmp_path / "models" / MODELS[part]).unlink()
    monkeypatch.setattr(rapidocr, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(TrifacetError, match=rf"lacks its model {MODELS[part]}.*not downloaded") as error:
        Rapid(Reading())
    assert len(str(error.value).splitlines()) == 1
    assert not no_network


@pytest.mark.parametrize("part", MODELS)
def test_a_damaged_model_is_one_line(part, tmp_path, no_network):
    engine = Rapid(Reading())
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(engine._files[part].read_bytes()[:1000])
    engine._files = engine._files | {part: broken}
    with pytest.raises(TrifacetError, match=r"cannot open its models \(.*\); install it anew") as error:
        engine.read(lettered("OPEN"))
    assert len(str(error.value).splitlines()) == 1
    assert not no_network


def test_a_model_without_letters_is_not_given_downloaded_ones(tmp_path, no_network):
    """rapidocr fetches a list of letters where the model holds none."""
    engine = Rapid(Reading())
    engine._files = engine._files | {"Rec": engine._files["Cls"]}
    with pytest.raises(TrifacetError, match="cannot open its models"):
        engine.read(lettered("OPEN"))
    assert not no_network


@pytest.mark.parametrize("code", ["rus", "ell", "script/Hebrew", "kor"])
def test_languages_of_other_letters_are_refused_by_name(code, no_network):
    with pytest.raises(TrifacetError, match=rf"no model for language '{code}'.*name engine 'tesseract'"):
        Rapid(Reading(languages=("eng", code)))
    assert not no_network


def test_its_chatter_stays_out(tmp_path):
    lettered("OPEN").save(tmp_path / "sign.png")
    program = (
        "import sys; from PIL import Image; from trifacet.lettering.engines.rapid import Rapid;"
        "from trifacet.lettering.settings import Reading;"
        "assert Rapid(Reading()).read(Image.open(sys.argv[1])).text == 'OPEN'"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "sign.png")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_other_loggers_stay_as_they_are(rapid):
    before = logging.getLogger().level, list(logging.getLogger().handlers)
    rapid.read(lettered("OPEN"))
    assert (logging.getLogger().level, list(logging.getLogger().handlers)) == before
    assert logging.getLogger("RapidOCR").level > logging.CRITICAL


def test_quads_begin_where_one_begins_to_read():
    quad = np.array([(0, 0), (10, 0), (10, 90), (0, 90)], float)
    assert module.as_read(quad, turned=False)[0].tolist() == [10, 0]
    assert module.as_read(quad, turned=True)[0].tolist() == [0, 90]
    wide = quad[:, ::-1][[0, 3, 2, 1]]
    assert module.as_read(wide, turned=False)[0].tolist() == [0, 0]
    assert module.as_read(wide, turned=True)[0].tolist() == [90, 10]


def test_without_its_package_the_extra_is_named():
    blocked = "import sys; sys.modules['rapidocr'] = None;"
    program = blocked + "from trifacet.lettering.engine import open_engine; from trifacet.lettering.settings import *;"
    done = subprocess.run(
        [sys.executable, "-c", program + "open_engine(Reading())"], capture_output=True, text=True, check=False
    )
    assert "needs rapidocr, which is not installed; pip install 'trifacet[lettering]'" in done.stderr
