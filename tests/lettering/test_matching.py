"""The same words are found however they are misread and set; another number or day never counts as the same."""

import time
from calendar import day_name, month_name
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.lettering.lines import Lettering, Line
from trifacet.lettering.matching import MOST_WORDS, asked_words, holds, left_out, missing, share_held


def lettering(*texts):
    return Lettering(size=(100, 100), lines=lines(*texts))


def lines(*texts):
    return tuple(Line(text=text, box=(0, 0, 90, 10)) for text in texts)


@pytest.mark.parametrize(
    ("lettered", "phrase"),
    [
        ("Café ŁÓDŹ Straße", "CAFE Lodz STRASSE"),
        ("ﬁsh & chips ＯＰＥＮ", "fish & chips open"),
        ("TOP IO BEST", "top 10 best"),
        ("S0FT & CHEWY l00%", "soft & chewy 100%"),
        ("Modem Art", "modern art"),
        ("SUNDAYBRUNCH", "sunday brunch"),
        ("Sunday Brunch", "sundaybrunch"),
        ("RESTAURANTSIN", "restaurants in"),
        ("DON'T STOP", "dont stop"),
        ("4,000 and 4.500 and 12 000", "4000 and 4,500 and 12.000"),
        ("$5.00 at 09:30", "$5 at 9.30"),
        ("Volume 1, Part Two", "volume one, part 2"),
        ("Đng Nai Restaurent", "Đng Nai restaurant"),
        ("今日は特別", "特別"),
        ("50% OFF", "50 % off"),
        ("HAPPY ENDING", "the happy ending"),
    ],
)
def test_what_is_the_same_word_is_held(lettered, phrase):
    assert holds(lettering(lettered), phrase)
    assert missing(lettering(lettered), phrase) == ()
    assert left_out(lines(phrase), lettered) == ()


@pytest.mark.parametrize(
    ("lettered", "phrase", "lack"),
    [
        ("4,000 people", "4,001 people", ("4,001",)),
        ("price 3.50", "price 350", ("350",)),
        ("Open 10:30", "Open 10:31", ("10:31",)),
        ("1/2 cup", "12 cup", ("12",)),
        ("12 cups", "1/2 cups", ("1", "2")),
        ("1250-1850", "1250-1950", ("1950",)),
        ("$5", "€5", ("€",)),
        ("Gate 8", "Gate B", ("B",)),
        ("Vitamin C", "vitamin D", ("D",)),
        ("Room B8", "Room B9", ("B9",)),
        ("Anna's bakery", "Anne's bakery", ("Anne's",)),
        ("No access", "Now access", ("Now",)),
        ("Monday", "Sunday", ("Sunday",)),
        ("The cat", "the dog", ("dog",)),
        ("特別", "特価", ("価",)),
        ("two days", "three days", ("three",)),
    ],
)
def test_another_word_is_missing(lettered, phrase, lack):
    assert missing(lettering(lettered), phrase) == lack
    assert holds(lettering(lettered), phrase) is False


def test_days_and_months_are_never_taken_for_one_another():
    for one, other in combinations([*day_name, *month_name[1:]], 2):
        assert missing(lettering(one), other) == (other,)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
@searched(200)
def test_two_numbers_are_the_same_only_if_they_are(one, other):
    for told in (f"{other}", f"{other:,}"):
        assert holds(lettering(f"for {one}"), told) == (one == other)


def test_a_phrase_runs_over_lines_in_any_order_but_not_backwards_in_one():
    sign = lettering("8 WAYS TO", "PLUM.COM", "BECOME A HAPPIER", "PERSON")
    assert holds(sign, "8 ways to become a happier person")
    assert holds(sign, "ways to become happier") and holds(sign, "person")
    assert not holds(sign, "happier ways")
    hours = lettering("Monday 9-17", "Sunday closed")
    assert holds(hours, "Monday 9-17 Sunday closed") and holds(hours, "Sunday closed")
    assert not holds(hours, "Sunday 9-17") and missing(hours, "Sunday 9-17") == ()
    assert holds(lettering("REST AU-", "RANTS"), "restaurants")


def test_what_is_left_out_is_told_as_lettered_and_once():
    poster = lines("THE BEST", "Dumpling SAUCE", "the best SAUCE!")
    assert asked_words(poster) == ("BEST", "Dumpling", "SAUCE")
    assert left_out(poster, "Two dumplings") == ("BEST", "SAUCE")
    assert left_out(poster, "Two dumplings", "my best sauces") == ()
    assert share_held(poster, "Two dumplings") == (1, 3)
    assert share_held(lines("to be"), "not to be") == (2, 2)  # where there are no others these are asked for
    assert share_held((), "text") == (0, 0)


@given(st.text(max_size=80), st.text(max_size=80))
@searched(200)
def test_every_text_holds_itself_and_what_is_missing_is_not_held(one, other):
    for text in (one, f"{one} {other}"):
        assert holds(lettering(text), one)
    lack = missing(lettering(one), other)
    assert not (lack and holds(lettering(one), other))
    held, asked = share_held(lines(one), other)
    assert 0 <= held <= asked


@pytest.mark.parametrize("piece", ["a ", "ab1 ", "1 000 ", "x", "1", "e\u0301", "'", "1.", "漢", "\u202e<b>"])
def test_time_is_bounded_whatever_the_text(piece):
    text = (piece * 100_000)[:100_000]
    start = time.process_time()
    assert left_out(lines(text), text) == ()
    assert missing(lettering(text[:10_000]), text[:10_000]) == ()
    assert holds(lettering(text[:10_000]), text[:10_000])
    assert time.process_time() - start < 15  # seconds; it takes two at most, and every word beside every other hours


def test_no_more_words_are_compared_than_said():
    many = " ".join(f"word{number}" for number in range(MOST_WORDS + 50))
    assert len(asked_words(lines(many))) == MOST_WORDS
    start = time.process_time()
    strange = " ".join(
        "".join(chr(97 + (number * step) % 26) for step in (1, 3, 5, 7, 9, 11)) for number in range(20_000)
    )
    left_out(lines(strange[::-1]), strange)
    assert time.process_time() - start < 10
