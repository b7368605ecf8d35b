"""A study's file: its cells, and one line for what is wrong with it."""

import pytest
import yaml
from small_studies import study_values, write_study

from trifacet.base.errors import TrifacetError
from trifacet.studies.cells import cells_of
from trifacet.studies.settings import load_study


@pytest.fixture
def load(tmp_path):
    def loaded(changes=None, budget=None, overrides=()):
        values = study_values("out", "data", "model", changes)
        return load_study(str(write_study(tmp_path, values)), budget, overrides)

    return loaded


def test_axes_multiply_and_cells_stand_beside_them(load):
    loaded = load({
        "cells": {"sft": {"stage": "sft"}},
        "claims": ["0.1+crop > sft in length"],
        "axes": {
            "beta": {"key": "align.mcm.beta", "values": [0.1, 0.5]},
            "image": {"levels": {"noise": {}, "crop": {"set": {"rejected.image.strategy": "crop"}}}},
        },
    })  # fmt: skip
    cells = cells_of(loaded)
    assert [cell.name for cell in cells] == ["0.1+noise", "0.1+crop", "0.5+noise", "0.5+crop", "sft"]
    assert [cell.stage for cell in cells] == ["mcm"] * 4 + ["sft"]
    assert cells[3].recipe.align["mcm"].beta == 0.5 and cells[3].recipe.rejected.image.strategy == "crop"
    assert cells[0].recipe.rejected.image.strategy != "crop"
    assert not cells[4].recipe.align and cells[4].recipe.sft


def test_a_budget_changes_recipe_and_seeds_and_has_a_folder(load):
    changes = {"budgets": {"paper": {"set": {"sft.epochs": 3}, "seeds": [9]}, "small": {}}}
    small, paper = load(changes), load(changes, "paper")
    assert (small.budget, small.seeds, str(small.folder)) == ("small", (1, 2), "out/small")
    assert (paper.budget, paper.seeds, str(paper.folder)) == ("paper", (9,), "out/paper")
    assert {cell.recipe.sft.epochs for cell in cells_of(paper) if cell.recipe.sft} == {3}


def test_a_budget_may_have_other_values_on_an_axis(load):
    axis = {"key": "align.mcm.beta", "values": [0.1, 0.2]}
    changes = {"axes": {"beta": axis}, "budgets": {"small": {}, "paper": {"axes": {"beta": axis | {"values": [0.3]}}}}}
    assert {cell.name for cell in cells_of(load(changes))} == {"0.1", "0.2", "sft", "plain", "faster"}
    assert {cell.name for cell in cells_of(load(changes, "paper"))} == {"0.3", "sft", "plain", "faster"}
    with pytest.raises(TrifacetError, match=r"budgets\.paper\.axes: the study has no axis 'bta'"):
        load({"budgets": {"paper": {"axes": {"bta": axis}}}}, "paper")


def test_a_study_extends_another_whose_recipes_lie_beside_that_one(tmp_path):
    values = study_values("out", "data", "model", {})
    recipe = values.pop("base")
    (tmp_path / "parts/more").mkdir(parents=True)
    for name, beta in (("base.yaml", 0.2), ("paper.yaml", 0.4)):
        text = yaml.safe_dump({**recipe, "align": {"mcm": {**recipe["align"]["mcm"], "beta": beta}}})
        (tmp_path / name).write_text(text, encoding="utf-8")
    base = {"extends": "../base.yaml"}
    (tmp_path / "parts/whole.yaml").write_text(
        yaml.safe_dump({**values, "base": base} | {"budgets": {"small": {}, "paper": {"base": "../paper.yaml"}}}),
        "utf-8",
    )
    child = tmp_path / "parts/more/child.yaml"
    child.write_text("extends: ../whole.yaml\nname: child\nbudgets: {small: {seeds: [5]}}\n", encoding="utf-8")
    small, paper = load_study(str(child)), load_study(str(child), "paper")
    assert (small.study.name, small.seeds, paper.seeds) == ("child", (5,), (1, 2))
    betas = [{cell.recipe.align["mcm"].beta for cell in cells_of(one) if cell.recipe.align} for one in (small, paper)]
    assert betas == [{0.2}, {0.4}]


