"""A checkpoint is complete and as it was written, or the one before it is used and a line says so."""

import json
import shutil
import signal

import pytest
import torch
from small_runs import STAGE, log_of, recipe_of, train, weights_of

from trifacet.base.errors import TrifacetError
from trifacet.training import stages
from trifacet.training.callbacks import StopOnSignal
from trifacet.training.checkpoints import SEAL, last_checkpoint
from trifacet.training.trainer import LatticeTrainer

STEPS = {"sft.max_steps": 6, "sft.save_every": 2, "model.lora": {"rank": 2, "alpha": 4, "dropout": 0.1}}
FILES = ["trained.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, world, tiny_folder):
    """A stage that was stopped after step 4 of 6: checkpoint-2 and checkpoint-4 are there."""
    output = tmp_path_factory.mktemp("stopped") / "out"

    def after_four(self, args, state, control, **_):
        if state.global_step == 4:
            self.received = signal.SIGTERM
            control.should_training_stop = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StopOnSignal, "on_step_end", after_four)
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
            train(recipe_of(output, world, tiny_folder, STEPS), "sft", tiny_folder)
    return output / "models/sft"


@pytest.fixture
def folder(stopped, tmp_path):
    return shutil.copytree(stopped, tmp_path / "out/models/sft")


def gone(path):
    path.unlink()


def shortened(path):
    path.write_bytes(path.read_bytes()[:-1])


def zeroed(path):
    """As a power cut leaves a file whose length was written and whose content was not."""
    path.write_bytes(bytes(path.stat().st_size))


def test_a_checkpoint_holds_all_that_training_goes_on_with(folder):
    noted = json.loads((folder / "checkpoint-4" / SEAL).read_text())["files"]
    assert noted.keys() >= set(FILES)


@pytest.mark.parametrize("damage", [gone, shortened, zeroed])
@pytest.mark.parametrize("name", FILES)
def test_damage_to_any_file_is_found_and_the_one_before_is_used(folder, name, damage, capfd):
    damage(folder / "checkpoint-4" / name)
    assert last_checkpoint(folder) == str(folder / "checkpoint-2")
    (line,) = capfd.readouterr().err.splitlines()
    assert "checkpoint-4 is damaged (" in line
    assert name in line
    assert line.endswith("goes on from checkpoint-2")
    assert sorted(path.name for path in folder.glob("checkpoint-*")) == ["checkpoint-2"]


@pytest.mark.parametrize("seal", ["", "[]", '{"files": [1]}'])
def test_a_damaged_seal_is_damage(folder, seal, capfd):
    (folder / "checkpoint-4" / SEAL).write_text(seal)
    assert last_checkpoint(folder) == str(folder / "checkpoint-2")
    assert "checkpoint-4 is damaged" in capfd.readouterr().err


def test_without_its_seal_it_was_being_written(folder, capfd):
    (folder / "checkpoint-4" / SEAL).unlink()
    assert last_checkpoint(folder) == str(folder / "checkpoint-2")
    (folder / "checkpoint-2" / SEAL).unlink()
    assert last_checkpoint(folder) is None
    assert capfd.readouterr().err == ""
    assert last_checkpoint(folder / "absent") is None


def test_training_goes_on_from_the_one_before_and_ends_the_same(folder, tmp_path, world, tiny_folder, capfd):
    shortened(folder / "checkpoint-4/optimizer.pt")
    train(recipe_of(tmp_path / "out", world, tiny_folder, STEPS), "sft", tiny_folder)
    assert "checkpoint-4 is damaged (optimizer.pt has" in capfd.readouterr().err
    whole = train(recipe_of(tmp_path / "whole", world, tiny_folder, STEPS), "sft", tiny_folder)
    mine, theirs = weights_of(folder), weights_of(whole)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert log_of(folder) == log_of(whole)
    assert list(folder.glob("checkpoint-*")) == []


