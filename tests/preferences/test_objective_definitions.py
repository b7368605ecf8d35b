"""Objectives as users write them: names, YAML, ablations, and what a bad definition gets."""

import math
from pathlib import Path

import pytest
import yaml

from trifacet.base.errors import TrifacetError
from trifacet.preferences.facets import Cell, Corner, Facet
from trifacet.preferences.objectives import OBJECTIVES, AnchorTerm, NLLTerm, redefined, resolve_objective


def test_an_own_objective_in_yaml():
    objective = resolve_objective(
        yaml.safe_load("""
        name: text-and-image
        beta: 0.2
        terms:
          - {name: text, over: response, label_smoothing: 0.1}
          - {name: image, preferred: chosen, over: [image, response], weight: 0.5, link: hinge, offset: 0.3}
          - {name: floor, kind: anchor, weight: 2}
          - {name: imitate, kind: nll, corner: chosen, mean_over: tokens}
        """)
    )
    assert objective.beta == 0.2
    text, image, floor, imitate = objective.terms
    assert (text.over, text.label_smoothing, text.weight) == (Corner(response=True), 0.1, 1.0)
    assert (image.over, image.link, image.offset) == (Corner(image=True, response=True), "hinge", 0.3)
    assert isinstance(floor, AnchorTerm)
    assert isinstance(imitate, NLLTerm)
    assert objective.rejected_facets == (Facet.IMAGE, Facet.RESPONSE)


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_a_definition_survives_writing_and_reading(name):
    objective = OBJECTIVES[name]
    assert resolve_objective(yaml.safe_load(yaml.safe_dump(objective.model_dump(mode="json")))) == objective
    assert resolve_objective(name) == objective
    assert resolve_objective({"base": name}) == objective


def test_base_and_drop():
    objective = resolve_objective({"base": "mcm-dpo", "drop": ["vpo", "cpo"], "name": "rest", "beta": 0.3})
    assert (objective.name, objective.beta) == ("rest", 0.3)
    assert [term.name for term in objective.terms] == ["rpo", "vrpo", "crpo", "vcpo", "mtpo"]
    assert resolve_objective({"base": "mcm-dpo", "combine": "joint"}).terms == OBJECTIVES["mcm-dpo-joint"].terms


def test_weights_and_offsets_by_the_short_names_of_the_papers():
    mfpo = redefined(OBJECTIVES["mfpo"], "weight", {"text": 0.5, "image": 2, "margin": 0})
    assert {term.name: term.weight for term in mfpo.terms} == {"rpo": 0.5, "vpo": 2, "anchor": 0}
    mfpo = redefined(OBJECTIVES["mfpo"], "offset", {"margin": 0.3, "vpo": 0.1})
    assert {term.name: term.offset for term in mfpo.terms} == {"rpo": 0, "vpo": 0.1, "anchor": 0.3}
    assert redefined(OBJECTIVES["mfpo"], "offset", {}) is OBJECTIVES["mfpo"]
    for objective, name, message in (
        ("mfpo", "cpo", "offsets: mfpo has no term 'cpo'; it has rpo, vpo, anchor"),
        ("sft", "nll", "offsets: term 'nll' of sft is a nll and has none"),
        ("mcm-dpo-joint", "text", "leave link, offset, smoothing out"),
    ):
        with pytest.raises(TrifacetError, match=message):
            redefined(OBJECTIVES[objective], "offset", {name: 0.5})


def test_lpoi_of_the_docs_is_data():
    page = Path(__file__).parents[2].joinpath("docs/objectives.md").read_text()
    blocks = [yaml.safe_load(text.partition("```")[0]) for text in page.split("```yaml")[1:]]
    stages = {name: stage for block in blocks for name, stage in block["align"].items()}
    objectives = {name: resolve_objective(stage["objective"]) for name, stage in stages.items()}
    lpoi = objectives["lpoi"].cells({Facet.IMAGE: 4, Facet.CONTEXT: 0, Facet.RESPONSE: 1})
    assert [cell for cell in lpoi if not cell.response] == [Cell(image=version) for version in range(5)]
    assert objectives["ranked"].rejected_facets == (Facet.RESPONSE,)


