"""From the turns to figures: checks that the contestants do the same, medians, ratios, the table.

Invariant: a ratio compares turns of the same round, so that a machine that slows down slows both.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from contest.clock import REGIONS
from contest.contestants import BASELINE
from contest.inputs import Inputs
from contest.turns import PEAK, Introduction, Process, Turn, processes

TOLERANCE = {"float32": (2e-3, 1e-5), "bfloat16": (0.5, 2e-2)}  # absolute and relative, on summed log-probs
SAME_LOSS = {"float32": 1e-3, "bfloat16": 5e-2}
SAME_TRAINING = (("trl-dpo", "dpo"), ("mcm-dpo", "mcm-dpo-one-by-one"))  # pairs with one objective


class DifferentWorkError(Exception):
    """Two contestants do not train the same, so their times are not worth comparing."""


@dataclass
class Record:
    """All that was measured of one contestant."""

    introduction: Introduction
    turns: list[Turn] = field(default_factory=list)
    peak_memory: int = 0
    regions: dict[str, float] = field(default_factory=dict)

    def step(self, turn: Turn) -> float:
        """Seconds per sample, and what a step waits for one worker that makes the batches meanwhile."""
        return turn.step + self.wait(turn)

    def wait(self, turn: Turn) -> float:
        """Seconds per sample by which making a batch outlasts the step."""
        online = turn.reference if self.introduction.online_reference else 0.0
        return max(0.0, turn.data - turn.step - online)

    def whole(self, turn: Turn, epochs: int) -> float:
        """Seconds per sample with the reference in it: in each step, or a pass spread over the epochs."""
        return self.step(turn) + turn.reference / (1 if self.introduction.online_reference else epochs)


def measure(
    names: list[str], inputs: Inputs, *, rounds: int, threads: int, terms: int = 0
) -> tuple[dict[str, Record], float]:
    """Run the contestants in turns; their records, and the machine's best multiplication in FLOPs per second.

    Raises:
        DifferentWorkError: log-probs of the same sequences, or losses of the same objective, are not the same.
    """
    with processes(names, inputs, terms=terms, threads=threads) as running:
        introductions = {name: process.answer() for name, process in running.items()}
        sprinter = running.pop(PEAK)
        records = {name: Record(introductions[name]) for name in running}
        same_logps(records, inputs.shape.dtype)
        best = 0.0
        for number in range(rounds + 1):
            best = max(best, sprinter.call("turn", number))
            for name, process in _from(running, number):
                turn = process.call("turn", number)
                print(f"round {number} of {rounds}: {name} {turn.step + turn.reference:.2f} s/sample", file=sys.stderr)
                if number:  # the first round warms up
                    records[name].turns.append(turn)
        same_losses(records, inputs.shape.dtype)
        for name, process in running.items():
            records[name].peak_memory = process.call("memory")
        for name, process in running.items():
            records[name].regions = process.call("shares", rounds + 1)
    return records, best


def _from(running: dict[str, Process], number: int) -> list[tuple[str, Process]]:
    """The contestants, another one first in each round."""
    items = list(running.items())
    start = number % len(items)
    return items[start:] + items[:start]


def same_logps(records: dict[str, Record], dtype: str) -> float:
    """The largest difference between two contestants' log-probs of one sequence. Raises DifferentWorkError."""
    seen: dict[str, tuple[str, float]] = {}
    largest = 0.0
    absolute, relative = TOLERANCE[dtype]
    for name, record in records.items():
        for key, logp in record.introduction.logps.items():
            other, value = seen.setdefault(key, (name, logp))
            largest = max(largest, abs(logp - value))
            if not abs(logp - value) <= absolute + relative * abs(value):
                raise DifferentWorkError(f"log-prob of sequence {key}: {other} has {value:.4f}, {name} has {logp:.4f}")
    return largest


def same_losses(records: dict[str, Record], dtype: str) -> None:
    """Contestants with one objective had the same loss in each step. Raises DifferentWorkError."""
    for one, other in SAME_TRAINING:
        if one in records and other in records:
            for number, turns in enumerate(zip(records[one].turns, records[other].turns, strict=True)):
                if not abs(turns[0].loss - turns[1].loss) <= SAME_LOSS[dtype]:
                    losses = f"{one} has {turns[0].loss:.5f}, {other} has {turns[1].loss:.5f}"
                    raise DifferentWorkError(f"loss of step {number + 1}: {losses}")