def test_an_alignment_that_starts_at_the_base_model_needs_no_supervised_one(load):
    cells = {cell.name: cell for cell in cells_of(load({"cells.faster.set": {"align.mcm.start": "base"}}))}
    assert cells["faster"].recipe.sft is None and cells["plain"].recipe.sft is not None


def test_start_is_the_model_that_alignments_begin_with(load):
    with_sft, without = load({"cells": {"before": {"stage": "start"}}, "claims": []}), {"base.sft": None, "claims": []}
    (cell,), (other,) = cells_of(with_sft), cells_of(load({**without, "cells": {"before": {"stage": "start"}}}))
    assert (cell.stage, other.stage) == ("sft", "base")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cells.plain.set": {"align.mcm.learning": 1}}, r"cell 'plain': unknown key 'align.mcm.learning'; did you"),
        ({"cells.plain.set": {"align.mcm.beta": -1}}, r"cell 'plain': align.mcm.beta: Input should be greater than 0"),
        ({"cells.plain.set": {"seed": 3}}, "cell 'plain': seed is the study's own"),
        ({"cells.plain.stage": "dpo"}, "cell 'plain': stage: no alignment 'dpo'; the recipe has mcm"),
        ({"base.align.dpo": {"objective": "dpo"}}, "cell 'plain': which model is measured\\? say stage"),
        ({"cells.faster.set": {}}, "cell 'faster' is the same as cell 'plain'"),
        ({"claims": ["plain > slow in length"]}, "study.yaml: claim 1: .*names cell 'slow', which the study has not"),
        ({"axis": {}}, "study.yaml: unknown key 'axis'; did you mean 'axes'"),
        ({"axes": {"b": {"key": "align.mcm.beta", "values": [0.1]}, "m": {"key": "align.mcm", "values": [{}]}}},
         r"axes.m: .* cannot name a cell"),
        ({"axes": {"b": {"key": "align.mcm.beta", "values": [0.1]},
                   "m": {"levels": {"x": {"set": {"align.mcm": {}}}}}}}, "axes 'b' and 'm' clash: both set align.mcm"),
        ({"axes": {"b": {"key": "align.mcm.beta"}}}, "axes.b: give key and values, or levels"),
        ({"axes": {"b": {"key": "align.mcm.beta", "values": [1, 1.0]}}}, "axes.b: '1' stands there twice"),
        ({"axes": {"b": {"levels": {"plain": {}}}}}, "two cells are called 'plain'"),
        ({"seeds": [1, 1]}, "a seed stands there twice"),
        ({"cells": {}}, "has no cells"),
        ({"against": "none"}, "against: no cell 'none'"),
        ({"base.sweep": {"learning_rates": [1e-4]}}, "takes its learning rates as given"),
        ({"base.extends": "missing.yaml"}, "study.yaml: base: .*missing.yaml: no such file"),
        ({"split": "validation"}, "split validation needs data.validation"),
        ({"paper": {"source": "x", "values": {"none": {"length": 1}}}}, "paper.values: no cell 'none'"),
        ({"paper": {"source": "x", "values": {"sft": {"bleu": 1}}}}, "paper.values: measure 'bleu' is none"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_the_file(load, changes, said):
    with pytest.raises(TrifacetError, match=said) as caught:
        cells_of(load(changes))
    assert "study.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_study_or_budget_that_is_not_there_is_told_beside_those_that_are(load):
    with pytest.raises(TrifacetError, match="no study 'component'; did you mean 'components'"):
        load_study("component")
    with pytest.raises(TrifacetError, match=r"study.yaml: no budget 'paper'; the study has none"):
        load(budget="paper")
    with pytest.raises(TrifacetError, match="no such file"):
        load_study("./none.yaml")
