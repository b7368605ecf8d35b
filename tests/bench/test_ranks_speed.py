"""The benchmark of several processes has all ways do the same work, and says what each waited for."""

import json

import pytest
from bench_scripts import BENCHMARKS, refused, run


@pytest.mark.endurance
def test_all_ways_do_the_same_and_the_json_has_what_was_promised(tmp_path):
    path = tmp_path / "out.json"
    arguments = ["--shape=demo", "--rounds=1", "--steps=3", f"--json={path}"]
    done = run("ranks_speed.py", *arguments)
    assert done.returncode == 0, done.stderr
    told = json.loads(path.read_text())
    assert told["largest_difference"] < 1e-4
    for way in ("one", "two", "two-drawn"):
        assert told[way]["seconds_per_step"] > 0
        assert 0 <= told[way]["waiting"] < 1
        assert len(told[way]["ratios"]) == 1
    assert told["one"]["ratio"] == told["one"]["largest"] == 1
    assert 1 <= told["two"]["largest"] <= told["two-drawn"]["largest"]


def test_work_that_is_not_the_same_is_told(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from ranks_speed import apart

    log = [{"loss": 0.7, "grad_norm": 2.0}, {"loss": 0.6, "grad_norm": 3.0}]
    assert apart(log, log) == 0
    assert apart(log, [log[0], {"loss": 0.61, "grad_norm": 3.0}]) == pytest.approx(0.01)
    assert apart(log, [log[0], {"loss": 0.6, "grad_norm": 3.3}]) == pytest.approx(0.1 / 11)


@pytest.mark.parametrize("argument", ["--forwards=3", "--steps=1", "--rounds=0"])
def test_sizes_that_cannot_be_are_refused_in_one_line(argument, monkeypatch, capsys):
    assert "at least" in refused("ranks_speed.py", [argument], monkeypatch, capsys)
