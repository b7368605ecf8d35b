"""Named things against a table of what is there: cases worked by hand, and what is no table."""

import pytest

from trifacet.base.errors import DataError
from trifacet.metrics.objects import Named, count_named, object_measures, truth_of
from trifacet.metrics.scores import score_texts
from trifacet.metrics.target import Reference

TABLE = {
    "there": {"kite": ["red"], "ring": ["blue"], "traffic light": []},
    "words": {
        "kite": ["kite", "kites"], "ring": ["ring"], "candle": ["candle"], "traffic light": ["traffic light"],
        "light": ["light"],
    },
    "attributes": ["red", "blue", "green"],
}  # fmt: skip


def target(name, **extra):
    return Reference(name, ("A red kite.",), extra=extra)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        #                                               mentions absent found there described wrongly
        ("A red kite and a blue ring.", Named(2, 0, 2, 3, 2, 0)),
        ("A green Kite, a candle.", Named(2, 1, 1, 3, 1, 1)),
        ("Kites, kites and a red candle", Named(3, 1, 1, 3, 0, 0)),  # an absent thing has no right attribute
        ("a red  traffic\nlight", Named(1, 0, 1, 3, 1, 1)),  # the longer word, over any white space
        ("a light traffic", Named(1, 1, 0, 3, 0, 0)),
        ("string, kitesurfer, rings", Named(0, 0, 0, 3, 0, 0)),  # whole words only
        ("", Named(0, 0, 0, 3, 0, 0)),
    ],
)
def test_mentions_are_counted_as_by_hand(text, expected):
    assert count_named(text, truth_of({"objects": TABLE})) == expected


def test_the_measures_are_those_worked_out_by_hand():
    """Three captions: 1 of 3 hallucinates, 1 of 5 mentions, 4 of 9 things named, 1 of 3 attributes wrong."""
    texts = ["A red kite and a blue ring.", "A green kite, a candle.", "A ring."]
    samples = [target(name, objects=TABLE) for name in "abc"]
    values = {name: one.value for name, one in object_measures(texts, samples).items()}
    assert values == {
        "objects/chair_s": pytest.approx(100 / 3),
        "objects/chair_i": pytest.approx(100 / 5),
        "objects/coverage": pytest.approx(400 / 9),
        "objects/f1": pytest.approx(100 * 2 * (4 / 5) * (4 / 9) / (4 / 5 + 4 / 9)),
        "objects/attributes": pytest.approx(100 / 3),
    }


def test_a_repeated_mention_adds_nothing_to_coverage_or_f1():
    once, twice = (
        object_measures([text], [target("a", objects=TABLE)]) for text in ("A red kite.", "A red kite, a red kite.")
    )
    assert once["objects/coverage"].value == twice["objects/coverage"].value == pytest.approx(100 / 3)
    assert once["objects/f1"].value == twice["objects/f1"].value == pytest.approx(50)


def test_texts_that_name_nothing_hallucinate_nothing_and_have_no_share_of_mentions():
    scores = score_texts({"a": "Hm."}, [target("a", objects=TABLE)])
    found = {name.removeprefix("objects/"): value for name, value in scores.metrics.items() if "objects" in name}
    assert found == {"chair_s": 0, "chair_i": None, "coverage": 0, "f1": 0, "attributes": None}


def test_the_yes_bias_is_what_is_said_less_what_is_right():
    right = ["yes", "no", "no", "no"]
    samples = [target(str(k), facts={"answer": [word]}) for k, word in enumerate(right)]
    texts = ["Yes, there is.", "yes", "No.", "Well, yes"]  # the last begins with neither: no yes
    assert object_measures(texts, samples)["yes_bias"].value == pytest.approx(25.0)


def test_rates_of_captions_and_answers_stand_side_by_side_in_the_scores():
    samples = [
        target("a", objects=TABLE),
        target("b", facts={"answer": ["no"]}, confusions={"answer": ["yes"]}),
        target("c", facts={"answer": ["red"]}, confusions={"answer": ["blue"]}),
    ]
    scores = score_texts({"a": "A candle.", "b": "No.", "c": "It is red or blue."}, samples)
    found = scores.metrics
    assert (found["objects/chair_s"], found["objects/coverage"]) == (100, 0)
    assert "objects/attributes" not in scores.per_sample["a"]  # nothing that is there is described
    assert (found["grounding/answer"], found["yes_bias"]) == (50, 0)
    assert "objects/chair_s" not in scores.per_sample["b"]


def test_samples_without_a_table_have_none_of_it():
    assert object_measures(["A kite."], [target("a")]) == {}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ([], "not a table"),
        ({"there": {"kite": []}}, "not a table"),
        ({"there": ["kite"], "words": {"kite": ["kite"]}}, "not a table"),
        ({"there": {}, "words": {"kite": [""]}}, "not a table"),
        ({"there": {"kite": [3]}, "words": {"kite": ["kite"]}}, "not a table"),
        ({"there": {"kite": []}, "words": {"ring": ["ring"]}}, "no word for 'kite'"),
        ({"there": {}, "words": {"kite": ["kite"], "bird": ["Kite"]}}, "to two objects"),
    ],
)
def test_what_is_no_table_is_refused(table, told):
    with pytest.raises(DataError, match=told) as error:
        object_measures([""], [target("odd", objects=table)])
    assert "odd" in str(error.value)
    assert "extra.objects" in str(error.value)
