"""Every number of every section has a least and a greatest value, and nothing but a number is one."""

import importlib
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

import trifacet
from trifacet.base.errors import TrifacetError
from trifacet.generation.settings import Generation
from trifacet.models.settings import Model, TinyModel
from trifacet.preferences.objectives import OBJECTIVES, Objective, resolve_objective
from trifacet.settings.section import Section
from trifacet.training.recipe import Align, Recipe


def below(kind):
    for one in kind.__subclasses__():
        yield one
        yield from below(one)


@pytest.fixture(scope="module")
def sections():
    """All of them; a file without the word defines none, and importing all takes seconds."""
    root = Path(trifacet.__path__[0])
    for file in root.rglob("*.py"):
        if "import" in (text := file.read_text(encoding="utf-8")) and re.search(r"\bSection\b|\bOptimisation\b", text):
            importlib.import_module(".".join(["trifacet", *file.relative_to(root).with_suffix("").parts]))
    return sorted(set(below(Section)), key=lambda one: f"{one.__module__}.{one.__qualname__}")


def unbounded(schema, path=""):
    """The places of a JSON schema that hold a number without both bounds."""
    if isinstance(schema, list):
        return [found for place, one in enumerate(schema) for found in unbounded(one, f"{path}[{place}]")]
    if not isinstance(schema, dict):
        return []
    found = [place for key, one in schema.items() for place in unbounded(one, f"{path}.{key}")]
    if schema.get("type") not in ("integer", "number") or {"enum", "const"} & schema.keys():
        return found
    ends = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
    return found if all(any(name in schema for name in end) for end in ends) else [*found, path]


def test_every_number_has_both_bounds(sections):
    assert {"trifacet.training.recipe", "trifacet.building.settings", "trifacet.preferences.objectives"} <= {
        one.__module__ for one in sections
    }
    assert len(sections) > 40
    lacking = {one.__qualname__: unbounded(one.model_json_schema()) for one in sections}
    assert {name: places for name, places in lacking.items() if places} == {}


def test_the_walk_sees_a_number_without_a_bound():
    class Loose(Section):
        a: list[int] | None = None

    assert unbounded(Loose.model_json_schema()) == [".properties.a.anyOf[0].items"]


def numbers(schema, path=()):
    """The places of a validated schema that are numbers, by their keys."""
    for name, one in schema.get("properties", {}).items():
        kinds = [one, *one.get("anyOf", [])]
        if any(kind.get("type") in ("integer", "number") for kind in kinds):
            yield name


@pytest.mark.parametrize("given", [True, False, "yes", "5", "1e-4", float("nan"), float("inf"), 10**40, -(10**40)])
def test_nothing_but_a_number_in_bounds_is_a_number(sections, given):
    for one in sections:
        for name in numbers(one.model_json_schema()):
            with pytest.raises(ValidationError) as caught:
                one.model_validate({name: given})
            assert (name,) in [error["loc"][:1] for error in caught.value.errors()], (one, name)


def test_whole_numbers_may_be_spelt_as_others_and_others_as_whole_numbers():
    assert Generation(beams=2.0, temperature=1).beams == 2
    assert type(Generation(beams=2.0).beams) is int
    assert Align(max_steps=1e3, learning_rate=1).max_steps == 1000
    with pytest.raises(ValidationError):
        Generation(beams=2.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "greater than or equal to 0"),
        ({"seed": 2**32}, "less than or equal to 4294967295"),
        ({"seeds": [1, -1]}, "greater than or equal to 0"),
        ({"data": {"workers": 1000}}, "less than or equal to 128"),
        ({"model": {"path": "x", "threads": 1_000_000}}, "less than or equal to 512"),
        ({"model": {"path": "x", "paradigm": True}}, "should be a number"),
        ({"generate": {"temperature": 1e-40}}, "a temperature is 0, which is no sampling, or at least 0.0001"),
        ({"generate": {"beams": 10**30}}, "less than or equal to 100"),
    ],
)
def test_numbers_that_ended_in_tracebacks(changes, message):
    values = {"name": "x", "output": "x", "model": {"path": "x"}, "data": {}}
    assert Recipe.model_validate(values)
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate(values | changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "sizes",
    [{"heads": 5}, {"heads": 0}, {"patch_size": 0}, {"image_size": -32}, {"patch_size": 128}, {"vision_heads": 3},
     {"hidden_size": 12, "heads": 4}, {"image_size": 4096, "patch_size": 1}, {"layers": 0}, {"vocabulary": -1}],
)  # fmt: skip
def test_a_tiny_model_that_cannot_be_made(sizes):
    with pytest.raises(ValidationError):
        TinyModel(**sizes)


def test_tiny_models_that_can_be_made():
    assert TinyModel(heads=3).heads == 3
    assert TinyModel(hidden_size=8, heads=4, layers=1, vision_layers=1, image_size=8, patch_size=8)


@pytest.mark.parametrize(
    "definition", [{"beta": "yes"}, {"terms": [{"name": "a", "over": "image", "weight": True}]}, {"beta": True}]
)
def test_an_objective_takes_no_truth_for_a_number(definition):
    plain = {"name": "own", "terms": [{"name": "a", "over": "image"}]}
    assert resolve_objective(plain)
    with pytest.raises(TrifacetError, match="valid number"):
        resolve_objective(plain | definition)


def test_objectives_are_as_they_were():
    for name, objective in OBJECTIVES.items():
        assert Objective.model_validate(objective.model_dump(mode="json")) == objective, name


def test_image_pixels_are_two_numbers_in_order():
    assert Model(path="x", image_pixels=[1, 2]).image_pixels == (1, 2)
    for given in ([2, 1], [0, 1], [1, 10**12], [True, 2], [1]):
        with pytest.raises(ValidationError):
            Model(path="x", image_pixels=given)