def test_a_kill_between_the_last_checkpoint_and_the_model_costs_no_step_too_many(
    tmp_path, world, tiny_folder, monkeypatch
):
    """A step more at a constant learning rate would change the weights."""
    whole = train(recipe_of(tmp_path / "whole", world, tiny_folder, STEPS), "sft", tiny_folder)

    def killed(*_):
        raise KeyboardInterrupt

    recipe = recipe_of(tmp_path / "out", world, tiny_folder, STEPS)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stages, "save_model", killed)
        train(recipe, "sft", tiny_folder)
    assert last_checkpoint(tmp_path / "out/models/sft") == str(tmp_path / "out/models/sft/checkpoint-6")
    again = train(recipe, "sft", tiny_folder)
    mine, theirs = weights_of(again), weights_of(whole)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert log_of(again) == log_of(whole)
    assert json.loads((again / "done.json").read_text())["steps"] == 6


def test_other_samples_are_refused(folder, tmp_path, world, tiny_folder):
    """With other samples the order of training would be another: that is no continuation."""
    data = shutil.copytree(world, tmp_path / "data")
    rows = (data / "sft.jsonl").read_text().splitlines()
    (data / "sft.jsonl").write_text("\n".join(rows[1:]) + "\n")
    message = r"checkpoint-4 was made with other samples \(24 then, 23 now\); put the data back .* or delete"
    with pytest.raises(TrifacetError, match=message):
        train(recipe_of(tmp_path / "out", data, tiny_folder, STEPS), "sft", tiny_folder)
    assert (folder / "checkpoint-4" / SEAL).exists()


def test_a_gradient_that_is_not_finite_ends_the_run_before_the_weights_do(tmp_path, world, tiny_folder, monkeypatch):
    """The loss is finite: the overflow comes in the backward pass."""
    plain = LatticeTrainer.training_step

    def overflows(self, *arguments, **options):
        loss = plain(self, *arguments, **options)
        if self.state.global_step == 3:
            next(weight for weight in self.model.parameters() if weight.grad is not None).grad.fill_(torch.inf)
        return loss

    monkeypatch.setattr(LatticeTrainer, "training_step", overflows)
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, {**STEPS, "sft.accumulation": 2})
    message = r"the loss is finite but the norm of its gradient is (nan|inf) at step 4 for samples ('sft-\d+'(, )?){4};"
    with pytest.raises(TrifacetError, match=message):
        train(recipe, "sft", tiny_folder)
    folder = tmp_path / "out/models/sft"
    assert last_checkpoint(folder) == str(folder / "checkpoint-2")
    assert not (folder / "model").exists()


@pytest.mark.parametrize("step", [3, 6])
def test_weights_that_are_not_finite_are_never_saved(tmp_path, world, tiny_folder, monkeypatch, step):
    plain = LatticeTrainer._maybe_log_save_evaluate

    def breaks(self, *arguments, **options):
        if self.state.global_step == step:
            with torch.no_grad():
                next(iter(self.trained().values())).view(-1)[0] = torch.nan
        plain(self, *arguments, **options)

    monkeypatch.setattr(LatticeTrainer, "_maybe_log_save_evaluate", breaks)
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, {**STEPS, "sft.save_every": 1})
    with pytest.raises(TrifacetError, match=rf"weight .* is not finite after step {step}; lower the learning rate"):
        train(recipe, "sft", tiny_folder)
    folder = tmp_path / "out/models/sft"
    assert last_checkpoint(folder) == str(folder / f"checkpoint-{step - 1}")
    assert not (folder / "model").exists()


def test_a_loss_that_is_not_finite_names_the_samples_and_keeps_the_checkpoint(tmp_path, world, tiny_folder):
    changes = {"sft": None, "align.mcm": {**STAGE, "max_steps": 8, "save_every": 1, "learning_rate": 1e9}}
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    with pytest.raises(TrifacetError, match=r"is nan at step 2 for samples 'preference-\d+', 'preference-\d+'"):
        train(recipe, "mcm", tiny_folder)
    assert not (tmp_path / "out/models/mcm/model").exists()
