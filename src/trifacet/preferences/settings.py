"""The recipe sections of rejected versions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from trifacet.base.errors import TrifacetError
from trifacet.preferences.rejected.images import STRATEGIES, image_strategy
from trifacet.settings.section import Section


def _known(name: str) -> str:
    try:
        image_strategy(name)
    except TrifacetError as error:
        raise ValueError(str(error)) from None
    return name


StrategyName = Annotated[str, AfterValidator(_known)]
STRATEGY_NAMES = f"{', '.join(STRATEGIES)}, or a class of your own as package.module:Name"


class RejectedImage(Section):
    """How the rejected image is made where the data give none."""

    strategy: StrategyName = Field("diffusion", description=f"what is done to the chosen image: {STRATEGY_NAMES}")
    t: int = Field(700, ge=0, le=1000, description="diffusion: number of noise steps of 1,000")
    versions: int = Field(1, ge=1, le=100, description="rejected images per sample; terms are averaged over them")


class RejectedContext(Section):
    """How the rejected context is made where the data give none."""

    strategy: Literal["other-sample"] = Field("other-sample", description="the context of another sample")
    versions: int = Field(1, ge=1, le=100, description="rejected contexts per sample; terms are averaged over them")


class Rejected(Section):
    """Rejected versions, fixed by (seed, sample id, strategy)."""

    image: RejectedImage = RejectedImage()
    context: RejectedContext = RejectedContext()
    resample: bool = Field(False, description="draw anew each epoch; rules the reference cache out")
    in_batch: bool = Field(
        False,
        description="take other samples' contexts and (strategy randomness) images from the batch: computed once there",
    )
