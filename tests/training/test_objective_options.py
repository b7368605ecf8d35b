"""What a recipe can change of an objective, through a whole training: offsets, lists, tokens that count for more."""

import json
import math

import pytest
from small_runs import STAGE, log_of, recipe_of, train

from trifacet.base.errors import DataError
from trifacet.preferences.changed import ChangedTokens
from trifacet.preferences.objectives import resolve_objective
from trifacet.training.rewards import reward_rows

LISTED = {"base": "mdpo", "drop": ["vpo"], "name": "listed"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, world, tiny_folder):
    """Three alignments of one run by name: its recipe, and their logs."""
    base = resolve_objective(LISTED).model_dump(mode="json")
    listed = {**base, "terms": [*base["terms"], {"name": "seen", "kind": "list", "facet": "image"}]}
    steps = {**STAGE, "max_steps": 2}
    stages = {
        "align.plain": {**steps, "objective": "dpo"},
        "align.weighed": {**steps, "objective": "dpo", "changed_tokens": {"shortest_match": 1}},
        "align.listed": {**steps, "objective": listed, "offsets": {"margin": 0.5}, "weights": {"text": 2}},
    }
    changes = {"sft": None, "align.mcm": None, "rejected.image.versions": 3, **stages}
    recipe = recipe_of(tmp_path_factory.mktemp("options") / "out", world, tiny_folder, changes)
    folders = {name: train(recipe, name, tiny_folder) for name in ("plain", "weighed", "listed")}
    return recipe, {name: log_of(folder) for name, folder in folders.items()}


def test_the_first_losses(trained):
    _, logs = trained
    listed = 2 * math.log(2) + math.log(math.factorial(4)) + math.log(1 + math.exp(0.5))
    for name, value in (("plain", math.log(2)), ("weighed", math.log(2)), ("listed", listed)):
        assert logs[name][0]["loss"] == pytest.approx(value, abs=2e-5), name
        assert logs[name][1]["loss"] != pytest.approx(value, abs=1e-4), name


def test_weighed_scores_have_a_cache_of_their_own(trained):
    recipe, logs = trained
    names = sorted(path.stem for path in (recipe.folder / "reference").glob("*.safetensors"))
    assert names[0] == "base-chosen-response"
    assert names[1] == "base-chosen-response-image"
    assert names[2].startswith("base-chosen-response-weighed-")
    plain, weighed = (abs(logs[name][0]["logps/chosen"]) for name in ("plain", "weighed"))
    assert weighed < plain / 2  # a mean over tokens, where the other is a sum


def test_a_list_has_the_metrics_of_its_facet(trained):
    _, logs = trained
    for line in logs["listed"]:
        assert {"loss/seen", "rewards/margins/seen", "rewards/accuracies/seen", "logps/rejected/seen"} <= line.keys()
        gap = line["rewards/margins/rpo"] - line["rewards/margins/seen"]
        assert line["rewards/text_minus_image"] == pytest.approx(gap, abs=1e-7)


def test_what_is_done_says_it(trained):
    recipe, _ = trained
    done = json.loads((recipe.folder / "models/listed/done.json").read_text())
    terms = {term["name"]: term for term in done["objective"]["terms"]}
    assert (terms["anchor"]["offset"], terms["rpo"]["weight"], terms["seen"]["facet"]) == (0.5, 2, "image")


def test_rewards_weigh_as_the_training_did(trained, tiny_folder, capsys):
    recipe, _ = trained
    rows = {}
    for name in ("plain", "weighed"):
        align = recipe.align[name]
        rows[name] = reward_rows(recipe, align.resolved_objective(), tiny_folder, tiny_folder, aligned=align, limit=3)
        assert [row["terms"]["rpo"]["loss"] for row in rows[name]] == pytest.approx([math.log(2)] * 3, abs=1e-5)
    for plain, weighed in zip(rows["plain"], rows["weighed"], strict=True):
        alike, meant = plain["cells"]["chosen"], weighed["cells"]["chosen"]
        assert meant["tokens"] == alike["tokens"] > 3  # counted, however they weigh
        assert alike["logp"] < meant["logp"] * 2 < 0  # a sum, and a mean
    assert capsys.readouterr().err.count("scores from") == 2  # each finds the cache that is its own


def test_rows_without_the_segments_that_a_recipe_asks_for_end_it_before_training(trained, tiny_folder):
    recipe, _ = trained
    weighed = recipe.align["weighed"].model_copy(update={"changed_tokens": ChangedTokens(source="segments")})
    asking = recipe.model_copy(update={"align": {"strict": weighed}})
    with pytest.raises(DataError, match=r"row 1, field 'segments'.*: is missing; set changed_tokens"):
        train(asking, "strict", tiny_folder)
