"""Works and jobs of a study: what is done once, by which run, and what that saves.

Invariant: a plan counts a work of one key once, whoever asks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from trifacet.evolving.parts import HELD_OUT
from trifacet.evolving.settings import EvolveRecipe
from trifacet.studies.cells import Cell
from trifacet.training.recipe import Recipe

EVOLUTION = "evolution"  # the work of a whole run of trifacet evolve
KINDS = ("world", "base", "sft", EVOLUTION, "regions", "reference", "alignment", "texts", "scores")


class Work(NamedTuple):
    """Something that is done once: its kind, and the digest of what decides it."""

    kind: str
    key: str


class Outcome(NamedTuple):
    """Where a cell's numbers are: the job, and the model in it."""

    job: str
    model: str


class Lent(NamedTuple):
    """A file or folder of a finished job that another one begins with: (job, name there, name here)."""

    job: str
    name: str
    own: str


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        name: what the study calls it: the same for the same works, or cell, and seed.
        recipe: what is run; its output is a folder of the store.
        works: what it does, each with the name by which its record tells how long that took.
        needs: jobs that must be finished.
        waits: jobs that should have ended, since they leave what this one would do again.
        lent: what it begins with.
    """

    name: str
    recipe: Recipe | EvolveRecipe
    works: tuple[tuple[Work, tuple[str, ...]], ...]
    needs: tuple[str, ...] = ()
    lent: tuple[Lent, ...] = ()

    @property
    def folder(self) -> Path:
        """Where it is run."""
        return self.recipe.folder

    @property
    def scores(self) -> str:
        """The file of its models' scores; their texts lie beside it."""
        return f"{HELD_OUT}/test/scores.json" if isinstance(self.recipe, EvolveRecipe) else "scores.json"

    @property
    def waits(self) -> tuple[str, ...]:
        """Jobs that leave what this one begins with."""
        return tuple(dict.fromkeys(one.job for one in self.lent if one.job not in self.needs))


@dataclass
class Plan:
    """All jobs, each after those that it needs; where each cell of each seed has its numbers, and its works alone.

    ``folder`` is the study's; ``store`` has the jobs' runs, and those of other studies.
    """

    cells: list[Cell]
    seeds: tuple[int, ...]
    folder: Path
    store: Path
    jobs: dict[str, Job] = field(default_factory=dict)
    outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict)
    chains: dict[tuple[str, int], list[Work]] = field(default_factory=dict)

    def alone(self) -> dict[str, int]:
        """How many works of each kind there are where each cell is run by itself."""
        return _counted(work for chain in self.chains.values() for work in chain)

    def shared(self) -> dict[str, int]:
        """How many there are in this plan."""
        return self.of(self.jobs)

    def of(self, jobs: Iterable[str]) -> dict[str, int]:
        """How many there are in these jobs."""
        return _counted(work for name in jobs for work, _ in self.jobs[name].works)

    def levels(self) -> list[list[str]]:
        """The jobs' names in steps: each after all that it needs or waits for."""
        depth: dict[str, int] = {}
        for name, job in self.jobs.items():
            depth[name] = 1 + max((depth[one] for one in (*job.needs, *job.waits)), default=-1)
        return [[name for name in self.jobs if depth[name] == level] for level in range(max(depth.values()) + 1)]


def spent(seconds: Mapping[str, Mapping[str, float]], plan: Plan) -> tuple[float, float] | None:
    """Seconds of all works, done once, and what they would take with each cell alone.

    Args:
        seconds: of every finished job the record of how long its parts took.
        plan: what is done.

    Returns:
        None where a job's record is not there. Loading models and making pages are in neither; where reference scores
        were taken from another job the second number is too small by the time they took.
    """
    if plan.jobs.keys() - seconds.keys():
        return None
    took: dict[Work, float] = {}
    for name, job in plan.jobs.items():
        for work, parts in job.works:
            took[work] = sum(seconds[name].get(part, 0.0) for part in parts)
    alone = sum(took.get(work, 0.0) for chain in plan.chains.values() for work in chain)
    return sum(took.values()), alone


def _counted(works: Iterable[Work]) -> dict[str, int]:
    counts = Counter(work.kind for work in works)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}
