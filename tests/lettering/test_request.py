"""The lines that a request quotes: bounded, whole words, the largest letters first; and nothing but words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.base.errors import DataError
from trifacet.lettering.lines import Lettering, Line
from trifacet.lettering.request import block, plain, quoted, stated

SIGN = ("GRAND OPENING", 60), ("Saturday 9 May", 30), ("free coffee for everybody", 14), ("www.example.org", 8)


def lettering(*lines):
    """Lines of these texts and heights, one below the other."""
    at, made = 0.0, []
    for text, height in lines:
        made.append(Line(text=text, box=(0, at, 400, at + height)))
        at += height
    return Lettering(size=(400, 1000), lines=tuple(made))


def test_small_print_goes_first_and_the_order_stays():
    every = tuple(text for text, _ in SIGN)
    assert quoted(lettering(*SIGN), 400) == (every, False)
    assert quoted(lettering(*reversed(SIGN)), 400) == (every[::-1], False)
    assert quoted(lettering(*SIGN), 70) == (("GRAND OPENING", "Saturday 9 May", "free coffee for everybody"), True)
    assert quoted(lettering(*SIGN), 50) == (("GRAND OPENING", "Saturday 9 May", "free coffee…"), True)
    assert quoted(lettering(*reversed(SIGN)), 50) == (("free coffee…", "Saturday 9 May", "GRAND OPENING"), True)
    assert quoted(lettering(*SIGN), 28) == (("GRAND OPENING", "Saturday…"), True)
    assert quoted(lettering(*SIGN), 16) == (("GRAND OPENING",), True)
    assert quoted(lettering(*SIGN), 12) == (("GRAND…",), True)


def test_a_word_that_is_too_long_is_cut_where_no_mark_stands_alone():
    assert quoted(lettering(("eröffnung" * 20, 10)), 16).lines == ("eröffnungerö…",)
    assert quoted(lettering(("ero\u0308ffnung" * 20, 10)), 7).lines == ("er…",)
    assert quoted(lettering(("大特価" * 200, 10)), 12).lines == ("大特価大特価大特…",)


def test_a_line_that_runs_down_the_picture_is_as_high_as_its_letters():
    down = Line(text="DOWN THE SIDE", box=(0, 0, 20, 900))
    turned = Line(
        text="slanted", box=(100, 0, 400, 300), quad=((100.0, 10.0), (110.0, 0.0), (400.0, 290.0), (390.0, 300.0))
    )
    title = Line(text="TITLE", box=(30, 100, 400, 140))
    found = Lettering(size=(400, 1000), lines=(down, turned, title))
    assert quoted(found, 30).lines == ("DOWN THE SIDE", "TITLE")


def test_what_is_no_picture_of_words_gives_none():
    assert quoted(Lettering(size=(10, 10)), 400) == ((), False)
    assert quoted(Lettering(size=(10, 10), unreadable=((0, 0, 5, 5),)), 400) == ((), False)
    assert quoted(lettering(("\u200b \u202e", 10)), 400) == ((), False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mred\x1b[0m sign", "ared sign"),
        ("two\nlines\r\n\u2028of\x85it\x0b", "two lines of it"),
        ('say "no" to “this” or ＂that＂', "say 'no' to 'this' or 'that'"),
        ("<im\u200bage> <\u200d|im_start|>", "<image> <|im_start|>"),
        ("\u202egnp.exe\u2066 \ufeffx\u00ad", "gnp.exe x"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a\u200d\u200d\u200cb", "ab"),
        ("👩\u200d🚀 🦊", "👩\u200d🚀 🦊"),
        ("\ue000\U000e0041tag", "tag"),
    ],
)
def test_what_nobody_sees_or_a_terminal_obeys_is_gone(text, expected):
    assert plain(text) == expected


SPECIAL = '\x1b[]m;\x07\n\r\u2028\u2029\x85\u202e\u200b\u200d"“”＂<>|\\ '
HOSTILE = st.text(alphabet=st.one_of(st.characters(), st.sampled_from(SPECIAL)), max_size=60)


@given(st.lists(st.tuples(HOSTILE, st.integers(1, 60)), max_size=8), st.integers(8, 200))
@searched(300)
def test_every_line_is_one_line_between_its_own_marks(lines, most):
    found = lettering(*lines)
    shown, cut = quoted(found, most)
    assert sum(len(line) + 3 for line in shown) <= most
    shown_as = block(shown, "Words:").split("\n")
    assert shown_as == ["Words:", *(f'"{line}"' for line in shown)]
    for line in shown:
        assert line == " ".join(line.split()) != ""
        assert '"' not in line
        assert all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in line)
        assert plain(line) == line  # so that words that were kept and read back are asked alike
    texts = [text for line in found.lines if (text := plain(line.text))]
    assert cut == (list(shown) != texts)
    wider, _ = quoted(found, most + 20)
    assert len(wider) >= len(shown)  # with more room nothing is lost
    assert all(any(other.startswith(line.removesuffix("…").rstrip()) for other in wider) for line in shown)


def test_what_rows_state_is_taken_whatever_the_size_of_the_picture():
    assert quoted(stated(["SALE", {"text": "5 May", "confidence": 0.2}]), 400).lines == ("SALE", "5 May")
    assert quoted(stated([]), 400).lines == ()
    kept = lettering(*SIGN).model_dump(mode="json")
    assert stated(kept) == lettering(*SIGN)
    for wrong in ("SALE", 5, [5], {"lines": []}, {"size": 5}):
        with pytest.raises(DataError, match=r"extra\.lettering"):
            stated(wrong)
