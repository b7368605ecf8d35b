"""The variants of MFPO's experiment: recipes that load, differ in what they say alone, and share budget and data."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from mfpo.experiment import EXPERIMENT, VARIANTS
from variants import ALIGNED, SFT, SWEEP_SEED, Folders

FOLDERS = Folders(Path("runs/mfpo"))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_loads_and_starts_from_its_seeds_model(name):
    recipe = EXPERIMENT.variant_recipe(FOLDERS, name, 18)
    assert list(recipe.align) == [ALIGNED]
    assert recipe.model.path == str(EXPERIMENT.checkpoint(FOLDERS, SFT, 18))
    assert recipe.data.root == str(EXPERIMENT.start_recipe(FOLDERS, 18).folder / "data")


def test_all_variants_have_one_budget_and_one_data_set():
    recipes = [EXPERIMENT.variant_recipe(FOLDERS, name, 18) for name in VARIANTS]
    budgets = {(one.align[ALIGNED].batch_size, one.align[ALIGNED].epochs, one.align[ALIGNED].limit) for one in recipes}
    assert len(budgets) == len({one.data.model_dump_json() for one in recipes}) == 1
    assert len({one.name for one in recipes}) == len(VARIANTS)


def test_the_world_of_a_seed_depends_on_the_seed_alone():
    one, other = (EXPERIMENT.start_recipe(FOLDERS, seed) for seed in (18, SWEEP_SEED))
    assert one.model_copy(update={"seed": SWEEP_SEED, "output": other.output}) == other
    assert one.data.world.kind == "things"
