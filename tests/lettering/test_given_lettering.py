"""What rows state of the words in their pictures: both forms, and one line for whatever else stands there."""

import pytest

from trifacet.base.errors import DataError
from trifacet.lettering.given import LONGEST_LINE, MOST_LINES, given_lettering
from trifacet.lettering.lines import Lettering, Line, Word, cut

SIZE = (200, 100)
READ = Lettering(
    size=SIZE,
    lines=(
        Line(text="OPEN NOW", box=(10, 5, 190, 40), confidence=0.9, words=(Word(text="OPEN", box=(10, 5, 90, 40)),)),
    ),
    unreadable=((0, 60, 50, 80),),
)


def test_what_was_kept_comes_back() -> None:
    assert given_lettering(READ.model_dump(mode="json"), SIZE, "extra.lettering") == READ


def test_strings_and_lines_with_places() -> None:
    value = ["Farm  shop", {"text": "2 km", "box": [10, 20, 60, 40], "confidence": 0.5}]
    found = given_lettering(value, SIZE, "extra.lettering")
    assert [line.text for line in found.lines] == ["Farm shop", "2 km"]
    assert [line.placed for line in found.lines] == [False, True]
    assert found.lines[0].box == (0, 0, 200, 100)
    assert found.lines[1].box == (10, 20, 60, 40)
    assert found.lines[1].confidence == 0.5


def test_an_empty_list_says_that_there_is_none() -> None:
    assert given_lettering([], SIZE, "extra.lettering").status == "nothing"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("OPEN", "field 'extra.lettering': is str, not a list"),
        (None, "is NoneType, not a list"),
        ([3], "field 'extra.lettering.0'"),
        ([{"words": "x"}], "field 'extra.lettering.0.text'"),
        ([{"text": "x", "box": [1, 2, 3]}], "field 'extra.lettering.0.box.3'"),
        ([{"text": "x", "box": [0, 0, 300, 20]}], "the box of line 1 is no box inside 200 x 100 pixels"),
        ([{"text": "x", "box": [50, 0, 20, 20]}], "the box of line 1 is no box inside"),
        ([{"text": "x", "box": [0, 0, float("nan"), 20]}], "finite number"),
        ([{"text": "x", "confidence": 2}], "field 'extra.lettering.0.confidence'"),
        ([" "], "field 'extra.lettering.0': is empty"),
        (["x" * (LONGEST_LINE + 1)], f"give at most {LONGEST_LINE} a line"),
        (["x"] * (MOST_LINES + 1), f"has {MOST_LINES + 1} lines"),
        (["\ud800"], "field 'extra.lettering.0'"),
        (READ.model_dump(mode="json") | {"size": [100, 100]}, "is no box inside 100 x 100 pixels"),
        (READ.model_dump(mode="json") | {"size": [400, 200]}, "was read in a picture of 400 x 200 pixels"),
        (READ.model_dump(mode="json") | {"more": 1}, "field 'extra.lettering.more'"),
        ({}, "field 'extra.lettering.size'"),
    ],
)  # fmt: skip
def test_anything_else_is_one_line_with_the_field(value: object, said: str) -> None:
    with pytest.raises(DataError) as error:
        given_lettering(value, SIZE, "extra.lettering")
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_share_and_cut() -> None:
    assert READ.share((0, 0, 100, 50)) == 0.25
    assert cut((-5, 10, 300, 20), SIZE) == (0, 10, 200, 20)
    assert cut((250, 10, 300, 20), SIZE) == (200, 10, 200, 20)
