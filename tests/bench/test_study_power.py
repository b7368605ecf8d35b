"""What size of effect a study can see: the number is the power that it says, and the table names what is missing."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import study_power

from trifacet.statistics.over_seeds import over_seeds


@pytest.mark.parametrize(("seeds", "claims"), [(3, 1), (5, 1), (5, 6)])
def test_an_effect_of_that_size_is_found_four_times_in_five(seeds, claims):
    rng, spread, tries = np.random.default_rng(5), 2.0, 3000
    effect = study_power.smallest(spread, seeds, claims)
    cells = rng.normal(0.0, spread, (2, tries, seeds))
    found = 0
    for one, other in zip(*cells, strict=True):
        estimate = over_seeds((one + effect - other).tolist(), [], crossed=False)
        found += 2 * estimate.p_above(0.0) <= 0.05 / claims
    assert found / tries == pytest.approx(0.8, abs=0.03)


def test_the_table_is_of_one_cell_of_a_finished_study(tmp_path, capsys, monkeypatch):
    values = {"7": 50.0, "8": 54.0, "9": 52.0}
    cell = {"cell": "sft", "measures": {"cider": {"values": values}, "one": {"values": {"7": 1.0}}}}
    (tmp_path / "results.json").write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["study_power", str(tmp_path), "--seeds", "3", "--claims", "1"])
    study_power.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == [f"| cider | 52.0 | 2.0 | 3 | {study_power.smallest(2.0, 3, 1):.1f} |"]
    monkeypatch.setattr(sys, "argv", ["study_power", str(tmp_path), "--cell", "dpo"])
    with pytest.raises(SystemExit):
        study_power.main()
    assert "no cell 'dpo'" in capsys.readouterr().err
