"""Stopped at any moment and started again, a run ends with the weights of one that was never stopped."""

import hashlib
import json
import signal

import pytest
import torch
from small_runs import STAGE, Command, log_of, recipe_file, recipe_of, train
from transformers import TrainerControl, TrainerState

from trifacet.runs.run import run_recipe
from trifacet.training.callbacks import LogFile
from trifacet.training.checkpoints import last_checkpoint
from trifacet.training.recipe import load_recipe

STEPS = {"max_steps": 6, "save_every": 2, "batch_size": 2, "scheduler": "cosine"}
CHANGES = {
    **{f"sft.{key}": value for key, value in STEPS.items()},
    "align.mcm": {**STAGE, **STEPS, "objective": "mcm-dpo"},
    "generate": {"beams": 1, "max_new_tokens": 24, "limit": 6, "batch_size": 1},
    "model.lora": {"rank": 4, "alpha": 8, "dropout": 0.1},  # dropout: the random numbers have to go on as well
    "model.paradigm": 1,
    "model.keep_features": "1GiB",  # some of it is there already where a run goes on
}


def digests(folder) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.safetensors"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory, unscored_world, tiny_folder):
    """A run in one go, and the same run stopped in three places and started again each time."""
    base = tmp_path_factory.mktemp("resume")
    whole, stopped = base / "whole", base / "stopped"
    run_recipe(load_recipe(recipe_file(base, whole, unscored_world, tiny_folder, CHANGES)))

    recipe = recipe_file(base, stopped, unscored_world, tiny_folder, CHANGES)
    sft, mcm, texts = stopped / "models/sft", stopped / "models/mcm", stopped / "generations/sft.jsonl"
    code = Command(base, "run", recipe).stop_when((sft / "checkpoint-4/trainer_state.json").exists, signal.SIGKILL)
    assert (code, (sft / "model").exists()) == (-signal.SIGKILL, False)

    command = Command(base, "run", recipe)
    code = command.stop_when((mcm / "checkpoint-4/trainer_state.json").exists, signal.SIGINT)
    assert command.stderr.rstrip().endswith("interrupted: the same command continues from here")
    assert (code, (mcm / "model").exists()) == (130, False)
    checkpoint = last_checkpoint(mcm)
    assert checkpoint is not None
    assert log_of(mcm)[-1]["step"] == int(checkpoint.rpartition("-")[2])  # the step was finished and saved
    kept = {path: path.stat().st_mtime_ns for path in sft.rglob("*")}

    code = Command(base, "run", recipe).stop_when(
        lambda: texts.exists() and texts.read_text().count("\n") > 1, signal.SIGKILL
    )
    assert (code, (stopped / "scores.json").exists()) == (-signal.SIGKILL, False)
    run_recipe(load_recipe(recipe))
    return whole, stopped, kept


def test_a_stopped_run_ends_with_the_same_weights_bit_by_bit(folders):
    whole, stopped, _ = folders
    assert digests(whole / "models") == digests(stopped / "models")
    assert len(digests(whole / "models")) == 2


def test_its_log_has_every_step_once(folders):
    whole, stopped, _ = folders
    for name in ("sft", "mcm"):
        ours, theirs = log_of(stopped / "models" / name), log_of(whole / "models" / name)
        assert [line["step"] for line in ours] == list(range(1, 7))
        for one, other in zip(ours, theirs, strict=True):
            assert one["loss"] == other["loss"]


def test_its_texts_and_scores_are_the_same(folders):
    whole, stopped, _ = folders
    for name in ("base", "sft", "mcm"):
        file = f"generations/{name}.jsonl"
        assert (whole / file).read_bytes() == (stopped / file).read_bytes()
    assert json.loads((whole / "scores.json").read_text()) == json.loads((stopped / "scores.json").read_text())


def test_nothing_unfinished_is_left(folders):
    for folder in folders[:2]:
        left = {path.name for path in folder.rglob("*") if path.name.startswith((".", "checkpoint-"))}
        assert left == {".lock"}
        assert not (folder / "features").exists()


def test_finished_stages_are_not_touched_again(folders):
    _, stopped, kept = folders
    assert {path: path.stat().st_mtime_ns for path in (stopped / "models/sft").rglob("*")} == kept


@pytest.mark.parametrize(("step", "kept"), [(0, []), (2, [1, 2]), (5, [1, 2, 3])])
def test_the_log_goes_on_after_the_checkpoint(tmp_path, step, kept):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n\0\0\n{"step": 4, "lo')
    LogFile(log).on_train_begin(None, TrainerState(global_step=step), TrainerControl())
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == kept


def test_ctrl_c_in_the_last_step_still_ends_the_command(tmp_path, world, tiny_folder, monkeypatch):
    """The stage is whole, so it is kept; the next one is not begun."""
    from trifacet.training.callbacks import StopOnSignal

    def at_once(self, args, state, control, **_):
        if state.global_step == state.max_steps:
            self.received = signal.SIGINT

    monkeypatch.setattr(StopOnSignal, "on_step_end", at_once)
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, {"sft.log_every": 3})
    with pytest.raises(KeyboardInterrupt):
        train(recipe, "sft", tiny_folder)
    assert (tmp_path / "out/models/sft/done.json").exists()
    assert [line["step"] for line in log_of(tmp_path / "out/models/sft")] == [1, 3, 4]  # the last one is logged too
    assert torch.isfinite(torch.tensor(log_of(tmp_path / "out/models/sft")[-1]["loss"]))