def figures(record: Record, baseline: Record | None, *, epochs: int, best: float) -> dict[str, Any]:
    """One contestant's entry in the JSON; times are medians, seconds per sample."""
    about, turns = record.introduction, record.turns
    seconds = median(record.step(turn) for turn in turns)
    entry: dict[str, Any] = {
        "seconds_per_sample": seconds,
        "reference_seconds_per_sample": median(turn.reference for turn in turns),
        "reference": "in each step" if about.online_reference else "once",
        "with_reference_seconds_per_sample": median(record.whole(turn, epochs) for turn in turns),
        "data_seconds_per_sample": median(turn.data for turn in turns),
        "peak_memory_bytes": record.peak_memory,
        "start_memory_bytes": about.start_memory,
        "unique_tokens": about.unique_tokens,
        "distinct_tokens": about.distinct_tokens,
        "total_tokens": about.total_tokens,
        "needed_flops": about.needed_flops,
        "matmul_share": about.needed_flops / (seconds * best),
        "shares": _shares(record),
        "rounds": [record.whole(turn, epochs) for turn in turns],
        "losses": [turn.loss for turn in turns],
    }
    if baseline is not None:
        pairs = zip(turns, baseline.turns, strict=True)
        entry["ratio"] = median(record.whole(mine, epochs) / baseline.whole(its, epochs) for mine, its in pairs)
        entry["memory_ratio"] = record.peak_memory / baseline.peak_memory
    return entry


def _shares(record: Record) -> dict[str, float]:
    """Of a step with what it waits for; the shares are measured in a step of their own, with hooks."""
    wait = median(record.wait(turn) for turn in record.turns)
    whole = wait + sum(record.regions.values())
    return {"data": wait / whole, **{region: record.regions[region] / whole for region in REGIONS}}


def document(
    inputs: Inputs, records: dict[str, Record], best: float, *, epochs: int, facts: dict[str, Any]
) -> dict[str, Any]:
    """All figures of a run."""
    baseline = records.get(BASELINE)
    return {
        "shape": inputs.shape.name,
        "baseline": BASELINE,
        "batch": inputs.shape.batch,
        "dtype": inputs.shape.dtype,
        "parameters": inputs.parameters,
        "epochs": epochs,
        "rounds": min(len(record.turns) for record in records.values()),
        "machine": {**facts, "matmul_flops_per_second": best},
        "largest_logp_difference": same_logps(records, inputs.shape.dtype),
        "contestants": {name: figures(record, baseline, epochs=epochs, best=best) for name, record in records.items()},
    }


def table(run: dict[str, Any]) -> str:
    """The figures for people."""
    machine, entries = run["machine"], run["contestants"]
    lines = [
        f"shape {run['shape']}: {run['parameters'] / 1e6:.1f} M parameters, {run['dtype']}, batch {run['batch']}, "
        f"{machine['threads']} threads, {machine['processor']}",
        f"torch {machine['torch']}, transformers {machine['transformers']}, trl {machine['trl']}; best multiplication "
        f"{machine['matmul_flops_per_second'] / 1e9:.0f} GFLOP/s; medians of {run['rounds']} rounds, in turns",
        f"log-probs of the same sequences differ by {run['largest_logp_difference']:.1e} at most",
        "",
        f"{'seconds per sample':22}{'step':>8}{'reference':>12}{'with it':>9}{'ratio':>7}{'memory':>9}{'ratio':>7}"
        f"{'tokens':>8}{'of':>6}{'multiply':>10}",
    ]
    for name, entry in entries.items():
        often = "/step" if entry["reference"] == "in each step" else f"/{run['epochs']}"
        lines.append(
            f"{name:22}{entry['seconds_per_sample']:8.3f}{entry['reference_seconds_per_sample']:7.3f}{often:5}"
            f"{entry['with_reference_seconds_per_sample']:9.3f}{_or_dash(entry.get('ratio')):>7}"
            f"{entry['peak_memory_bytes'] / 2**30:6.2f}GiB{_or_dash(entry.get('memory_ratio')):>7}"
            f"{entry['unique_tokens']:8.0f}{entry['total_tokens']:6.0f}{entry['matmul_share']:10.0%}"
        )
    lines += ["", f"{'share of a step':22}" + "".join(f"{region:>11}" for region in ("data", *REGIONS))]
    for name, entry in entries.items():
        shares = "".join(f"{entry['shares'][region]:11.1%}" for region in ("data", *REGIONS))
        lines.append(f"{name:22}{shares}   (making a batch: {entry['data_seconds_per_sample']:.3f} s per sample)")
    return "\n".join(lines)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
