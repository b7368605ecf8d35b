"""One word of a text exchanged for another of its kind: where, in which form, and never for one that reads the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trifacet.lettering.lines import Lettering, Line
from trifacet.lettering.matching import holds
from trifacet.preferences.rejected.misreading import misread, other_word, places, unlike
from trifacet.preferences.rejected.misreading_numbers import numbers
from trifacet.preferences.rejected.misreading_words import GROUPS, PLAIN

SEEDS = st.integers(0, 2**32 - 1)
_WORDS = (
    "$4.99 4,50 € 7:30 pm 19h30 3 12 1,299.00 2024 1980s 21st 50% 007 Monday MONDAYS May friday Oct. lundi März Ernest "
    "hemingway London's Hozier open READING with the no-one café www.site24.com/x3 me@example.com #tag5 <image> "
    '你好 Привет 1/2 a an & . , " — \x1b[31m \u202e'
)
_SIGNS = st.sampled_from(_WORDS.split(" "))
TEXTS = st.one_of(st.lists(_SIGNS, max_size=9).map(" ".join), st.text(max_size=60))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def whole(text: str) -> list[tuple[int, int]]:
    return [(0, len(text))]


def form(word: str) -> str:
    """Digits as 0, whatever else stands in a number as it is."""
    return "".join("0" if one.isdigit() else one for one in word)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, seed=SEEDS, cut=st.tuples(st.integers(0, 60), st.integers(0, 60)))
def test_one_word_within_the_allowed_places_is_exchanged_and_the_rest_stays(text, seed, cut):
    low, high = sorted(cut)
    found = misread(text, [(low, high)], rng(seed))
    assert found == misread(text, [(low, high)], rng(seed))
    if found is None:
        return
    start, end = found.span
    assert low <= start < end <= high
    assert text[start:end] == found.before != found.after
    assert found.text == text[:start] + found.after + text[end:]
    assert not any(map(str.isspace, found.after))


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, seed=SEEDS)
def test_a_word_keeps_its_form_and_is_clearly_another(text, seed):
    found = misread(text, whole(text), rng(seed))
    if found is None:
        return
    before, after = found.before, found.after
    if before[0].isdigit():
        assert form(before.rstrip("stndrh")) == form(after.rstrip("stndrh"))
        assert before.startswith("0") or not after.startswith("0")
        assert after not in {number.text for number in numbers(text)}
    else:
        assert unlike(before, after)
        assert after.lower() not in text.lower()
        assert before.isupper() == after.isupper() or len(before) == 1
        assert before[0].isupper() == after[0].isupper()


@settings(max_examples=200, deadline=None)
@given(seed=SEEDS, digits=st.text("0123456789", min_size=1, max_size=12), mark=st.sampled_from(["{}", "${}", "{}.99"]))
def test_a_number_differs_in_value_and_in_digits_that_are_not_taken_for_each_other(seed, digits, mark):
    text = mark.format(digits)
    found = misread(text, whole(text), rng(seed))
    if found is None:
        assert not digits.strip("0") and len(digits) > 1
        return
    pairs = [(one, two) for one, two in zip(found.before, found.after, strict=True) if one != two]
    assert float(found.before) != float(found.after)
    assert not {("1", "7"), ("7", "1"), ("3", "8"), ("8", "3"), ("5", "6"), ("6", "5"), ("0", "8")} & {*pairs[:1]}
    assert found.before.rstrip("0") == "" or len(found.after.rstrip("0")) == len(found.before.rstrip("0"))


@pytest.mark.parametrize(
    ("text", "kind", "before"),
    [
        ("only $4.99 here", "price", "4.99"),
        ("4,50 € pro Pfund", "price", "4,50"),
        ("doors at 7:30 pm", "time", "7:30"),
        ("um 9 Uhr", "time", "9"),
        ("16,000 names", "number", "16,000"),
        ("3 of them", "number", "3"),
        ("the three of them", "number", "three"),
        ("from 1250 on", "year", "1250"),
        ("in the 1980s", "year", "1980"),
        ("closed Mondays", "day", "Mondays"),
        ("ouvert le mardi", "day", "mardi"),
        ("los viernes", "day", "viernes"),
        ("ab März", "month", "März"),
        ("since May", "month", "May"),
        ("a farewell by ernest", "name", "ernest"),
        ("by Hozier", "name", "Hozier"),
        ("by german", "origin", "german"),
        ("STOP", "word", "STOP"),
        ("with deopbap", "word", "deopbap"),
    ],
)
def test_the_kind_of_a_word_decides_what_it_is_exchanged_for(text, kind, before):
    for seed in range(20):
        found = misread(text, whole(text), rng(seed))
        assert (found.kind, found.before) == (kind, before)
        if kind in ("day", "month"):
            groups = [group.words for group in GROUPS if group.kind == kind]
            same = [words for words in groups if before.lower().removesuffix("s") in words or before.lower() in words]
            assert any(found.after.lower() in words or found.after.lower()[:-1] in words for words in same)


def test_numbers_come_before_names_and_names_before_plain_words():
    text = "Ernest sold 300 apples, Greek"
    assert {misread(text, whole(text), rng(seed)).before for seed in range(20)} == {"300"}
    assert {misread(text, [(0, 11)], rng(seed)).before for seed in range(20)} == {"Ernest"}
    assert {misread(text, [(6, 11), (16, 22)], rng(seed)).before for seed in range(20)} == {"apples", "sold"}


@pytest.mark.parametrize("text", ["", "may we", "with the", "www.site24.com/x3", "me@example.com", "00", "你好", "x2y"])
def test_without_a_word_of_a_known_kind_nothing_is_exchanged(text):
    assert misread(text, whole(text), rng()) is None


@settings(max_examples=200, deadline=None)
@given(text=TEXTS, seed=SEEDS)
def test_what_is_exchanged_is_one_of_the_places(text, seed):
    found = misread(text, whole(text), rng(seed))
    assert found is None or (*found.span, found.kind) in places(text)
    assert all(0 <= one.start < one.end <= len(text) for one in places(text))


@settings(max_examples=300, deadline=None)
@given(text=st.lists(_SIGNS, min_size=1, max_size=6).map(" ".join), seed=SEEDS)
def test_no_error_of_reading_makes_the_new_word_of_the_old_one(text, seed):
    found = misread(text, whole(text), rng(seed))
    if found is not None:
        read = Lettering(size=(9, 9), lines=(Line(text=found.before, box=(0, 0, 9, 9)),))
        assert holds(read, found.before) and not holds(read, found.after)


def test_spans_that_touch_are_one():
    assert misread("call Monday", [(5, 8), (8, 11)], rng()).kind == "day"
    assert misread("call Monday", [(5, 8), (9, 11)], rng()) is None


def test_articles_ordinals_and_days_of_a_month_stay_right():
    for seed in range(40):
        assert misread("an apple", whole("an apple"), rng(seed)).after[0] in "aeiou"
        ordinal = misread("the 21st", whole("the 21st"), rng(seed)).after
        ending = "th" if ordinal[0] == "1" else {"1": "st", "2": "nd", "3": "rd"}.get(ordinal[1], "th")
        assert ordinal[2:] == ending
        day = misread("May 16", [(4, 6)], rng(seed)).after
        assert 10 <= int(day) <= 31
        hour = misread("7:30 pm", whole("7:30 pm"), rng(seed)).after
        assert int(hour.split(":")[0]) <= 12


@settings(max_examples=200, deadline=None)
@given(word=st.one_of(_SIGNS, st.text(min_size=1, max_size=20)), seed=SEEDS)
def test_another_word_for_setting_is_one_where_there_is_a_letter_or_digit(word, seed):
    other = other_word(word, rng(seed))
    assert other == other_word(word, rng(seed))
    if any(one.isalpha() or one.isdecimal() for one in word):
        assert other != word
    else:
        assert other == word


def test_the_lists_hold_lower_case_words_of_which_each_has_a_clear_counterpart():
    for words in (*(group.words for group in GROUPS), *PLAIN.values()):
        assert len(set(words)) == len(words) and all(word == word.lower() for word in words)
        assert all(sum(unlike(word, other) for other in words) >= 1 for word in words)
