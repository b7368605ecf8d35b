"""Two processes do what one does: the same losses, weights and files; and none of them outlives a refusal."""

import copy
import json
import re
import shutil
import signal
import socket

import pytest
import torch
from searching import some
from small_runs import STAGE, Command, log_of, recipe_file, weights_of
from torch.utils.data import BatchSampler, SequentialSampler

from trifacet.engine.reference import load_reference
from trifacet.training.checkpoints import last_checkpoint
from trifacet.training.ranks import ShareOfBatches, weights

# 13 pairs in batches of 2, four forwards a step: an epoch ends with a step of three forwards, one of them half full.
# Small learning rates, because Adam divides by the gradient's size: large steps blow up what is rounding.
SMALL = {**STAGE, "batch_size": 2, "accumulation": 4, "learning_rate": 1e-5, "save_every": 1}
CHANGES = {
    "sft": {**SMALL, "max_steps": 2},
    "align.mcm": {**SMALL, "objective": "mcm-dpo", "limit": 13, "start": "base", "max_steps": 6},
}
FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "LlamaDecoderLayer",
}


def launch(folder, *arguments, **environment) -> list[Command]:
    """``trifacet ARGUMENTS`` in two processes, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"OMP_NUM_THREADS": "1", **environment}
    return [
        Command(folder, *arguments, environment={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]


def ends(commands) -> list[int]:
    return [command.wait() for command in commands]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, unscored_world, tiny_folder):
    """Folders of runs by name; what is not made yet is copied or launched by the tests."""
    base = tmp_path_factory.mktemp("ranks")

    def recipe(name, **changes):
        (base / f"{name}-recipe").mkdir(exist_ok=True)
        changes = {**copy.deepcopy(CHANGES), **changes}
        return recipe_file(base / f"{name}-recipe", base / name, unscored_world, tiny_folder, changes)

    one = Command(base, "run", recipe("one"))
    assert one.wait() == 0, one.stderr[-3000:]
    return base, recipe


@pytest.fixture(scope="module")
def two(runs):
    base, recipe = runs
    commands = launch(base, "run", recipe("two"))
    assert ends(commands) == [0, 0], [command.stderr[-3000:] for command in commands]
    return base / "two", commands


def assert_same_way(ours, theirs, stage) -> None:
    """The same log but for the share of the epoch, and the same weights."""
    lines, wanted = log_of(ours / "models" / stage), log_of(theirs / "models" / stage)
    assert len(lines) == len(wanted)
    for line, other in zip(lines, wanted, strict=True):
        assert line.keys() == other.keys()
        for key in line.keys() - {"epoch"}:
            near = {"grad_norm": 1e-4, "rewards/text_over_image": 1e-2}.get(key, 1e-5)  # weights differ by rounding
            assert line[key] == pytest.approx(other[key], rel=near, abs=near), key
    plain = weights_of(theirs / "models" / stage)
    for key, weight in weights_of(ours / "models" / stage).items():
        assert (weight - plain[key]).abs().max() <= 1e-5, key


@pytest.mark.parametrize("stage", ["sft", "mcm"])
def test_two_processes_take_the_way_of_one(runs, two, stage):
    assert_same_way(two[0], runs[0] / "one", stage)


def test_two_processes_make_the_cache_that_one_makes(runs, two):
    (ours,), (theirs,) = ((folder / "reference").iterdir() for folder in (two[0], runs[0] / "one"))
    assert ours.name == theirs.name
    from safetensors import safe_open

    with safe_open(theirs, framework="pt") as file:
        fingerprint = json.loads(file.metadata()["fingerprint"])
    del fingerprint["engine"]
    for scores, wanted in zip(load_reference(ours, fingerprint), load_reference(theirs, fingerprint), strict=True):
        assert torch.allclose(scores, wanted, rtol=0, atol=1e-5)


def test_the_first_process_writes_and_speaks_for_all(runs, two):
    folder, (first, second) = two
    files = [{path.relative_to(top) for path in top.rglob("*")} for top in (folder, runs[0] / "one")]
    assert files[0] == files[1]
    assert first.stdout.rstrip().endswith("report.html")
    assert "what is trained" in first.stderr
    assert second.stdout == ""
    assert "what is trained" not in second.stderr
    assert json.loads((folder / "models/mcm/done.json").read_text())["processes"] == 2


def test_a_signal_to_one_process_stops_all_with_a_checkpoint_and_one_process_goes_on(runs):
    base, recipe = runs
    path, folder = recipe("stopped"), base / "stopped/models/mcm"
    first, second = launch(base, "align", path)
    second.stop_when((folder / "checkpoint-2/trainer_state.json").exists, signal.SIGTERM)
    assert [first.wait(), second.wait()] == [130, 130], first.stderr[-3000:]
    assert first.stderr.rstrip().endswith("interrupted by SIGTERM: the same command continues from here")
    assert "interrupted" not in second.stderr
    assert int(last_checkpoint(folder).rpartition("-")[2]) == log_of(folder)[-1]["step"] < 6
    assert Command(base, "align", path).wait() == 0
    assert_same_way(base / "stopped", base / "one", "mcm")


def test_two_processes_go_on_where_one_stopped(runs):
    """From the second epoch on, so that the order of the samples is that of the epoch."""
    base, recipe = runs
    path, folder = recipe("alone"), base / "alone/models/mcm"
    alone = Command(base, "align", path)
    assert alone.stop_when((folder / "checkpoint-3/trainer_state.json").exists, signal.SIGTERM) == 130
    assert ends(launch(base, "align", path)) == [0, 0]
    assert_same_way(base / "alone", base / "one", "mcm")


def test_sharded_weights_take_the_way_of_one_process_and_resume(runs):
    base, recipe = runs
    path, folder = recipe("sharded"), base / "sharded/models/mcm"
    first, second = launch(base, "align", path, **FSDP)
    second.stop_when((folder / "checkpoint-2/trainer_state.json").exists, signal.SIGTERM)
    assert [first.wait(), second.wait()] == [130, 130], first.stderr[-3000:]
    commands = launch(base, "align", path)
    assert ends(commands) == [2, 2]
    assert "was written with sharding 'fsdp' and this launch has 'none'" in commands[0].stderr
    commands = launch(base, "align", path, **FSDP)
    assert ends(commands) == [0, 0], commands[0].stderr[-3000:]
    assert_same_way(base / "sharded", base / "one", "mcm")


CURRICULA = {
    "renewed": {"reference": "previous", "optimizer": "reset", "schedule": "restart", "epochs": 2},
    "going-on": {"mixed": True},
}


@pytest.mark.parametrize("name", some(CURRICULA, "renewed"))
@pytest.mark.parametrize("reference", some(["cache", "online"], "cache"))
def test_two_processes_take_the_way_of_one_through_a_curriculum(runs, name, reference):
    base, recipe = runs
    stage = {**CHANGES["align.mcm"], "max_steps": None, "curriculum": CURRICULA[name], "reference": reference}
    one, two = (f"{name}-{reference}-{count}" for count in ("one", "two"))
    paths = [recipe(run, sft=None, **{"align.mcm": stage}) for run in (one, two)]
    alone = Command(base, "align", paths[0])
    commands = launch(base, "align", paths[1])
    assert [alone.wait(), *ends(commands)] == [0, 0, 0], commands[0].stderr[-3000:]
    assert_same_way(base / two, base / one, "mcm")
    rows, wanted = (
        json.loads((base / run / "models/mcm/done.json").read_text())["curriculum"]["phases"] for run in (two, one)
    )
    for row, other in zip(rows, wanted, strict=True):
        assert row == {**other, **{key: pytest.approx(other[key], abs=1e-5) for key in ("easiest", "hardest")}}


@pytest.mark.endurance
def test_sharded_weights_go_through_a_curriculum_or_say_why_not(runs):
    base, recipe = runs
    stage = {**CHANGES["align.mcm"], "max_steps": None}
    renewed = {"optimizer": "reset", "schedule": "restart", "epochs": 2}
    one, two = (
        recipe(name, sft=None, **{"align.mcm": {**stage, "curriculum": renewed}}) for name in ("unsharded", "shards")
    )
    alone = Command(base, "align", one)
    commands = launch(base, "align", two, **FSDP)
    assert [alone.wait(), *ends(commands)] == [0, 0, 0], commands[0].stderr[-3000:]
    assert_same_way(base / "shards", base / "unsharded", "mcm")
    refused = recipe("refused", sft=None, **{"align.mcm": {**stage, "curriculum": {"reference": "previous"}}})
    commands = launch(base, "align", refused, **FSDP)
    assert ends(commands) == [2, 2]
    assert "curriculum.reference: previous needs the whole weights on each process" in commands[0].stderr


def test_a_refusal_ends_all_processes_with_one_message(runs, world, tmp_path):
    base, recipe = runs
    uneven = recipe("uneven", **{"sft.accumulation": 3})
    shutil.copytree(base / "one", base / "taken")
    taken = recipe("taken", seed=6)
    data = shutil.copytree(world, tmp_path / "data")
    victim = sorted((data / "images").glob("sft-*.png"))[3]
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
    damaged = recipe("damaged", **{"data.root": str(data), "sft.max_steps": 9})
    infinite = recipe("infinite", **{"sft.learning_rate": 1e9, "sft.max_grad_norm": 1e9})
    unknown = base / "unknown.yaml"
    unknown.write_text("nmae: x")
    for path, message in (
        (uneven, "sft.accumulation: 3 forwards of a step cannot be shared by 2 processes; set it to a multiple of 2"),
        (taken, "holds another run (seed differs)"),
        (damaged, "damaged or truncated"),
        (infinite, "the loss is"),
        (unknown, "unknown key 'nmae'; did you mean 'name'?"),
    ):
        commands = launch(base, "sft", path)
        assert ends(commands) == [2, 2]
        said = " ".join(command.stderr for command in commands)
        assert re.sub(r"\s+", " ", said).count(message) == 1, said[-3000:]
        assert "Traceback" not in said


def test_no_process_waits_for_one_that_was_killed(runs):
    base, recipe = runs
    first, second = launch(base, "align", recipe("killed"))
    second.stop_when((base / "killed/models/mcm/checkpoint-2/trainer_state.json").exists, signal.SIGKILL)
    assert first.wait() not in (0, None)
    assert not (base / "killed/models/mcm/model").exists()


@pytest.mark.parametrize(("samples", "size", "ranks"), [(13, 2, 2), (12, 2, 3), (3, 2, 4), (1, 2, 2), (16, 4, 4)])
def test_every_batch_is_one_processs_and_all_have_equally_many(samples, size, ranks):
    batches = BatchSampler(SequentialSampler(range(samples)), size, drop_last=False)
    shares = [list(ShareOfBatches(batches, rank, ranks)) for rank in range(ranks)]
    assert {len(share) for share in shares} == {len(ShareOfBatches(batches, 0, ranks))}
    in_order = [batch for row in zip(*shares, strict=True) for batch in row]
    assert in_order[: len(batches)] == list(batches)


@pytest.mark.parametrize(("left", "here", "ranks"), [(8, 2, 2), (3, 2, 2), (1, 1, 4), (9, 2, 2), (1, 1, 1), (5, 3, 2)])
def test_the_mean_over_processes_is_the_mean_over_forwards(left, here, ranks):
    of_rank = [weights(left, here, rank, ranks) for rank in range(ranks)]
    in_order = [weight / (here * ranks) for row in zip(*of_rank, strict=True) for weight in row]
    real = min(left, here * ranks)
    assert in_order == pytest.approx([1 / real] * real + [0.0] * (here * ranks - real))
