"""The training loop does what its objective, its data and its recipe say."""

import json
import math
from itertools import pairwise

import pytest
from small_runs import STAGE, log_of, recipe_of, train, weights_of

from trifacet.base.errors import DataError, TrifacetError
from trifacet.engine.encode import SampleEncoder
from trifacet.models.loading import load_model
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.callbacks import EpochOfExamples
from trifacet.training.examples import Examples, Rejection
from trifacet.training.trainer import LatticeTrainer

COMMON_KEYS = {"step", "epoch", "loss", "learning_rate", "grad_norm"}
FIELD_KEYS = {
    "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "logps/chosen", "logps/rejected",
    "log_ratio/chosen", "log_ratio/rejected", "rewards/text_minus_image",
}  # fmt: skip
FORMS = {"mcm": "mcm-dpo", "joint": "mcm-dpo-joint", "dpo": "dpo", "anchored": "mcm-dpo-anchored"}


@pytest.fixture(scope="module")
def aligned(tmp_path_factory, world, tiny_folder):
    """Alignments of four steps from the same model, by name; ``changes`` are dotted keys of the recipe."""
    made = {}

    def run(name, **changes):
        key = (name, json.dumps(changes, sort_keys=True))
        if key not in made:
            output = tmp_path_factory.mktemp("run") / "out"
            stages = {f"align.{stage}": {**STAGE, "objective": objective} for stage, objective in FORMS.items()}
            recipe = recipe_of(output, world, tiny_folder, {"sft": None, **stages, **changes})
            made[key] = train(recipe, name, tiny_folder)
        return made[key]

    return run


@pytest.mark.parametrize(
    ("name", "value"),
    [("mcm", 2.8 * math.log(2)), ("joint", math.log(2)), ("dpo", math.log(2)), ("anchored", 3.8 * math.log(2))],
)
def test_the_first_loss_is_that_of_a_policy_equal_to_its_reference(aligned, name, value):
    first = log_of(aligned(name))[0]
    assert first["loss"] == pytest.approx(value, abs=2e-5)
    assert first["rewards/margins"] == pytest.approx(0, abs=1e-4)
    assert first["rewards/chosen"] == pytest.approx(0, abs=1e-4)


def test_the_log_has_the_fields_names_and_every_term(aligned):
    terms = [term.name for term in OBJECTIVES["mcm-dpo"].terms]
    metrics = ("loss", "rewards/margins", "rewards/accuracies", "logps/rejected")
    per_term = {f"{metric}/{term}" for term in terms for metric in metrics}
    lines = log_of(aligned("mcm"))
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert "rewards/text_over_image" not in lines[0]  # 0 by 0
    assert "rewards/text_over_image" in lines[-1]
    for line in lines:
        assert line.keys() - {"rewards/text_over_image"} == COMMON_KEYS | FIELD_KEYS | per_term
        assert line["rewards/margins"] == pytest.approx(line["rewards/chosen"] - line["rewards/rejected"], abs=1e-5)
        assert line["loss"] == pytest.approx(
            sum(term.weight * line[f"loss/{term.name}"] for term in OBJECTIVES["mcm-dpo"].terms), rel=1e-4
        )


def test_training_lowers_the_loss_and_widens_the_margin(aligned):
    lines = log_of(aligned("mcm", **{"align.mcm.max_steps": 8, "align.mcm.batch_size": 12}))
    assert lines[-1]["loss"] < lines[0]["loss"] - 0.05
    assert lines[-1]["rewards/margins"] > lines[0]["rewards/margins"] + 0.05


@pytest.mark.parametrize("name", ["mcm", "joint"])
def test_trie_and_one_by_one_take_the_same_way(aligned, name):
    gentle = {f"align.{name}.learning_rate": 1e-4}  # Adam divides by the gradient's size: larger steps blow up rounding
    trie, alone = aligned(name, **gentle), aligned(name, **gentle, **{"model.trie": False})
    for ours, theirs in zip(log_of(trie), log_of(alone), strict=True):
        for key in ("loss", "grad_norm"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-4)
    plain = weights_of(alone)
    for key, weight in weights_of(trie).items():
        if not key.endswith("k_proj.bias"):  # of no effect in a softmax: Adam makes steps of its rounding errors
            assert (weight - plain[key]).norm() <= 1e-4 * plain[key].norm() + 1e-6, key


def test_accumulated_halves_equal_the_whole_batch(aligned):
    whole = aligned("mcm", **{"align.mcm.batch_size": 4})
    halves = aligned("mcm", **{"align.mcm.batch_size": 2, "align.mcm.accumulation": 2})
    for ours, theirs in zip(log_of(halves), log_of(whole), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)


