"""From the turns to figures: checks that the contestants do the same, medians, ratios, the table.

Invariant: a ratio compares turns of the same round, so that a machine that slows down slows both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

from contest.clock import REGIONS
from contest.contestants import BASELINE
from contest.inputs import Inputs
from contest.turns import KERNELS, PEAK, FailedError, Inside, Introduction, Process, Turn, processes

TOLERANCE = {"float32": (2e-3, 1e-5), "bfloat16": (0.5, 2e-2)}  # absolute and relative, on summed log-probs
SAME_LOSS = {"float32": 1e-3, "bfloat16": 5e-2}
SAME_TRAINING = (("trl-dpo", "dpo"), ("mcm-dpo", "mcm-dpo-one-by-one"))  # pairs with one objective
AFTERWARDS = 20.0  # seconds beyond the end of the time in which the shares of a step may still be asked for
Running = list[tuple[str, Process | Inside]]


class DifferentWorkError(Exception):
    """Two contestants do not train the same, so their times are not worth comparing."""


@dataclass
class Record:
    """All that was measured of one contestant."""

    introduction: Introduction
    turns: list[Turn] = field(default_factory=list)
    peak_memory: int = 0
    regions: dict[str, float] = field(default_factory=dict)
    kernels: dict[str, float] = field(default_factory=dict)

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
    names: list[str],
    inputs: Inputs,
    *,
    rounds: int,
    threads: int,
    terms: int = 0,
    notes: list[str] | None = None,
    until: float | None = None,
    inside: bool = False,
) -> tuple[dict[str, Record], float]:
    """Run the contestants in turns; their records, and the machine's best multiplication in FLOPs per second.

    Args:
        names: of the contestants.
        inputs: what they train on.
        rounds: timed steps of each.
        threads: of each process on the CPU.
        terms: of the objective, the first so many (0: all).
        notes: what goes wrong is written here, and the others go on (None: it is raised).
        until: the end of the time that there is, as ``time.monotonic`` counts: fewer rounds where it is short.
        inside: all in this process, as only toys may be: memory then is that of all together.

    Raises:
        DifferentWorkError: log-probs of the same sequences, or losses of the same objective, are not the same.
        FailedError: a process failed; with ``notes``: all did.
    """
    grace = None if until is None else until + AFTERWARDS
    with processes(names, inputs, terms=terms, threads=threads, inside=inside) as running:

        def each(ask: Callable[[Process | Inside], Any], some: Running | None = None) -> dict[str, Any]:
            answers = {}
            for name, process in some or list(running.items()):
                try:
                    answers[name] = ask(process)
                except FailedError as error:
                    if notes is None:
                        raise
                    print(error, file=sys.stderr)
                    notes.append(error.in_a_line())
                    running.pop(name, process).end(patience=0.1)
            return answers

        def same(check: Callable[[dict[str, Record], str], Any]) -> None:
            try:
                check({name: records[name] for name in running if name != PEAK}, inputs.shape.arithmetic)
            except DifferentWorkError as error:
                if notes is None:
                    raise
                notes.append(f"not the same work: {error}")

        introductions = each(lambda process: process.answer(until))
        records = {name: Record(introduction) for name, introduction in introductions.items() if name != PEAK}
        same(same_logps)
        best = longest = 0.0
        for number in range(rounds + 1):
            began = time.monotonic()
            if number > 1 and until is not None and began + longest > until:
                _say(notes, f"{number - 1} of {rounds} rounds: the time was up")
                break
            turns = each(partial(_turn, number=number, until=until), _from(running, number))
            best = max(best, turns.pop(PEAK, 0.0))
            for name, turn in turns.items():
                print(f"round {number} of {rounds}: {name} {turn.step + turn.reference:.2f} s/sample", file=sys.stderr)
                records[name].peak_memory = turn.peak_memory
                if number:  # the first round warms up
                    records[name].turns.append(turn)
            longest = max(longest, time.monotonic() - began) if number else 0.0
        same(same_losses)
        running.pop(PEAK, Inside(PEAK, inputs, terms, threads)).end()
        for name, regions in each(lambda process: process.call("shares", rounds + 1, until=grace)).items():
            records[name].regions = regions
        for name, kernels in each(lambda process: process.call("kernels", rounds + 2, until=grace)).items():
            records[name].kernels = kernels
    left = {name: record for name, record in records.items() if record.turns}  # also of who failed later
    if not left:
        raise FailedError("no contestant was left: " + "; ".join(notes or []))
    return left, best


def _turn(process: Process | Inside, number: int, until: float | None) -> Any:
    return process.call("turn", number, until=until)


def _say(notes: list[str] | None, note: str) -> None:
    print(note, file=sys.stderr)
    if notes is not None:
        notes.append(note)


def _from(running: dict[str, Process | Inside], number: int) -> Running:
    """The measurer of multiplication, then the contestants, another one first in each round."""
    first = [(PEAK, running[PEAK])] if PEAK in running else []
    items = [(name, process) for name, process in running.items() if name != PEAK]
    start = number % max(len(items), 1)
    return first + items[start:] + items[:start]


def largest_difference(records: dict[str, Record]) -> float:
    """Between two contestants' log-probs of one sequence."""
    seen: dict[str, float] = {}
    pairs = [item for record in records.values() for item in record.introduction.logps.items()]
    return max((abs(logp - seen.setdefault(key, logp)) for key, logp in pairs), default=0.0)


