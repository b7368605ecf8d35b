"""Several keys that a recipe does not have are told at once, and the known ones of a section once."""

from pydantic import ValidationError

from trifacet.settings.reading import explain_invalid
from trifacet.settings.section import Section


class Small(Section):
    learning_rate: str = ""
    epochs: str = ""


class Whole(Section):
    sft: Small = Small()


def told(values):
    try:
        Whole.model_validate(values)
    except ValidationError as error:
        return explain_invalid(error, Whole)
    raise AssertionError("valid")


def test_known_keys_are_told_once_a_section():
    known = " (known keys here are learning_rate, epochs)"
    assert told({"sft": {"xyz": 1, "uvw": 2, "lr": 3}}) == (
        f"unknown keys: 'sft.xyz'{known}, 'sft.uvw', 'sft.lr' (did you mean 'learning_rate'?)"
    )
    assert told({"xyz": 1, "sft": {"uvw": 2}}).count("known keys here are") == 2  # of two sections
