"""What a valid sample is, and that Arrow holds it whole."""

import pyarrow as pa
import pytest
from pydantic import ValidationError

from trifacet.base.errors import DataError
from trifacet.data.records import (
    SAMPLE_TYPES,
    SCHEMAS,
    PreferenceSample,
    SupervisedSample,
    TestSample,
    find_problems,
    from_arrow_row,
    make_sample,
    to_arrow,
)
from trifacet.preferences.facets import Facet

SAMPLES = {
    "sft": SupervisedSample(id="s", image="a.png", response="Cat", extra={"n": [1, None], "é": {"x": 1.5}}),
    "preference": PreferenceSample(
        id="p",
        image="a.png",
        context="line\nline",
        prompt="Describe.",
        response="Cat",
        rejected_images=("b.png", "c.png"),
        rejected_contexts=("",),
        rejected_responses=("Dog",),
    ),
    "test": TestSample(id="t", image="a.png", more_images=("b.png", "c.png"), references=("Cat", "A cat")),
}


@pytest.mark.parametrize("kind", SAMPLE_TYPES)
def test_arrow_holds_a_sample_whole(kind):
    bare = {"id": "z", "image": "a.png"} | ({} if kind == "test" else {"response": "Cat"})
    without = make_sample(kind, {name: value for name, value in bare.items() if name != "image"})
    samples = [SAMPLES[kind], make_sample(kind, bare), without]
    table = to_arrow(kind, samples)
    assert table.schema.equals(SCHEMAS[kind])
    assert [from_arrow_row(kind, row) for row in table.to_pylist()] == samples


@pytest.mark.parametrize("kind", SAMPLE_TYPES)
def test_schema_has_exactly_the_fields_of_the_record(kind):
    assert SCHEMAS[kind].names == list(SAMPLE_TYPES[kind].model_fields)
    assert SCHEMAS[kind].metadata == {b"trifacet.kind": kind.encode()}
    assert not SCHEMAS[kind].field("id").nullable
    assert pa.types.is_string(SCHEMAS[kind].field("context").type)


def test_empty_context_is_legal_and_empty_response_is_not():
    assert make_sample("sft", {"id": "a", "image": "i", "context": "", "response": "x"}).context == ""
    with pytest.raises(DataError, match=r"d\.jsonl, row 3, field 'response': is empty; give it a value"):
        make_sample("sft", {"id": "a", "image": "i", "response": " \n"}, file="d.jsonl", row=3)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"image": "i", "response": "x"}, "id"),
        ({"id": "a", "image": "i", "response": 3}, "response"),
        ({"id": "a", "image": "i", "response": "x", "rejected_responses": ["", "y"]}, "rejected_responses"),
        ({"id": "a", "image": "i", "response": "x", "context": None}, "context"),
        ({"id": "a", "image": "i", "response": "x", "captoin": "y"}, "captoin"),
    ],
)
def test_a_bad_value_is_named_by_its_field(values, field):
    with pytest.raises(DataError) as caught:
        make_sample("preference", values)
    assert caught.value.field == field


def test_all_problems_of_a_row_are_found_at_once():
    problems = find_problems("preference", {"id": "", "image": 3, "extra_field": 1})
    assert {field for field, _, _ in problems} == {"id", "image", "response", "extra_field"}
    beside = find_problems("preference", {"id": "a", "response": "x", "more_images": ["b"], "rejected_images": ["c"]})
    assert [(field, problem) for field, problem, _ in beside] == [
        ("more_images", "stands without 'image'"),
        ("rejected_images", "stands without 'image'"),
    ]
    assert find_problems("sft", {"id": "a", "image": "i", "response": "x"}) == []


def test_extra_that_is_not_json_is_named_by_row():
    with pytest.raises(DataError, match="row 7, field 'extra': is not JSON"):
        from_arrow_row("sft", {"id": "a", "image": "i", "response": "x", "extra": "{"}, number=7)


def test_records_do_not_change_and_know_their_rejected_versions():
    sample = SAMPLES["preference"]
    assert [sample.rejected(facet) for facet in Facet] == [("b.png", "c.png"), ("",), ("Dog",)]
    with pytest.raises(ValidationError):
        sample.context = "other"
