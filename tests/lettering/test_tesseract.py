"""Tesseract: languages by name, words and places from its table; what is missing or fails is one line."""

import shutil
import time

import pytest
from PIL import Image
from rendered import lettered, places

from trifacet.base.errors import DataError, TrifacetError
from trifacet.lettering.engine import open_engine
from trifacet.lettering.engines import tesseract as module
from trifacet.lettering.engines.fitting import fitted
from trifacet.lettering.settings import Reading

HEAD = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"


def opened(*languages):
    """The engine, or the reason why this machine has none."""
    if shutil.which("tesseract") is None:
        pytest.skip("tesseract is not installed (Debian: apt-get install tesseract-ocr)")
    try:
        return open_engine(Reading(engine="tesseract", languages=languages))
    except TrifacetError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("language", "text"),
    [("rus", "Свежий хлеб каждый день"), ("ell", "Παγωτό 2 ευρώ"), ("eng", "Farm shop 12.50"), ("heb", "לחם טרי")],
)
def test_languages_that_rapidocr_does_not_read(language, text):
    picture = lettered(text)
    found = opened(language).read(picture)
    (line,) = found.lines
    assert line.text == text
    assert found.size == picture.size
    assert [word.text for word in line.words] == text.split()
    if language != "heb":  # which begins at the right
        for word, (start, end) in zip(line.words, places(text), strict=True):
            assert (word.box[0], word.box[2]) == (pytest.approx(start, abs=4), pytest.approx(end, abs=4))


def test_the_fingerprint_names_the_data():
    engine = opened("eng")
    facts = engine.fingerprint()
    assert facts["version"].startswith("tesseract ")
    assert len(facts["data"]) == 1
    assert engine.read(Image.new("RGB", (200, 80), "white")).status == "nothing"


def test_a_language_without_data_is_refused_with_its_package():
    opened("eng")
    with pytest.raises(TrifacetError, match=r"no data for language 'dzo' .*apt-get install tesseract-ocr-dzo"):
        open_engine(Reading(engine="tesseract", languages=("eng", "dzo")))


def test_without_the_program_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TrifacetError, match=r"program tesseract, which is not installed; apt-get install"):
        open_engine(Reading(engine="tesseract"))


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Put a program of another kind in tesseract's place."""

    def put(body):
        path = tmp_path / "tesseract"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return put


LISTS = (
    'case "$1" in --version) echo "tesseract 9.9";; --list-langs) echo "List of available languages in \\"/x/\\" (1):";'
    " echo eng;; *) {};; esac"
)


@pytest.mark.parametrize("languages", [("--help",), ("../../etc/passwd",), ("eng+rus",), ("eng;ls",), ()])
def test_no_option_and_no_path_is_a_language(script, languages):
    script(LISTS.format("true"))
    with pytest.raises(TrifacetError, match="language"):
        open_engine(Reading(engine="tesseract", languages=languages))


def test_a_program_that_fails_is_one_line(script):
    script(LISTS.format("echo first >&2; echo Segmentation fault >&2; exit 3"))
    engine = open_engine(Reading(engine="tesseract"))
    with pytest.raises(DataError, match=r"tesseract fails \(Segmentation fault\)"):
        engine.read(lettered("OPEN"))


def test_a_program_that_makes_no_end_is_ended(script, monkeypatch):
    script(LISTS.format("exec sleep 60"))
    engine = open_engine(Reading(engine="tesseract"))
    monkeypatch.setattr(module, "SECONDS", 0.3)
    started = time.monotonic()
    with pytest.raises(DataError, match=r"takes tesseract more than 0\.3 seconds"):
        engine.read(lettered("OPEN"))
    assert time.monotonic() - started < 20


def test_its_table_is_not_trusted(script, tmp_path):
    rows = (
        "5\t1\t1\t1\t1\t1\t-50\t10\t90\t20\t96.1\tFAR",
        "5\t1\t1\t1\t1\t2\t100\t10\t9999\t20\t300\tOUT",
        "5\t1\t1\t1\t2\t1\t10\t50\t20\t20\t-1\t ",
        "5\t1\t1\t1\t3\t1\t10\t50\t20\t20\t12\tblur",
        "4\t1\t1\t1\t4\t0\t0\t0\t5\t5\t-1\t",
        "5\t1\t1\t1\t5",
        "5\t1\t1\t1\t6\t1\tx\ty\tz\t20\t96\tnumbers",
    )
    table = tmp_path / "table.tsv"
    table.write_text("\n".join((HEAD, *rows)) + "\n")
    script(LISTS.format(f"cat {table}"))
    found = open_engine(Reading(engine="tesseract")).read(Image.new("RGB", (300, 280), "white"))
    (line,) = found.lines
    assert line.text == "FAR OUT"
    assert line.box == (0, 10, 300, 30)
    assert found.unreadable == ((10, 50, 30, 70),)


def test_a_large_picture_is_reduced_and_its_places_are_the_pictures():
    shown = fitted(Image.new("RGB", (4000, 1000)), 1000)
    assert shown.picture.size == (1000, 256)
    assert shown.box((0, 0, 1000, 250)) == (0, 0, 4000, 1000)
    assert shown.box((0, 0, 2000, 300)) == (0, 0, 4000, 1000)
