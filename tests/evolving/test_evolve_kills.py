"""Killed at any moment and started again a run ends with the same bytes, and nothing is written or paid for twice."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from ending import with_ends
from small_evolving import DPO, by_lot, endpoint_file, files_of, recipe_of, rows_of
from small_runs import on_one_thread, processes

from trifacet.base.journal import Journal
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.evolving.evolve import evolve
from trifacet.evolving.settings import EvolveRecipe

KILLED = 41  # exit code
DATA = {"rounds.count": 2, "gate.samples": 2, "gate.controls": False, "gate.otherwise": "go on"}
TRAINED = DATA | {"rounds.generator": DPO | {"save_every": 1}, "rounds.reviser": DPO, "align": DPO}


@pytest.fixture(scope="module")
def model(tiny_folder, tmp_path_factory):
    return with_ends(tiny_folder, tmp_path_factory.mktemp("ends") / "model")


def _run(recipe: EvolveRecipe, log: str, calls: int) -> None:
    """A run that ends itself at the nth call of what puts rows on the disk, after it or amid it."""
    append, finish = Journal.append, Journal.finish
    left = calls

    def ends() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    def appended(self, rows):
        rows = list(rows)
        dies = ends()
        if dies and calls % 2:  # amid a line
            with self.path.open("ab") as file:
                file.write(b'{"id": "torn", "te')
            os._exit(KILLED)
        append(self, rows)
        with Path(log).open("a") as file:
            file.writelines(f"{self.path} {json.dumps(row)}\n" for row in rows)
        if dies:
            os._exit(KILLED)

    def finished(self, rows):
        dies = ends()
        if dies and calls % 2:
            os._exit(KILLED)
        finish(self, rows)
        if dies:
            os._exit(KILLED)

    Journal.append, Journal.finish = appended, finished
    evolve(recipe)


def _sitting(*arguments) -> int:
    process = processes.Process(target=on_one_thread, args=(_run, arguments))
    process.start()
    process.join(timeout=240)
    assert process.exitcode in (0, KILLED)
    return process.exitcode


def _whole(folder: Path, world, model, changes) -> tuple[dict[str, bytes], int, list[str]]:
    """A run without a kill: its files, what it paid for, and what it wrote."""
    with ScriptedEndpoint(by_lot) as endpoint:
        verifier = endpoint_file(folder / "verifier.yaml", endpoint.base_url, concurrency=1)
        recipe = recipe_of(folder / "out", world, model, changes | {"roles.verifier.endpoint": verifier})
        assert _sitting(recipe, str(folder / "log"), 0) == 0
        return files_of(folder / "out"), endpoint.calls.delivered, (folder / "log").read_text().splitlines()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, unscored_world, world, model):
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(unscored_world, folder / "world")
    rows = (world / "test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:3]
    (folder / "world" / "test.jsonl").write_text("".join(rows), encoding="utf-8")
    return folder / "world", *_whole(folder, folder / "world", model, DATA)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.endurance) for seed in range(2, 8))])
def test_ended_where_rows_come_to_the_disk_it_goes_on_as_if_it_had_not(tmp_path, whole, model, seed):
    world, files, paid, written = whole
    draw, kills = random.Random(seed), 0
    with ScriptedEndpoint(by_lot) as endpoint:
        verifier = endpoint_file(tmp_path / "verifier.yaml", endpoint.base_url, concurrency=1)
        recipe = recipe_of(tmp_path / "out", world, model, DATA | {"roles.verifier.endpoint": verifier})
        while _sitting(recipe, str(tmp_path / "log"), draw.randint(10, 24)) == KILLED:
            kills += 1
            assert kills < 100, "it never comes to its end"
        delivered = endpoint.calls.delivered
    assert kills >= 3
    ours = files_of(tmp_path / "out")
    assert ours.keys() == files.keys()
    assert [name for name in ours if ours[name] != files[name]] == []
    log = [line.removeprefix(str(tmp_path)) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(set(log)) == len(log), "no text is asked for twice once it is kept"
    assert sorted(log) == sorted(line.removeprefix(str(world.parent)) for line in written)
    assert paid <= delivered <= paid + kills, "at most the answer that was on its way is paid for again"


@pytest.mark.endurance
def test_killed_at_twenty_random_moments_a_run_with_trainings_leaves_the_same_bytes(tmp_path, whole, model):
    world = whole[0]
    (tmp_path / "whole").mkdir()
    began = time.monotonic()
    files, paid, _ = _whole(tmp_path / "whole", world, model, TRAINED)
    took, kills, draw = time.monotonic() - began, 0, random.Random(7)
    with ScriptedEndpoint(by_lot) as endpoint:
        verifier = endpoint_file(tmp_path / "verifier.yaml", endpoint.base_url, concurrency=1)
        recipe = recipe_of(tmp_path / "out", world, model, TRAINED | {"roles.verifier.endpoint": verifier})
        while True:
            process = processes.Process(target=on_one_thread, args=(_run, (recipe, str(tmp_path / "log"), 0)))
            process.start()
            process.join(timeout=None if kills >= 20 else draw.uniform(1.0, took / 4))
            if not process.is_alive():
                assert process.exitcode == 0
                break
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
        delivered = endpoint.calls.delivered
    ours = files_of(tmp_path / "out")
    assert ours.keys() == files.keys()
    assert [name for name in ours if ours[name] != files[name]] == []
    assert paid <= delivered <= paid + kills
    assert rows_of(tmp_path / "out" / "preference.jsonl")