def same_logps(records: dict[str, Record], dtype: str) -> float:
    """The largest difference between two contestants' log-probs of one sequence. Raises DifferentWorkError."""
    seen: dict[str, tuple[str, float]] = {}
    absolute, relative = TOLERANCE[dtype]
    for name, record in records.items():
        for key, logp in record.introduction.logps.items():
            other, value = seen.setdefault(key, (name, logp))
            if not abs(logp - value) <= absolute + relative * abs(value):
                raise DifferentWorkError(f"log-prob of sequence {key}: {other} has {value:.4f}, {name} has {logp:.4f}")
    return largest_difference(records)


def same_losses(records: dict[str, Record], dtype: str) -> None:
    """Contestants with one objective had the same loss in each step. Raises DifferentWorkError."""
    for one, other in SAME_TRAINING:
        if one in records and other in records:
            for number, turns in enumerate(zip(records[one].turns, records[other].turns, strict=False)):
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
        "matmul_share": about.needed_flops / (seconds * best) if best else None,
        "shares": _shares(record),
        "kernels": _by_kernel(record),
        "rounds": [record.whole(turn, epochs) for turn in turns],
        "losses": [turn.loss for turn in turns],
    }
    if baseline is not None:
        pairs = zip(turns, baseline.turns, strict=False)  # one of them may have failed in a later round
        entry["ratio"] = median(record.whole(mine, epochs) / baseline.whole(its, epochs) for mine, its in pairs)
        entry["memory_ratio"] = record.peak_memory / baseline.peak_memory
    return entry


def _shares(record: Record) -> dict[str, float]:
    """Of a step with what it waits for; the shares are measured in a step of their own, with hooks; empty without."""
    if not record.regions:
        return {}
    wait = median(record.wait(turn) for turn in record.turns)
    whole = wait + sum(record.regions.values())
    return {"data": wait / whole, **{region: record.regions[region] / whole for region in REGIONS}}


def _by_kernel(record: Record) -> dict[str, float]:
    """Of another step, which the profiler slows where kernels are small; empty without."""
    whole = sum(record.kernels.values())
    return {kind: value / whole for kind, value in record.kernels.items()}


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
        "arithmetic": inputs.shape.arithmetic,
        "frozen_encoder": inputs.shape.frozen,
        "parameters": inputs.parameters,
        "epochs": epochs,
        "rounds": min(len(record.turns) for record in records.values()),
        "machine": {**facts, "matmul_flops_per_second": best},
        "largest_logp_difference": largest_difference(records),
        "contestants": {name: figures(record, baseline, epochs=epochs, best=best) for name, record in records.items()},
    }


def table(run: dict[str, Any]) -> str:
    """The figures for people."""
    machine, entries = run["machine"], run["contestants"]
    how = run["dtype"] + (f" multiplied in {run['arithmetic']}" if run["arithmetic"] != run["dtype"] else "")
    how += ", vision encoder frozen" if run["frozen_encoder"] else ""
    lines = [
        f"shape {run['shape']}: {run['parameters'] / 1e6:.1f} M parameters, {how}, batch {run['batch']}, "
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
            f"{entry['unique_tokens']:8.0f}{entry['total_tokens']:6.0f}{_share(entry['matmul_share']):>10}"
        )
    lines += ["", f"{'share of a step':22}" + "".join(f"{region:>11}" for region in ("data", *REGIONS))]
    for name, entry in entries.items():
        shares = "".join(f"{_share(entry['shares'].get(region), 1):>11}" for region in ("data", *REGIONS))
        lines.append(f"{name:22}{shares}   (making a batch: {entry['data_seconds_per_sample']:.3f} s per sample)")
    lines += ["", f"{'share of a step':22}" + "".join(f"{kind:>11}" for kind in KERNELS)]
    for name, entry in entries.items():
        lines.append(f"{name:22}" + "".join(f"{_share(entry['kernels'].get(kind), 1):>11}" for kind in KERNELS))
    return "\n".join(lines)


def _share(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}%}"


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
