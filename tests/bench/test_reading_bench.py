"""The bench of reading: words stand where their truth says, and what is read is counted as it should be."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import reading
from lettered.costs import made_pages, with_interval
from lettered.pictures import FACES, Look, page
from lettered.scoring import Judged, calibration_error, error_measures, outcomes, reliability, right_words
from lettered.texts import READABLE, UNREADABLE, drawn_texts

from trifacet.lettering.lines import Lettering, Line
from trifacet.statistics.measures import share_measure

TEXTS = ("Fresh bread daily", "No entry")


def drawn(look, texts=TEXTS, seed=0):
    return page(texts, look, np.random.default_rng(seed))


@pytest.mark.parametrize(
    "look",
    [
        Look(),
        Look(size=8),
        Look(turned=20),
        Look(turned=90),
        Look(turned=180),
        Look(way="stacked"),
        Look(way="arc", bent=150),
        Look(contrast=-210),
        Look(contrast=50, turned=45),
    ],
    ids=lambda look: f"{look.size} {look.way} {look.turned} {look.contrast}",
)
def test_ink_is_along_the_truths_lines_and_nowhere_else(look):
    made = drawn(look)
    grey = np.asarray(made.picture.convert("L"), float)
    rows, columns = np.nonzero(np.abs(grey - grey[0, 0]) > 5)
    ink = np.stack([columns, rows], axis=1)
    away = np.array([[_away(truth.points_P2, point) for truth in made.truths] for point in ink[::7]])
    assert away.min(axis=1).max() < 1.1 * look.size
    assert set(away.argmin(axis=1)) == {0, 1}
    for truth in made.truths:  # it begins and ends where the text does
        for end in (truth.points_P2[0], truth.points_P2[-1]):
            assert np.abs(ink - end).max(axis=1).min() < look.size


def _away(points, point):
    along = np.concatenate([np.linspace(a, b, 60) for a, b in pairwise(points)])
    return np.linalg.norm(along - point, axis=1).min()


def test_the_same_draws_give_the_same_pixels_and_others_not():
    look = Look(ground="photo")
    assert drawn(look).picture.tobytes() == drawn(look).picture.tobytes()
    assert drawn(look).picture.tobytes() != drawn(look, seed=1).picture.tobytes()


def test_texts_are_drawn_once_each_and_have_their_letters_in_the_faces():
    from PIL import ImageFont

    for name, texts in (READABLE | UNREADABLE).items():
        assert len(set(texts)) == len(texts) == len(drawn_texts(name, 99, np.random.default_rng(0)))
        if name not in reading.CJK:
            for face in FACES[:1] if name in UNREADABLE else FACES:
                font = ImageFont.truetype(face, 20)
                blank = bytes(font.getmask("\U0010fffd"))
                assert all(bytes(font.getmask(letter)) != blank for text in texts for letter in text), (name, face)


def line(text, start, end, confidence=0.9):
    (x, y), (right, lower) = start, end
    quad = ((x, y), (right, y), (right, lower), (x, lower))
    box = (min(x, right), min(y, lower), max(x, right), max(y, lower))
    return Line(text=text, box=box, confidence=confidence, quad=quad)


@pytest.mark.parametrize("turned", [0, 180])
def test_pieces_are_joined_as_they_stand_along_their_line(turned):
    made = drawn(Look(turned=turned))
    first = made.truths[0].points_P2
    at = [tuple(first[0] + share * (first[1] - first[0])) for share in (0.1, 0.4, 0.6, 0.9)]
    pieces = (line("bread daily", at[2], at[3], 0.8), line("Frosh", at[0], at[1], 0.95))
    blind = made.truths[1].points_P2.mean(axis=0)
    found = Lettering(size=made.picture.size, lines=pieces, unreadable=((*(blind - 2), *(blind + 2)),))
    one, other = outcomes(made, found, "page")
    assert (one.read, one.errors, one.words, one.words_right, one.unreadable) == ("Frosh bread daily", 1, 3, 2, False)
    assert one.judged_lines == (Judged(0.95, False), Judged(0.8, True))
    assert (other.read, other.errors, other.words_right, other.unreadable) == ("", len(TEXTS[1]), 0, True)
    values = {measure.name: measure.value for measure in error_measures([one, other])}
    assert values["CER"] == pytest.approx(100 * (1 + len(TEXTS[1])) / sum(map(len, TEXTS)))
    assert (values["words right"], values["cannot read"], values["not seen"]) == (40, 50, 0)


def test_what_is_read_where_nothing_stands_counts_as_errors():
    made = drawn(Look(), TEXTS[:1])
    points = made.truths[0].points_P2
    own = line(TEXTS[0], tuple(points[0]), tuple(points[1] + 1))
    (right,) = outcomes(made, Lettering(size=made.picture.size, lines=(own,)), "page")
    (more,) = outcomes(made, Lettering(size=made.picture.size, lines=(own, line("xy", (0, 0), (9, 9)))), "page")
    assert (right.errors, more.errors) == (0, 3)


@pytest.mark.parametrize(
    ("words", "read", "right"),
    [
        ("a b c", "a b c", [1, 1, 1]),
        ("a b c", "a x b c", [1, 0, 1, 1]),
        ("a b c", "b", [1]),
        ("a b", "b a b", [0, 1, 1]),
        ("a b", "", []),
        ("a", "A", [0]),
    ],
)
def test_words_are_right_where_an_alignment_has_them(words, read, right):
    assert right_words(words.split(), read.split()).tolist() == right


def judgements(confidence, rights, of):
    return [(f"page {n % 5}", Judged(confidence, n < rights)) for n in range(of)]


def test_calibration_error_is_the_weighted_distance_of_the_bins():
    honest = judgements(0.9, 90, 100) + judgements(0.6, 30, 50)
    assert calibration_error(honest).value == pytest.approx(0)
    boasting = judgements(0.99, 50, 100) + judgements(0.6, 60, 100)
    assert calibration_error(boasting).value == pytest.approx((49 + 0) / 2)
    assert [(row.begin, row.count, row.right.value) for row in reliability(boasting)] == [
        (0.6, 100, 60),
        (0.99, 100, 50),
    ]


def test_no_interval_is_claimed_where_all_pages_are_alike():
    assert with_interval(share_measure("x", ["a", "b", "c"], [1, 1, 1], [1, 1, 1])) == "100.0"
    assert "[" in with_interval(share_measure("x", ["a", "b", "c"], [1, 0, 1], [1, 1, 1]))


def test_made_pictures_hold_texts_of_many_sizes_inside():
    (made,) = made_pages(1, [(700, 900)], 3)
    assert made.picture.size == (700, 900)
    assert len(made.truths) > 4
    for truth in made.truths:
        assert (truth.points_P2 >= 0).all()
        assert (truth.points_P2 <= made.picture.size).all()


def test_the_command_reads_pages_and_tells_errors_and_confidence(tmp_path, monkeypatch, capsys):
    pytest.importorskip("rapidocr", reason="pip install 'trifacet[lettering]'")
    plot = tmp_path / "plot.svg"
    options = ["errors", "--only", "ground,other letters", "--pages", "1", "--lines", "1", "--plot", str(plot)]
    monkeypatch.setattr(sys, "argv", ["reading.py", *options])
    reading.main()
    told = capsys.readouterr().out
    assert "| ground: gradient | 1 | 0.0 | 100.0 | 0.0 | 0.0 |" in told
    assert "| Hebrew | 1 | 100.0 | 0.0 | 0.0 |  |" in told
    assert "words: expected calibration error" in told
    assert plot.read_bytes().startswith(b"<?xml")