def test_supervised_accumulation_weighs_the_forwards_alike(tmp_path, world, tiny_folder):
    """The loss is a mean over the tokens of a forward, so two short halves weigh as much as two long ones."""
    logs = []
    for part, changes in enumerate(({"sft.batch_size": 4}, {"sft.batch_size": 2, "sft.accumulation": 2})):
        recipe = recipe_of(tmp_path / str(part), world, tiny_folder, {**changes, "sft.max_steps": 1})
        logs.append(log_of(train(recipe, "sft", tiny_folder))[0])
    assert logs[0].keys() == COMMON_KEYS | {"loss/nll"}
    assert logs[0]["loss"] == pytest.approx(logs[1]["loss"], rel=0.1)
    assert logs[0]["loss"] != pytest.approx(logs[1]["loss"], rel=1e-6)


@pytest.mark.parametrize(
    "changes", [{"align.mcm.gradient_checkpointing": True}, {"data.workers": 1}], ids=["checkpointing", "worker"]
)
def test_what_is_about_speed_changes_no_number(aligned, changes):
    usual, other = aligned("mcm"), aligned("mcm", **changes)
    for ours, theirs in zip(log_of(other), log_of(usual), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)  # the last layer whole or in part
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-4)


@pytest.mark.parametrize("reference", ["cache", "online"])
def test_features_of_a_frozen_encoder_are_made_once_and_change_no_number(aligned, reference):
    frozen = {"model.paradigm": 1, "align.mcm.reference": reference, "align.mcm.limit": 4}
    usual, kept = aligned("mcm", **frozen), aligned("mcm", **frozen, **{"model.keep_features": "1GiB"})
    for ours, theirs in zip(log_of(kept), log_of(usual), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-4)
    done = json.loads((kept / "done.json").read_text())
    assert done["encoded"] == {"pictures": 8, "times": 8}  # of four samples, for a reference and two epochs
    assert "encoded" not in json.loads((usual / "done.json").read_text())


def test_a_bound_on_memory_makes_layers_again_and_changes_no_number(aligned, capsys):
    usual, bound = aligned("mcm"), aligned("mcm", **{"model.memory": "1TiB"})
    assert [line["loss"] for line in log_of(bound)] == [line["loss"] for line in log_of(usual)]
    told = json.loads((bound / "done.json").read_text())["memory"]
    assert (told["layers"], told["made_again"]) == (1, 0)
    tight = aligned("mcm", **{"model.memory": told["expected"] - 1})
    assert [line["loss"] for line in log_of(tight)] == [line["loss"] for line in log_of(usual)]
    assert json.loads((tight / "done.json").read_text())["memory"]["made_again"] == 1
    assert "1 of 1 layers are made again" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(TrifacetError, match=r"model\.memory: mcm takes some .* lower align\.mcm\.batch_size"):
        aligned("mcm", **{"model.memory": "1MiB"})


def test_an_encoder_that_trains_keeps_nothing_and_says_so(aligned, capsys):
    folder = aligned("dpo", **{"model.keep_features": "1GiB"})
    assert "keep_features keeps nothing: the vision encoder trains" in " ".join(capsys.readouterr().err.split())
    assert not (folder.parents[1] / "features").exists()


def test_an_online_reference_equals_the_cached_one(aligned):
    cached, online = aligned("mcm"), aligned("mcm", **{"align.mcm.reference": "online"})
    for ours, theirs in zip(log_of(online), log_of(cached), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)


def test_mixed_precision_starts_at_zero_margin_and_moves_weights_by_small_steps(aligned, tiny_folder):
    changes = {"model.mixed_precision": True, "align.mcm.learning_rate": 5e-7}
    folder = aligned("mcm", **changes)
    assert log_of(folder)[0]["loss"] == pytest.approx(2.8 * math.log(2), abs=1e-4)
    before, after = load_model(tiny_folder).model.state_dict(), weights_of(folder)
    assert any((after[key] != before[key]).any() for key in before)


def make_examples(tiny, pairs, world, **options):
    encoder = SampleEncoder(tiny.family, prompt="Write.", context_label="Context:", max_length=512)
    rejection = Rejection(image_strategy("diffusion", 500), seed=2, **options)
    return Examples(pairs, OBJECTIVES["mcm-dpo"], encoder, world, rejection, max_pixels=10**6)


