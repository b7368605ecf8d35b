"""The benchmark compares what does the same work, and writes what its readers rely on."""

import importlib.util
import json

import pytest
from bench_scripts import BENCHMARKS, refused, run

KEYS = {
    "seconds_per_sample", "reference_seconds_per_sample", "peak_memory_bytes", "unique_tokens", "total_tokens",
}  # fmt: skip


@pytest.mark.endurance
@pytest.mark.parametrize("more", [[], ["mcm-dpo", "mcm-dpo-released"]])
def test_the_contestants_agree_and_the_json_has_what_was_promised(tmp_path, more):
    if importlib.util.find_spec("trl") is None:
        pytest.skip("trl is not installed: pip install 'trifacet[bench]'")
    path = tmp_path / "out.json"
    names = ["trl-dpo", "dpo", *more]
    done = run("step_time.py", "--rounds=1", "--threads=1", f"--contestants={','.join(names)}", f"--json={path}")
    assert done.returncode == 0, done.stderr
    result = json.loads(path.read_text())
    assert (result["shape"], result["baseline"]) == ("demo", "trl-dpo")
    assert list(result["contestants"]) == names
    for entry in result["contestants"].values():
        assert entry.keys() >= KEYS
        assert all(entry[key] > 0 for key in KEYS)
        assert sum(entry["shares"].values()) == sum(entry["kernels"].values()) == pytest.approx(1)
        assert min(entry["kernels"][kind] for kind in ("attention", "products", "other")) > 0.01
    entries = result["contestants"]
    # each sequence's log-prob is the same in whatever scores it, and so is the loss of each step
    assert 0 < result["largest_logp_difference"] < 1e-3
    assert entries["trl-dpo"]["losses"] == pytest.approx(entries["dpo"]["losses"], abs=1e-4)
    # what the engine computes is the distinct prefixes, as found without the engine
    for name in names[1:3]:
        assert entries[name]["unique_tokens"] == entries[name]["distinct_tokens"] < entries[name]["total_tokens"]
    if released := entries.get("mcm-dpo-released"):
        assert released["unique_tokens"] >= released["total_tokens"]


def test_unequal_work_is_refused(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from contest.results import DifferentWorkError, Record, same_logps
    from contest.turns import Introduction

    def record(logp):
        return Record(Introduction({"0/0,0,0": logp}, 1, 1, 1, 1, 0, False))

    assert same_logps({"one": record(-250.0), "other": record(-250.0005)}, "float32") == pytest.approx(5e-4)
    with pytest.raises(DifferentWorkError, match=r"other has -250\.1"):
        same_logps({"one": record(-250.0), "other": record(-250.1)}, "float32")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--contestants=trl-dpo,nobody"], "unknown contestant 'nobody'"),
        (["--shape=gpu"], "needs a GPU"),
        (["--rounds=0"], "at least 1"),
        (["--contestants=mcm-dpo-keeping"], "needs --frozen-encoder"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(arguments, problem, monkeypatch, capsys):
    import torch

    if "--shape=gpu" in arguments and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert problem in refused("step_time.py", arguments, monkeypatch, capsys)
