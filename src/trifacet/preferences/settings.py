"""The recipe sections of rejected versions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from trifacet.base.errors import TrifacetError
from trifacet.preferences.rejected.images import STRATEGIES, image_strategy
from trifacet.preferences.rejected.regions import Perturbation, RegionOptions
from trifacet.preferences.rejected.strategy import ImageStrategy
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
    t: int | None = Field(
        None,
        ge=0,
        le=1000,
        description="number of noise steps of 1,000; null: the strategy's own, 500 for a region and 700 for the whole",
    )
    versions: int = Field(1, ge=1, le=100, description="rejected images per sample; terms are averaged over them")
    soft_edge: float = Field(
        0.0, ge=0, le=0.5, description="width over which a spoilt region fades out around it, of the shorter side"
    )
    share: float = Field(
        0.2, ge=0.001, le=0.75, description="random-region: share of the picture where nothing is located"
    )
    perturbation: Perturbation = Field("diffusion", description="random-region, graded: what is done to the region")
    similarity: str | None = Field(
        None,
        min_length=1,
        description="hub id or folder of a CLIP model that says, before a stage trains, by how much each rejected "
        "image is less like the response (null: nobody does)",
    )

    @model_validator(mode="before")
    @classmethod
    def _steps_of_the_strategy(cls, given: Any) -> Any:
        """``t`` is a number from here on, so that a dumped recipe says which."""
        if not isinstance(given, dict) or given.get("t") is not None:
            return given
        name = given.get("strategy", "diffusion")
        try:
            return given | {"t": image_strategy(name).t}
        except (TrifacetError, TypeError):  # of the name, which is said there
            return given

    def made_by(self) -> ImageStrategy:
        """The strategy, with its options. Raises TrifacetError where there is none."""
        return image_strategy(self.strategy, self.t, RegionOptions(self.soft_edge, self.share, self.perturbation))


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
