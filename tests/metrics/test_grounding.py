"""A text is right about a fact when it says it and says nothing else of that attribute."""

import pytest

from trifacet.base.errors import DataError
from trifacet.metrics.grounding import Span, ground

EXTRA = {
    "facts": {"name": ["Mara"], "colour": ["red"], "shape": ["disc", "circle"], "count": ["three", 3]},
    "confusions": {
        "name": ["Ines", "Otto"],
        "colour": ["blue", "dark red"],
        "shape": ["box", "ring"],
        "count": ["two", 2, "five"],
    },
}


def right(text, fact, extra=EXTRA):
    return ground(text, extra).values[f"grounding/{fact}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mara holds three red discs", [1, 1, 1, 1]),
        ("MARA's 3 Red circles.", [1, 1, 1, 1]),
        ("Mara and Otto hold red boxes", [0, 1, 0, 0]),  # a wrong form beside the right one
        ("Tamara is bored by 30 discussions", [0, 0, 0, 0]),  # parts of words
        ("dark red rings, 3.5, 0.3 or 1,300 of them", [0, 0, 0, 0]),  # the longer form counts; numbers are whole
        ("blue and red, two or three", [0, 0, 0, 0]),
        ("", [0, 0, 0, 0]),
    ],
)
def test_facts(text, expected):
    values = ground(text, EXTRA).values
    assert [values[f"grounding/{fact}"] for fact in EXTRA["facts"]] == expected
    assert values["grounding"] == pytest.approx(sum(expected) / 4)


def test_the_longer_form_counts_either_way_and_spaces_may_differ():
    extra = {"facts": {"colour": ["light blue"]}, "confusions": {"colour": ["blue", "red"]}}
    assert right("a light\n blue box", "colour", extra) == 1
    assert right("a blue box", "colour", extra) == 0
    extra = {"facts": {"colour": ["rose"]}, "confusions": {"colour": ["rose red"]}}
    assert right("a rose box", "colour", extra) == 1
    assert right("a rose red box", "colour", extra) == 0


def test_a_form_is_text_not_a_pattern():
    extra = {"facts": {"name": ["C.J. (the 2nd)"]}, "confusions": {"name": ["a+b", "[x"]}}
    assert right("here is C.J. (the 2nd), smiling", "name", extra) == 1
    assert right("here is CxJ. (the 2nd), smiling", "name", extra) == 0


def test_spans_point_at_the_words_in_their_order_without_overlap():
    text = "Otto: 3 red discs"
    spans = ground(text, EXTRA).spans
    assert [(text[span.start : span.end], span.verdict, span.fact) for span in spans] == [
        ("Otto", "wrong", "name"),
        ("3", "right", "count"),
        ("red", "right", "colour"),
        ("discs", "right", "shape"),
    ]
    shared = {"facts": {"name": ["Rose Red"], "colour": ["rose"]}, "confusions": {"colour": ["red"]}}
    assert ground("Rose Red", shared).spans == [Span(0, 8, "right", "name")]
    assert right("Rose Red", "colour", shared) == 0  # judged before the spans are thinned out


def test_a_sample_without_facts_has_no_values():
    assert ground("anything", {"url": "x"}).values == {}


def test_a_whole_number_among_the_forms_is_read_as_text():
    for text, right in (("3 dogs", 1.0), ("30 dogs", 0.0), ("Three dogs", 1.0)):
        assert ground(text, {"facts": {"count": [3, "three"]}}).values["grounding/count"] == right


@pytest.mark.parametrize(
    "extra",
    [
        {"facts": ["red"]},
        {"facts": {"colour": "red"}},
        {"facts": {"colour": []}},
        {"facts": {"colour": [" "]}},
        {"facts": {"count": [3.0]}},
        {"facts": {"count": [True]}},
        {"facts": {"colour": ["red"]}, "confusions": {"colour": ["RED"]}},
    ],
)
def test_malformed_facts_are_named(extra):
    with pytest.raises(DataError, match=r"extra\.(facts|confusions)"):
        ground("red", extra)
