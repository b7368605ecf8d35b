"""Marks of direction in a text change nothing outside of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trifacet.base.bidi import balanced, bare, isolated

OPENERS, ISOLATES, POP, END = "\u202a\u202b\u202d\u202e", "\u2066\u2067\u2068", "\u202c", "\u2069"
texts = st.text(st.sampled_from(OPENERS + ISOLATES + POP + END + "a1\u05d0\n"), max_size=30)


def levels(paragraph):
    """How many embeddings and isolates each character stands in, and how many are open at the end (UAX 9, X1 to X8)."""
    open_, found = [], []
    for char in paragraph:
        if char in OPENERS:
            open_.append("embedding")
        elif char in ISOLATES:
            open_.append("isolate")
        elif char == POP and open_[-1:] == ["embedding"]:
            open_.pop()
        elif char == END and "isolate" in open_:
            while open_.pop() == "embedding":
                pass
        else:
            found.append((char, len(open_)))
    return found, len(open_)


@given(texts)
def test_nothing_behind_or_around_a_text_is_turned(text):
    for paragraph in balanced(text).split("\n"):
        assert levels(paragraph)[1] == 0
        inside, left = levels(f"\u202b\u2068{paragraph}{END}x")  # as within an element that isolates
        assert left == 1 and inside[-1] == ("x", 1)
        assert all(level > 1 for _, level in inside[:-1])
    assert balanced(balanced(text)) == balanced(text)
    assert [char for char in bare(balanced(text)) if char in "a1\u05d0\n"] == [
        char for char in text if char in "a1\u05d0\n"
    ]


@given(texts.filter(lambda text: "\n" not in text))
def test_a_name_in_a_sentence_is_an_isolate_of_its_own_where_it_needs_one(name):
    said, left = levels(f"By {isolated(name)} 21 of 40.")
    assert left == 0 and all(level == 0 for _, level in said[:3] + said[-10:])
    if set(name) <= set("a1"):
        assert isolated(name) == name


def test_what_is_balanced_stays_as_it_was_written():
    for text in ("", "plain, 21", "\u05d0\u05d1\u05d2 \u200f!", "a \u202bquoted\u202c b", "\u2067\u202ex\u202c\u2069"):
        assert balanced(text) == text
    assert isolated("x\u2069\u202e") == "\u2068x\ufffd\u202e\u202c\u2069"
