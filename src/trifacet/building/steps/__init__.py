"""The steps of a build: one small module each, and this one table of them.

A new step is one file beside these and one line here.
"""

from __future__ import annotations

from trifacet.building.step import Step
from trifacet.building.steps import alt_length, exact_duplicates, near_duplicates, split

STEPS: dict[str, Step] = {
    step.name: step for step in (alt_length.STEP, exact_duplicates.STEP, near_duplicates.STEP, split.STEP)
}
