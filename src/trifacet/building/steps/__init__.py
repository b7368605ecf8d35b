"""The steps of a build: one small module each, and this one table of them.

A new step is one file beside these and one line here.
"""

from __future__ import annotations

from trifacet.building.step import Step
from trifacet.building.steps import alt_length, hashtags, language, lint, names

_ALL: tuple[Step, ...] = (alt_length.STEP, hashtags.STEP, language.STEP, lint.STEP, names.STEP)
STEPS: dict[str, Step] = {step.name: step for step in _ALL}
