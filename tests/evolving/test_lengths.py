"""Pairs whose chosen texts are longer beyond chance are balanced by a cut-off; all are accounted for."""

import json

import numpy as np
import pytest

from trifacet.evolving.biases import FEATURES
from trifacet.evolving.lengths import FEWEST, balanced, cut_of, is_left_out
from trifacet.evolving.settings import Pairs


def pairs(count: int, more: float, spread: float = 60.0, seed: int = 0) -> list[dict]:
    """Rows whose chosen texts have ``more`` characters more in the mean."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        rejected = int(rng.integers(40, 300))
        chosen = max(1, round(rejected + rng.normal(more, spread)))
        rows.append({"id": str(number), "response": "c" * chosen, "rejected_responses": ["r" * rejected]})
    return rows


def written(folder, rows, size: int) -> list:
    """The rows in parts."""
    files = []
    for number in range(0, len(rows), size):
        files.append(folder / f"{size}-{number}.jsonl")
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows[number : number + size]))
    return files


def read(file) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def apart(rows) -> float:
    return float(np.mean([len(row["response"]) - len(row["rejected_responses"][0]) for row in rows]))


@pytest.mark.parametrize(("more", "longer"), [(25.0, "chosen"), (-25.0, "rejected")])
def test_what_makes_one_side_longer_is_left_out_and_told(tmp_path, more, longer):
    rows = pairs(300, more)
    told = balanced(written(tmp_path, rows, 7), tmp_path / "out.jsonl", Pairs())
    kept = read(tmp_path / "out.jsonl")
    assert told["longer"] == longer and 0 < told["left_out"] <= len(rows) / 2
    assert len(kept) + told["left_out"] == len(rows)
    assert (told["difference"], told["after"]) == (pytest.approx(apart(rows)), pytest.approx(apart(kept)))
    assert abs(told["after"]) < abs(told["difference"]) / 10
    assert [row for row in rows if not is_left_out(row, json.loads(json.dumps(told)))] == kept, "the rule says which"

    def auc(some):
        """The chance that the chosen text of a pair is the longer one."""
        by = FEATURES["longer"]
        return np.mean([by(row["response"]) > by(row["rejected_responses"][0]) for row in some])

    assert abs(auc(kept) - 0.5) < abs(auc(rows) - 0.5)


def test_which_are_left_out_does_not_depend_on_parts_or_their_order(tmp_path):
    rows = pairs(120, 40.0)
    one = balanced(written(tmp_path, rows, 120), tmp_path / "one.jsonl", Pairs())
    other = balanced(written(tmp_path, rows, 11)[::-1], tmp_path / "other.jsonl", Pairs())
    by_id = [sorted(read(tmp_path / f"{name}.jsonl"), key=lambda row: int(row["id"])) for name in ("one", "other")]
    assert by_id[0] == by_id[1]
    assert (one["left_out"], one["at"]) == (other["left_out"], other["at"])


@pytest.mark.parametrize(
    ("rows", "settings", "why"),
    [
        (pairs(300, 0.0), Pairs(), "no difference beyond chance"),
        (pairs(FEWEST - 1, 200.0), Pairs(), "too few pairs to say so"),
        (pairs(300, 25.0), Pairs(length_matched=False), "not wanted"),
        (pairs(300, 50.0, spread=0.0)[:0], Pairs(), "no pairs"),
    ],
)
def test_otherwise_all_pairs_stay_as_they_were_written(tmp_path, rows, settings, why):
    files = written(tmp_path, rows, 9)
    told = balanced(files, tmp_path / "out.jsonl", settings)
    assert (told["at"], told["left_out"]) == (None, 0), why
    assert (tmp_path / "out.jsonl").read_bytes() == b"".join(file.read_bytes() for file in files)
    assert not any(is_left_out(row, told) for row in rows)


def test_at_least_half_stays_and_pairs_that_differ_alike_go_together():
    """Where all chosen texts are longer no cut-off balances them: it is told that they are."""
    differences = np.repeat([100.0, 50.0], 50)
    told = cut_of(differences, np.repeat([0.5, 0.25], 50))
    assert (told["left_out"], told["longer"], told["after"]) == (50, "chosen", 50.0)
    told = cut_of(np.full(100, 30.0), np.full(100, 0.3))
    assert (told["left_out"], told["longer"], told["after"]) == (0, "chosen", 30.0)
