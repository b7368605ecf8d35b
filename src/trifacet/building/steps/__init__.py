"""The steps of a build: one small module each, and this one table of them.

A new step is one file beside these and one line here.
"""

from __future__ import annotations

from trifacet.building.step import Step
from trifacet.building.steps import (
    alt_length,
    grammar,
    rejected_context,
    rejected_image,
    rejected_response,
    verify,
)

STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        alt_length.STEP,
        grammar.STEP,
        rejected_response.STEP,
        verify.STEP,
        rejected_context.STEP,
        rejected_image.STEP,
    )
}
