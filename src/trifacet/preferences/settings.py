"""The recipe sections of rejected versions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trifacet.settings.section import Section


class RejectedImage(Section):
    """How the rejected image is made where the data give none."""

    strategy: Literal["diffusion", "blackness", "crop", "rotation", "randomness", "small-crop"] = Field(
        "diffusion", description="what is done to the chosen image"
    )
    t: int = Field(700, ge=0, le=1000, description="diffusion: number of noise steps of 1,000")
    versions: int = Field(1, ge=1, description="rejected images per sample; terms are averaged over them")


class RejectedContext(Section):
    """How the rejected context is made where the data give none."""

    strategy: Literal["other-sample"] = Field("other-sample", description="the context of another sample")
    versions: int = Field(1, ge=1, description="rejected contexts per sample; terms are averaged over them")


class Rejected(Section):
    """Rejected versions, fixed by (seed, sample id, strategy)."""

    image: RejectedImage = RejectedImage()
    context: RejectedContext = RejectedContext()
    resample: bool = Field(False, description="draw anew each epoch; rules the reference cache out")
    in_batch: bool = Field(
        False,
        description="take other samples' contexts and (strategy randomness) images from the batch: computed once there",
    )