PAIR = {"name": "a", "over": "response"}


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("mcmdpo", "unknown objective 'mcmdpo'; did you mean 'mcm-dpo'"),
        ("quite else", "known are sft, dpo"),
        ({"terms": [PAIR]}, "key 'name' is missing"),
        ({"name": "x", "terms": []}, "at least 1"),
        ({"name": "x", "terms": [{"name": "a", "over": "imge"}]}, "unknown facet 'imge'; facets are image, context"),
        ({"name": "x", "terms": [{"name": "a", "over": [1]}]}, "such as 'image\\+response'"),
        ({"name": "x", "terms": [{"name": "a", "over": 3}]}, "such as 'image\\+response'"),
        ({"name": "x", "terms": [{"name": "a"}]}, r"key 'terms\.0\.over' is missing"),
        ({"name": "x", "terms": [{**PAIR, "weigth": 2}]}, r"unknown key 'terms\.0\.weigth'; did you mean 'weight'"),
        ({"name": "x", "terms": [{**PAIR, "kind": "anchr"}]}, "'anchor'"),
        (
            {"name": "x", "terms": [{"name": "a", "kind": "list"}]},
            "either 'facet', whose versions are ranked, or 'order'",
        ),
        (
            {"name": "x", "terms": [{"name": "a", "kind": "list", "facet": "image", "order": ["image"]}]},
            "either 'facet'",
        ),
        (
            {"name": "x", "terms": [{"name": "a", "kind": "list", "order": ["chosen"]}]},
            "two or more corners, each once",
        ),
        ({"name": "x", "terms": [{"name": "a", "kind": "list", "order": ["image", "image"]}]}, "each once, the best"),
        (
            {"name": "x", "terms": [{"name": "a", "kind": "list", "facet": "picture"}]},
            "'image', 'context' or 'response'",
        ),
        ({"name": "x", "terms": [{"name": "a", "kind": "list", "facet": "image", "link": "hinge"}]}, "unknown key"),
        (
            {"name": "x", "combine": "joint", "terms": [{"name": "a", "kind": "list", "facet": "image"}]},
            "one pair term",
        ),
        ({"name": "x", "betta": 1, "terms": [PAIR]}, "unknown key 'betta'; did you mean 'beta'"),
        ({"name": "x", "terms": [PAIR, PAIR]}, "two terms are named 'a'; give each its own"),
        ({"name": "x", "terms": [{**PAIR, "weight": 0}]}, "weight 0; give at least one"),
        ({"name": "x", "terms": [{**PAIR, "weight": -1}]}, "greater than or equal to 0"),
        ({"name": "x", "terms": [{**PAIR, "weight": math.inf}]}, "finite"),
        ({"name": "x", "terms": [{**PAIR, "offset": math.nan}]}, "finite"),
        ({"name": "x", "beta": 0, "terms": [PAIR]}, "greater than 0"),
        ({"name": "x", "terms": [{**PAIR, "link": "ipo", "label_smoothing": 0.1}]}, "no meaning for ipo; set it to 0"),
        ({"name": "x", "terms": [{**PAIR, "label_smoothing": 0.5}]}, "less than 0.5"),
        ({"name": "x", "link": "hinge", "terms": [PAIR]}, "set the link of each term instead"),
        ({"name": "x", "combine": "joint", "terms": [{"name": "n", "kind": "nll"}]}, "at least one pair term"),
        ({"name": "x", "combine": "joint", "terms": [{**PAIR, "offset": 1}]}, "leave link, offset, smoothing out"),
        ({"name": "x", "terms": [{**PAIR, "name": "a/b"}]}, "name"),
        ({"name": "x", "drop": ["a"], "terms": [PAIR]}, "'drop' needs a 'base'"),
        ({"base": "mcm-dpo", "drop": ["vpoo"]}, "cannot drop 'vpoo'; mcm-dpo has rpo, vpo"),
        ({"base": "dpo", "drop": ["rpo"]}, "keep at least one"),
        ({"base": "dpo", "drop": "rpo"}, "'drop' is a list"),
        ({"base": ["dpo"]}, "'base' is the name of an objective"),
        ({"base": "dp"}, "did you mean 'dpo'"),
    ],
)
def test_a_bad_definition_is_one_line_with_the_cure(definition, message):
    with pytest.raises(TrifacetError, match=message) as caught:
        resolve_objective(definition)
    assert "\n" not in str(caught.value)
