"""Parts by several processes, or by a Ray cluster: the same bytes, whoever is killed, and what is done is told."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from threading import Timer

import pytest
from ending import with_ends
from small_evolving import by_lot, endpoint_file, files_of, recipe_file, recipe_of, rows_of

from trifacet.base.errors import TrifacetError
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.evolving import rounds
from trifacet.evolving.evolve import evolve
from trifacet.evolving.parts import Part
from trifacet.evolving.telling import UNDERWAY, StepProgress, in_words, listening, underway

CHANGES = {"model.threads": 1, "rounds.count": 1, "samples": "test.jsonl"}
CLUSTER = """
import ray, sys
context = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def model(tiny_folder, tmp_path_factory):
    return with_ends(tiny_folder, tmp_path_factory.mktemp("ends") / "model")


@pytest.fixture(scope="module")
def posts(world):
    return world


@pytest.fixture(scope="module")
def alone(posts, model, tmp_path_factory):
    """The files of a run by one process, and how often the verifier answered."""
    folder = tmp_path_factory.mktemp("alone")
    with ScriptedEndpoint(by_lot) as endpoint:
        verifier = endpoint_file(folder / "verifier.yaml", endpoint.base_url)
        evolve(recipe_of(folder / "out", posts, model, CHANGES | {"roles.verifier.endpoint": verifier}))
        return files_of(folder / "out"), endpoint.calls.delivered


def children_of(pid: int, name: str, *, deep: bool = False) -> list[int]:
    """Processes that one has started, by ids, whose command line has ``name``; ``deep``: those of these too."""
    parents, named = {}, {}
    for entry in Path("/proc").iterdir():
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            named[int(entry.name)] = (entry / "cmdline").read_text()
        except (ValueError, OSError):
            continue

    def below(one: int) -> bool:
        return one in parents and (parents[one] == pid or (deep and below(parents[one])))

    return [one for one in parents if below(one) and name in named[one]]


def test_a_killed_worker_is_told_and_the_same_command_leaves_the_bytes_of_one_process(alone, posts, model, tmp_path):
    files, paid = alone
    calls, there = count(), set(children_of(os.getpid(), "trifacet.base.bounded"))

    def kills_one(messages):
        if next(calls) == 5:
            os.kill((set(children_of(os.getpid(), "trifacet.base.bounded")) - there).pop(), signal.SIGKILL)
        return by_lot(messages)

    with ScriptedEndpoint(kills_one) as endpoint:
        verifier = endpoint_file(tmp_path / "verifier.yaml", endpoint.base_url, concurrency=1)
        recipe = recipe_of(
            tmp_path / "out", posts, model, CHANGES | {"roles.verifier.endpoint": verifier, "processes": 2}
        )
        with pytest.raises(TrifacetError, match="a worker process ended amid its work"):
            evolve(recipe)
        evolve(recipe)
        assert paid <= endpoint.calls.delivered <= paid + 2, "what was on its way at most"
    ours = files_of(tmp_path / "out")
    assert ours.keys() == files.keys()
    assert [name for name in ours if ours[name] != files[name]] == []


def test_what_several_processes_do_is_told_by_role_and_step_with_rates_and_time_left(posts, model, tmp_path):
    told: list[list[StepProgress]] = []
    with ScriptedEndpoint(by_lot, latency=0.3) as endpoint:
        verifier = endpoint_file(tmp_path / "verifier.yaml", endpoint.base_url, concurrency=1)
        changes = {"roles.verifier.endpoint": verifier, "processes": 2, "part": 3}
        with listening(told.append):
            evolve(recipe_of(tmp_path / "out", posts, model, CHANGES | changes))
    steps = [step for steps in told for step in steps]
    assert {"verdicts"} < {step.step for step in steps}
    verdicts = [step for step in steps if step.step == "verdicts"]
    one, other = (len(rows_of(file)) for file in (tmp_path / "out" / "round-1" / "verdicts").glob("*.jsonl"))
    assert {step.total for step in verdicts} <= {one, other, one + other}, "of the parts that are at it, together"
    assert all(0 <= step.done <= step.total for step in verdicts)
    said = [in_words([step]) for step in verdicts if step.rate]
    assert any(words.startswith("verifier: verdicts ") and words.endswith(" left") for words in said)
    assert not (tmp_path / "out" / "round-1" / UNDERWAY).exists()


