"""From a recipe's curriculum to the course of a training: difficulty, groups, and the table of what each phase uses.

Invariant: what the table says at the start is what ``done.json`` and the report say at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trifacet.base.files import write_atomically
from trifacet.base.progress import console
from trifacet.engine.scoring import TrieScorer
from trifacet.training import ranks
from trifacet.training.batches import Groups
from trifacet.training.course import Course
from trifacet.training.curriculum import (
    DIFFICULTIES,
    Curriculum,
    difficulty_groups,
    difficulty_lines,
    phases_of,
)
from trifacet.training.difficulty import difficulties
from trifacet.training.examples import Examples
from trifacet.training.recipe import Align
from trifacet.training.reference import Reference, reference_scores
from trifacet.training.stage import Stage

_WIDEST = 1_000  # characters that no table of phases needs


@dataclass(frozen=True)
class Planned:
    """The course of a stage with a curriculum, and its settings."""

    curriculum: Curriculum
    course: Course

    def phases(self) -> list[dict[str, Any]]:
        """A row per phase: what it uses."""
        curriculum, course = self.curriculum, self.course
        return [
            {
                "phase": number + 1,
                "samples": len(phase.members),
                "easiest": phase.easiest,
                "hardest": phase.hardest,
                "epochs": phase.epochs,
                "first_step": course.first[number] + 1,
                "steps": course.phase_steps(number),
                "reference": _reference(curriculum, number),
                "optimizer": "new" if not number or curriculum.optimizer == "reset" else "kept",
                "schedule": "begins" if not number or curriculum.schedule == "restart" else "goes on",
            }
            for number, phase in enumerate(course.phases)
        ]

    def facts(self) -> dict[str, Any]:
        """What ``done.json`` says of the curriculum."""
        curriculum = self.curriculum
        measure = {"difficulty": curriculum.difficulty} | ({"column": curriculum.column} if curriculum.column else {})
        return {**measure, "order": curriculum.order, "mixed": curriculum.mixed, "phases": self.phases()}


def _reference(curriculum: Curriculum, number: int) -> str:
    return f"after phase {number}" if number and curriculum.reference == "previous" else "start"


def plan(
    stage: Stage, examples: Examples, scorer: TrieScorer, weights: str, *, forwards: int
) -> tuple[Reference, Planned | None]:
    """The stage's reference and, where it has a curriculum, the course; difficulty comes from the reference's pass.

    Where members of a batch lend each other versions, the batches follow from the difficulty: it is known first.

    Args:
        stage: what is trained.
        examples: on what; its groups become those of the curriculum.
        scorer: the model before its first step.
        weights: the fingerprint of the start's weights.
        forwards: of an optimizer step, over all processes.

    Raises:
        TrifacetError: as ``reference_scores``, ``difficulties`` and ``difficulty_groups`` do.
    """
    settings = stage.settings
    curriculum = settings.curriculum if isinstance(settings, Align) else None
    if curriculum is None:
        return reference_scores(stage, examples, scorer, weights), None
    reference = Reference()
    if examples.groups is None:
        wanted = curriculum.difficulty == "entropy"
        reference = reference_scores(stage, examples, scorer, weights, entropies=wanted)
    hard = difficulties(stage, curriculum, examples, scorer, weights, reference)
    parts = difficulty_groups(hard, curriculum, stage.seed)
    told = difficulty_lines([sample.id for sample in examples.samples], hard, parts)
    ranks.first_does(lambda: write_atomically(stage.folder / DIFFICULTIES, told))
    if examples.groups is not None:
        examples.groups = Groups(len(examples), examples.groups.size, examples.rejection.seed, parts)
        reference = reference_scores(stage, examples, scorer, weights)
    course = Course(
        phases_of(parts, hard, curriculum, settings.epochs),
        batch_size=settings.batch_size,
        forwards=forwards,
        seed=stage.seed,
        groups=examples.groups,
    )
    return reference, Planned(curriculum, course)


def show(name: str, planned: Planned) -> None:
    """Print the table of the phases; no cell breaks where the terminal has 80 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    curriculum = planned.curriculum
    measure = f"{curriculum.difficulty} {curriculum.column}" if curriculum.column else curriculum.difficulty
    mixed = ", each with those before it" if curriculum.mixed else ""
    table = Table(
        title=f"{name}: curriculum by {measure}, {curriculum.order}{mixed}",
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    for column in ("phase", "samples", "difficulty", "epochs", "steps"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("reference", "optimizer", "schedule"):
        table.add_column(column)
    for row in planned.phases():
        span = f"{row['easiest']:.3g} to {row['hardest']:.3g}"
        numbers = (str(row["phase"]), f"{row['samples']:,}", span, f"{row['epochs']:g}", f"{row['steps']:,}")
        table.add_row(*numbers, row["reference"].removeprefix("after "), row["optimizer"], row["schedule"])
    if table.__rich_measure__(console, console.options.update_width(_WIDEST)).maximum > console.width:
        table.padding = (0, 0)  # numbers with signs and exponents take the room between the columns
    console.print(table)
