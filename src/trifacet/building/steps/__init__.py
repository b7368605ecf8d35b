"""The steps of a build: one small module each, and this one table of them, in the order that they usually have.

A new step is one file beside these and one line here.
"""

from __future__ import annotations

from trifacet.building.step import Step
from trifacet.building.steps import (
    alt_length,
    exact_duplicates,
    grammar,
    hashtags,
    images,
    language,
    lettering_claims,
    lint,
    misread,
    names,
    near_duplicates,
    read_lettering,
    rejected_context,
    rejected_image,
    rejected_response,
    split,
    static_image,
    verify,
)

STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        images.STEP,
        static_image.STEP,
        language.STEP,
        hashtags.STEP,
        alt_length.STEP,
        lint.STEP,
        exact_duplicates.STEP,
        near_duplicates.STEP,
        read_lettering.STEP,
        lettering_claims.STEP,
        names.STEP,
        grammar.STEP,
        split.STEP,
        rejected_response.STEP,
        verify.STEP,
        misread.STEP,
        rejected_context.STEP,
        rejected_image.STEP,
    )
}