def test_rejected_versions_change_between_epochs_only_when_asked(tiny, pairs, world):
    for resample in (False, True):
        examples = make_examples(tiny, pairs, world, resample=resample)
        seen = []
        for epoch in (0, 1, 2):
            examples.set_epoch(epoch)
            seen.append(([image.key for image in examples.image_versions(0)], examples.contexts(0)))
        for (images, contexts), (other_images, other_contexts) in pairwise(seen):
            assert images[0] == other_images[0]  # the chosen one never changes
            assert (images[1] == other_images[1]) != resample
            assert resample or contexts == other_contexts
        assert len({contexts[1] for _, contexts in seen}) > (1 if resample else 0)


def test_training_tells_the_examples_each_epoch(tmp_path, world, tiny_folder, monkeypatch):
    seen = set()
    compute = LatticeTrainer.compute_loss

    def noting(self, *arguments, **options):
        seen.add((int(self.state.epoch), self.train_dataset.epoch))
        return compute(self, *arguments, **options)

    monkeypatch.setattr(LatticeTrainer, "compute_loss", noting)
    changes = {
        "sft": None, "rejected.resample": True, "align.mcm.reference": "online", "align.mcm.max_steps": None,
        "align.mcm.epochs": 3, "align.mcm.batch_size": 8,
    }  # fmt: skip
    train(recipe_of(tmp_path / "out", world, tiny_folder, changes), "mcm", tiny_folder)
    assert seen == {(0, 0), (1, 1), (2, 2)}


def test_the_epoch_is_known_after_a_resumption_in_its_middle(tiny, pairs, world):
    examples = make_examples(tiny, pairs, world, resample=True)
    state = type("State", (), {"epoch": 1.5})()
    EpochOfExamples(examples).on_epoch_begin(None, state, None)
    assert examples.epoch == 1


def test_cut_posts_are_counted_once_each(tmp_path, world, tiny_folder):
    changes = {"data.max_length": 108, "sft.max_steps": None, "sft.epochs": 2, "sft.batch_size": 8}
    folder = train(recipe_of(tmp_path / "out", world, tiny_folder, changes), "sft", tiny_folder)
    done = json.loads((folder / "done.json").read_text())
    assert done["samples"] == 24
    assert 0 < done["cut_posts"] <= 24
    assert done["steps"] == 6


def test_two_alignments_over_different_parts_of_the_data_keep_caches_of_their_own(tmp_path, world, tiny_folder):
    changes = {"sft": None, "align.few": {**STAGE, "objective": "mcm-dpo", "limit": 6, "max_steps": 1}}
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, {**changes, "align.mcm.max_steps": 1})
    for name in ("mcm", "few"):
        train(recipe, name, tiny_folder)
    assert len(list((tmp_path / "out" / "reference").iterdir())) == 2


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path, world, tiny_folder):
    changes = {"sft.learning_rate": 1e9, "sft.max_grad_norm": 1e9}
    with pytest.raises(TrifacetError, match=r"the loss is .* at step \d for samples 'sft-"):
        train(recipe_of(tmp_path / "out", world, tiny_folder, changes), "sft", tiny_folder)
    assert not (tmp_path / "out" / "models" / "sft" / "model").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_damaged_in_its_middle_costs_no_finished_step(tmp_path, world, tiny_folder, workers):
    import shutil

    data = shutil.copytree(world, tmp_path / "data")
    victim = data / "images" / "sft-00003.png"
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    changes = {"sft.max_steps": None, "sft.batch_size": 1, "data.workers": workers}
    recipe = recipe_of(tmp_path / "out", data, tiny_folder, changes)
    with pytest.raises(DataError, match=r"sample 'sft-00003'.*damaged or truncated") as caught:
        train(recipe, "sft", tiny_folder)
    assert "Traceback" not in str(caught.value)
    assert caught.value.field == "image"
    assert caught.value.fix  # as it was raised, also by a worker
    done = len(log_of(tmp_path / "out" / "models" / "sft"))
    assert done > 0
    assert [path.name for path in (tmp_path / "out" / "models" / "sft").glob("checkpoint-*")] == [f"checkpoint-{done}"]
    victim.write_bytes(whole)
    folder = train(recipe, "sft", tiny_folder)
    assert [line["step"] for line in log_of(folder)] == list(range(1, 25))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rejected.resample": True}, "set reference: online"),
        ({"model.dtype": "float16"}, "float16 is too narrow"),
        ({"sweep": {"learning_rates": [1e-4]}}, "data.validation"),
    ],
)
def test_what_cannot_work_is_refused_before_it_costs_time(world, tiny_folder, changes, message):
    with pytest.raises(ValueError, match=message):
        recipe_of("unused", world, tiny_folder, changes)
