"""bench/gpu.py at toy size on the CPU: every part comes through, and what it holds equal is equal.

And its budget: what fails, hangs or ends is said, what was found until then is kept, and the rest goes on.
"""

import importlib.util
import json
import os
import time

import pytest
from bench_scripts import BENCHMARKS, refused, run

ENDS = {"failed", "stopped", "left_out"}


def test_all_parts_at_toy_size(tmp_path):
    path = tmp_path / "gpu.json"
    done = run("gpu.py", "--device=cpu", "--small", "--rounds=1", "--threads=1", "--minutes=14", f"--json={path}")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(path.read_text())
    parts = found["parts"]
    assert list(parts) == ["rate", "exactness", "gpu", "attention", "gpu-7b", "writing"]
    assert all(part["seconds"] > 0 and not ENDS & part.keys() for part in parts.values())

    assert {row["dtype"] for row in parts["rate"]["rows"]} == {"float32", "bfloat16"}
    rows = parts["exactness"]["rows"]
    assert {row["family"] for row in rows} == {"llava", "qwen2_5_vl", "gemma3"}
    assert {(row["attention"], row["rows"]) for row in rows if row["family"] == "llava"} == {
        ("dense", "sample"), ("dense", "batch"), ("segments", "batch"), ("flex", "batch"),
    }  # fmt: skip
    for row in rows:
        assert row["largest_difference"] < (1e-4 if row["dtype"] == "float32" else 0.5), row
        assert (row["rounding"] == 0) == (row["dtype"] == "float32")

    ways = {row["attention"]: row for row in parts["attention"]["rows"]}
    assert len(ways) == 6
    for name, row in ways.items():
        assert row["logp_difference"] < 1e-3
        if name.startswith("flex"):
            assert "does not support backward on CPU" in row["failed"]
        else:
            assert row["gradient_difference"] < 1e-4
            assert row["seconds_per_sample"] > row["forward_seconds_per_sample"] > 0

    names = ["dpo", "mdpo", "mcm-dpo", "mcm-dpo-released"]
    if importlib.util.find_spec("trl") is not None:
        names.insert(0, "trl-dpo")
    for shape, dtype in (("gpu", "float32"), ("gpu-7b", "bfloat16")):
        steps = parts[shape]["run"]
        assert steps["dtype"] == dtype
        assert sorted(steps["contestants"]) == sorted(names)
        assert len(parts[shape]["notes"]) == 5 - len(names)  # nothing else went wrong, nor was there unequal work
        for entry in steps["contestants"].values():
            assert sum(entry["shares"].values()) == pytest.approx(1)
            assert entry["shares"]["reference"] > 0 or entry["reference"] == "once"
            assert entry["unique_tokens"] >= entry["distinct_tokens"]
    # frozen weights get no gradients, so a step with adapters takes less
    full, adapters = (parts[shape]["run"]["contestants"]["mcm-dpo"]["needed_flops"] for shape in ("gpu", "gpu-7b"))
    assert 0.5 * full < adapters < full

    rows = parts["writing"]["rows"]
    assert {(row["task"], row["draws"]) for row in rows} == {("samples", 8), ("pictures", 1)}
    assert all(row["same_texts"] == 1 for row in rows)

    for line in (
        "| `qwen2_5_vl` | float32 | dense, a row per sample |",
        "shape gpu-7b, at toy size",
        "| 1 x 8 | ours |",
    ):
        assert line in done.stdout


def test_a_contestant_that_fails_is_a_note_and_the_others_go_on(tmp_path, running):
    from contest.inputs import make_inputs
    from contest.results import document, measure, table
    from contest.turns import FailedError
    from gpu_parts.shapes import shape_of

    inputs = make_inputs(tmp_path, shape_of("gpu", running.Setting("cpu", small=True)))
    notes = []
    told = {"rounds": 5, "threads": 1, "inside": True}
    records, best = measure(["dpo", "nobody", "mdpo"], inputs, notes=notes, until=time.monotonic(), **told)
    assert list(records) == ["dpo", "mdpo"]
    assert notes == ["nobody failed: KeyError: 'nobody'", "1 of 5 rounds: the time was up"]
    run = document(
        inputs,
        records,
        best,
        epochs=3,
        facts=dict.fromkeys(("processor", "threads", "torch", "transformers", "trl"), ""),
    )
    assert "mdpo" in table(run)
    with pytest.raises(FailedError, match="no contestant was left: nobody failed"):
        measure(["nobody"], inputs, notes=[], **told)
    with pytest.raises(FailedError, match="nobody failed"):
        measure(["dpo", "nobody"], inputs, **told)


@pytest.fixture
def running(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from gpu_parts import running

    return running


def finds(setting, tell, until):
    tell(rows=[1], device=setting.device)
    tell(rows=[2])


def breaks(setting, tell, until):
    tell(rows=[1])
    raise ValueError("of no use\nat all")


def hangs(setting, tell, until):
    tell(rows=[1])
    time.sleep(60)


def dies(setting, tell, until):
    tell(rows=[1])
    os._exit(7)


@pytest.mark.parametrize("apart", [True, False])
def test_what_goes_wrong_in_a_part_stays_there(apart, running):
    works = [breaks, finds] if not apart else [breaks, hangs, dies, finds]
    parts = [
        running.Part(work.__name__, "", work, least=0.1, most=20.0 if work is not hangs else 8.0) for work in works
    ]
    seen = []
    found = running.run_parts(
        parts, running.Setting("cpu"), 60, apart=apart, done=lambda found: seen.append(sorted(found))
    )
    assert found["finds"].pop("seconds") > 0
    assert found["finds"] == {"rows": [1, 2], "device": "cpu"}
    assert found["breaks"]["failed"] == "ValueError: of no use"
    if apart:
        assert found["hangs"]["stopped"]
        assert found["dies"]["failed"] == "its process ended with exit code 7"
    assert all(found[work.__name__]["rows"][0] == 1 for work in works)
    assert len(seen) == len(parts)


def test_a_part_without_enough_time_is_left_out_and_later_ones_keep_theirs(running):
    ends = {}

    def takes(name):
        def work(setting, tell, until):
            ends[name] = until - time.monotonic()

        return work

    parts = [
        running.Part("first", "", takes("first"), least=10, most=100),
        running.Part("second", "", takes("second"), least=200, most=300),
        running.Part("third", "", takes("third"), least=20, most=50),
    ]
    found = running.run_parts(parts, running.Setting("cpu"), 100, apart=False)
    assert found["second"]["left_out"] == "100 s were left, and it needs 200 s"
    assert ends["first"] == pytest.approx(10, abs=1)  # what it needs, not more: the others were to have theirs
    assert ends["third"] == pytest.approx(50, abs=1)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(["--parts=rate,other"], "unknown part 'other'"), (["--device=cpu"], "add --small"), ([], "no GPU")],
)
def test_what_cannot_run_is_refused_in_one_line(arguments, problem, monkeypatch, capsys):
    import torch

    if not arguments and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert problem in refused("gpu.py", arguments, monkeypatch, capsys)
