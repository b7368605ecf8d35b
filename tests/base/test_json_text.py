import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.base.errors import LONGEST, DataError
from trifacet.base.json_text import DEEPEST, LONGEST_NUMBER, parse_json, read_json
from trifacet.data.rows import MAX_LINE, bounded, iter_rows
from trifacet.data.tables import read_rows

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@searched(100)
@given(VALUES)
def test_what_can_be_written_is_read_the_same(value):
    assert parse_json(json.dumps(value)) == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice"),
        ('[{"b": {"a": 1, "a": 1}}]', "the key 'a' stands twice"),
        ("9" * (LONGEST_NUMBER + 1), "a number of 301 digits"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested more than 100 deep"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested more than 100 deep"),
        ('"\\ud800"', "half of a surrogate pair"),
    ],
)
def test_what_cannot_be_computed_with_is_refused_by_each_reader(text, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        parse_json(text)
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"a\.json: cannot be read as JSON .*{told}"):
        read_json(path, 100_000)
    path.write_text(f'{{"id": "a"}}\n{{"id": "b", "more": {text}}}\n')
    for read in (iter_rows, read_rows):
        problems = []
        assert [row.number for row in read(path, problems.append)] == [1]
        assert [problem.row for problem in problems] == [2]
        assert told in str(problems[0])


def test_the_largest_numbers_and_depths_are_read():
    assert parse_json("9" * LONGEST_NUMBER) == int("9" * LONGEST_NUMBER)
    assert float(parse_json("-" + "9" * (LONGEST_NUMBER - 1))) < 0
    assert parse_json("[" * DEEPEST + "]" * DEEPEST) is not None
    assert parse_json('"\\ud83d\\ude00"') == "\U0001f600"


def test_a_line_without_an_end_is_not_held(tmp_path):
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.truncate(MAX_LINE + 1)
    with pytest.raises(DataError, match=f"line 1 is longer than {MAX_LINE} bytes"):
        list(iter_rows(path))
    with path.open("rb") as file:
        assert list(bounded(file.readline, path, MAX_LINE + 2)) == [b"\0" * (MAX_LINE + 1)]


def test_an_error_is_one_line_of_bounded_length_whatever_it_quotes():
    error = DataError("has " + "x" * 10_000, fix="a\x0cb\u2028c", file="f", field="n\n" * 9)
    assert len(str(error).splitlines()) == 1
    assert len(str(error)) < 2 * LONGEST
    assert error.fix == "a b c"
