"""Names that nobody gave: none of the probe set is let through."""

import importlib.util
from pathlib import Path

import pytest

from trifacet.describing.names import Known, can_tell, invented, other_language

BENCH = Path(__file__).resolve().parents[2] / "bench" / "alt_names.py"


@pytest.fixture(scope="module")
def probe():
    spec = importlib.util.spec_from_file_location("alt_names", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_invented_name_of_the_probe_set_is_let_through(probe):
    for language, sentences in probe.SENTENCES.items():
        for name in (*probe.NAMES, *probe.FRESH):
            for sentence in sentences:
                text = sentence.format(name)
                assert invented(text, Known([probe.PAGE]), language), text


def test_right_texts_without_names_are_not_withheld(probe):
    texts = [(text, language) for language, group in probe.PLAIN.items() for text in group]
    assert [text for text, language in texts if invented(text, Known(), language)] == []


@pytest.mark.parametrize(
    "known",
    [
        Known(["A day with Ada Lovelace."]),
        Known(spelled=["Ada Lovelace"]),
        Known(spelled=["ada-lovelace_2.jpg"]),
        Known(["#AdaLovelace"]),
        Known(["ADA LOVELACE"]),
    ],
)
def test_a_name_that_is_given_is_none(known):
    assert invented("Ada Lovelace's notes lie on a table.", known) == ()


def test_a_common_word_of_the_page_gives_no_name():
    assert invented("A woman, Rose, holds a cake.", Known(["She holds a rose."])) == ("Rose",)


def test_a_pipeline_finds_names_where_the_rules_cannot_tell():
    text = "Maria hält einen Kuchen."
    assert not can_tell(text, "de") and not can_tell("日本の城", "ja") and can_tell("A dog.", "de")
    assert invented(text, Known(), "de", lambda text: [(0, 5)], rules=False) == ("Maria",)
    assert invented(text, Known(["Maria"]), "de", lambda text: [(0, 5)], rules=False) == ()


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("A dog runs along the beach.", "de", "English"),
        ("Ein Hund läuft am Strand entlang.", "de", ""),
        ("Une femme avec un chien dans la rue et une maison.", "en", "not English"),
        ("A dog runs along the beach.", "en", ""),
        ("Red kite", "fr", ""),
        ("A dog runs along the beach.", "", ""),
    ],
)
def test_another_language_is_told_where_it_is_clear(text, language, found):
    assert other_language(text, language) == found


@pytest.mark.parametrize("text", ["", "!!!", "A" * 100_000, "Anna " * 10_000, "’s" * 5_000, "-" * 50_000])
def test_odd_texts_take_no_time(text):
    invented(text, Known([text]))
    other_language(text, "de")