def test_notes_of_parts_in_one_step_are_added_and_damaged_ones_left(tmp_path):
    told: list[list[StepProgress]] = []
    with listening(told.append), underway(tmp_path):
        folder = tmp_path / UNDERWAY
        folder.mkdir()
        for part, note in enumerate(
            [
                {"step": "verdicts", "done": 1, "total": 4, "rate": 0.5},
                {"step": "normal", "done": 2, "total": 2, "rate": None},
                {"step": "verdicts", "done": 3, "total": 8, "rate": 1.5},
                {"other": 1},
            ]
        ):
            (folder / f"{part:05d}.json").write_text(json.dumps(note))
        (folder / "00009.json").write_text("{")
        until = time.monotonic() + 10
        while not told and time.monotonic() < until:
            time.sleep(0.05)
    assert told[-1] == [StepProgress("normal", 2, 2, None), StepProgress("verdicts", 4, 12, 2.0)]
    assert in_words(told[-1]) == "generator: normal 2/2; verifier: verdicts 4/12, 2.0/s, 4.0 s left"


HOLDS = """
import sys, time
from pathlib import Path
from trifacet.evolving.parts import Part
from trifacet.evolving.rounds import alone
with alone(Part(Path(sys.argv[1]), 7, 1)):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def test_a_part_waits_for_whoever_of_a_killed_run_is_still_at_it(tmp_path, monkeypatch):
    other = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path), "60"], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with rounds.alone(Part(tmp_path, 6, 1)):
            pass  # another part is free
        monkeypatch.setattr(rounds, "_OTHERS_END", 0.3)
        with pytest.raises(
            TrifacetError, match=r"another process works on part 7 of .*; end it, then the same command"
        ):
            rounds.alone(Part(tmp_path, 7, 1)).__enter__()
        monkeypatch.setattr(rounds, "_OTHERS_END", 60.0)
        Timer(0.5, other.kill).start()
        with rounds.alone(Part(tmp_path, 7, 1)):
            assert other.wait(10) == -signal.SIGKILL
    finally:
        other.kill()
        other.wait()


# --- a cluster --------------------------------------------------------------------------------------------------


def test_a_cluster_without_ray_is_refused_with_what_to_install(posts, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        TrifacetError, match=r"--ray needs ray, which is not installed; pip install 'trifacet\[cluster\]'"
    ):
        evolve(recipe_of(tmp_path / "out", posts, model, CHANGES | {"gate.samples": 0}), ray="127.0.0.1:1")
    assert not (tmp_path / "out").exists()


@pytest.mark.endurance  # starting a cluster takes longer than any other test
def test_a_ray_cluster_leaves_the_bytes_of_one_process_whether_driver_or_worker_is_killed(
    alone, posts, model, tmp_path
):
    files, paid = alone
    variables = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=os.environ | variables,
    )  # fmt: skip
    try:
        address = cluster.stdout.readline().strip()
        with ScriptedEndpoint(by_lot, latency=0.2) as endpoint:
            verifier = endpoint_file(tmp_path / "verifier.yaml", endpoint.base_url, concurrency=1)
            changes = CHANGES | {"roles.verifier.endpoint": verifier}
            recipe_file(tmp_path / "evolve.yaml", "out", posts, model, changes)  # seen from where the driver works

            def driver():
                return subprocess.Popen(
                    [sys.executable, "-m", "trifacet", "evolve", "evolve.yaml", "--ray", address],
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | variables,
                    cwd=tmp_path,
                )  # fmt: skip

            def until_answered(number, process):
                while endpoint.calls.delivered < number:
                    assert process.poll() is None, process.stderr.read()
                    time.sleep(0.02)

            first = driver()
            until_answered(3, first)
            first.kill()
            first.communicate()
            second = driver()
            until_answered(endpoint.calls.delivered + 3, second)
            os.kill(min(children_of(cluster.pid, "ray::_Hand", deep=True)), signal.SIGKILL)
            _, err = second.communicate(timeout=900)
            assert second.returncode == 0, err
            assert paid <= endpoint.calls.delivered <= paid + 4, "two of each kill are on their way at most"
    finally:
        cluster.communicate(timeout=180)  # its input ends, and so does it
    ours = files_of(tmp_path / "out")
    assert ours.keys() == files.keys()
    assert [name for name in ours if ours[name] != files[name]] == []
