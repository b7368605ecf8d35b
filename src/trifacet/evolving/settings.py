"""The recipe of ``trifacet evolve``: roles, sampling, revising, verifying, pairs, rounds.

Invariant: light enough to be read before torch is imported. Defaults that IPA's paper does not give are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from trifacet.base.errors import TrifacetError
from trifacet.data.settings import Data
from trifacet.generation.settings import Generation, Temperature
from trifacet.models.settings import Model
from trifacet.preferences.settings import STRATEGY_NAMES, StrategyName
from trifacet.regions.settings import Regions
from trifacet.settings.reading import explain_invalid, read_values
from trifacet.settings.section import MOST, Section, Seed, Unit
from trifacet.training.recipe import Align, Supervised

RoleName = Literal["generator", "reviser", "verifier"]
CONDITIONS = ("derivable", "complete", "consistent", "follows")
"""What an accepted answer is: the reference can be derived from it; no critical detail is missing; nothing contradicts
reference or picture; the instruction is followed."""


class Role(Section):
    """Who plays a role: the recipe's model under the round's adapter, another model, or an endpoint."""

    model: str | None = Field(
        None, description="folder or hub id of a checkpoint, an adapter's too (null: the recipe's model, as trained)"
    )
    endpoint: str | None = Field(None, description="file of an endpoint, as for --judge, in place of a model")
    prompt: str | None = Field(
        None,
        description="a file in place of the package's prompt, or a folder of such files by name (feedback.txt ...)",
    )
    temperature: Temperature = Field(0.0, description="0: no sampling; else at least 0.0001")
    max_new_tokens: int = Field(256, ge=1, le=100_000, description="longest text in tokens")
    batch_size: int = Field(8, ge=1, le=100_000, description="pictures at a time")

    @model_validator(mode="after")
    def _one(self) -> Role:
        if self.model and self.endpoint:
            raise ValueError("a role is played by a model or by an endpoint; leave one of them out")
        return self


class DrawnRole(Role):
    """Who plays a role whose texts are drawn: at temperature 0 several of them would be one."""

    temperature: Temperature = Field(0.7, description="0: no sampling; else at least 0.0001")


class Roles(Section):
    """The three roles; one model plays all of them by default."""

    generator: DrawnRole = DrawnRole()
    reviser: DrawnRole = DrawnRole()
    verifier: Role = Role()


class Sampling(Section):
    """The answers of a sample."""

    normal: int = Field(4, ge=0, le=1000, description="answers to the picture as it is")
    contrastive: int = Field(4, ge=0, le=1000, description="answers to a spoilt picture, in turn by the strategies")
    strategies: list[StrategyName | Literal["dropout-ntp"]] = Field(
        ["diffusion", "blur", "downscale"],
        max_length=100,
        description=f"dropout-ntp (half of a normal answer continued without the picture), {STRATEGY_NAMES}",
    )
    t: int | None = Field(None, ge=0, le=1000, description="noise steps of 1,000 (null: each strategy's own)")
    top_p: float = Field(1.0, gt=0, le=1, description="draw from the likeliest tokens with this share together")
    reference: bool = Field(False, description="show the generator the reference: an ablation, answers imitate it")


class Revision(Section):
    """Feedback that names what is wrong with an answer, and the answer written anew from it."""

    answers: int = Field(2, ge=0, le=1000, description="of a sample's answers so many are revised, the first ones")
    feedbacks: int = Field(1, ge=1, le=100, description="feedback texts for each of these, each with its revision")
    reference_from: int | None = Field(
        3,
        ge=1,
        le=100,
        description="from this round on the feedback step, and it alone, sees the reference (null: never)",
    )


class Verification(Section):
    """How an answer is judged against the reference."""

    form: Literal["json", "word"] = Field(
        "json", description="json: four conditions with reasons; word: one question, answered yes or no"
    )
    votes: int = Field(1, ge=1, le=99, description="asked so many times; accepted by more than half of the read ones")


class Gate(Section):
    """Whether the verifier is worth trusting: asked before round 1 about answers of which the truth is known."""

    samples: int = Field(50, ge=0, le=MOST, description="samples that probes are made of (0: no gate)")
    probes: str | None = Field(
        None,
        description="JSONL of labelled answers: {id, task, image, prompt, reference, answer, label: true or false}",
    )
    task: str = Field("task", description="field of a sample's extra that names its task")
    precision: Unit = Field(0.7, description="least share of accepted probes that are right, in every task")
    false_accepts: Unit = Field(0.3, description="most of the wrong probes that may be accepted, in every task")
    controls: bool = Field(True, description="ask also without the picture, and with the fields in another order")
    otherwise: Literal["stop", "go on"] = Field("stop", description="what follows from a verifier below the bounds")


class Pairs(Section):
    """Which accepted and refused answers become pairs."""

    most: int = Field(4, ge=1, le=10_000, description="pairs of a sample")
    feedback: int = Field(2, ge=0, le=10_000, description="pairs of feedback texts of a sample")
    balanced: bool = Field(True, description="chosen and rejected answers are taken in turn from every origin")
    length_matched: bool = Field(
        True,
        description="of the rejected answers the one nearest in length is taken, and of a round's pairs those are left "
        "out that make chosen texts longer, or shorter, than rejected ones",
    )
    length_ratio: float | None = Field(
        None,
        ge=1,
        le=1000,
        description="no pair whose longer text has more than so many times the shorter's characters",
    )
    contained: bool = Field(False, description="also pairs whose rejected text contains the chosen one")


class Rounds(Section):
    """Sampling, verifying and training, again and again."""

    count: int = Field(3, ge=1, le=100, description="rounds")
    hard_only: bool = Field(True, description="from round 2 on: only samples without an accepted answer so far")
    keep: Literal["best", "last"] = Field(
        "best", description="best: a generator or reviser that did harm is not the next round's start"
    )
    metric: str | None = Field(
        None,
        description="which of the held-out metrics says so (null: the share of accepted answers, or a judge's)",
    )
    generator: Align | None = Field(None, description="how the generator is trained between rounds (null: not at all)")
    reviser: Align | None = Field(None, description="the same of the reviser, on pairs of feedback texts")


class EvolveRecipe(Section):
    """Preference pairs that a model makes of samples and verifies, and a model aligned on them."""

    name: str = Field(description="name of the run, shown in the report")
    output: str = Field(description="folder of the run; belongs to this recipe alone")
    seed: Seed = Field(17, description="seed of everything that is drawn")
    model: Model
    data: Data
    samples: str = Field(description="file below data.root: pictures, instructions and reference answers")
    limit: int | None = Field(None, ge=1, le=MOST, description="the first N samples only")
    roles: Roles = Roles()
    sampling: Sampling = Sampling()
    revision: Revision = Revision()
    verification: Verification = Verification()
    gate: Gate = Gate()
    pairs: Pairs = Pairs()
    rounds: Rounds = Rounds()
    regions: Regions | None = Field(None, description="key regions, for strategies that spoil them")
    judge: str | None = Field(
        None,
        description="file of an endpoint that compares answers in both orders, in place of verifying by references",
    )
    sft: Supervised | None = Field(None, description="first imitate the chosen answers (null: do not)")
    align: Align | None = Field(None, description="the alignment on the pairs of all rounds (null: pairs only)")
    generate: Generation = Generation()
    part: int = Field(64, ge=1, le=100_000, description="samples of a part: what is on the disk together")
    processes: int = Field(
        1, ge=1, le=1000, description="processes that take parts, each with its models; or --workers"
    )

    @model_validator(mode="after")
    def _votes_differ(self) -> EvolveRecipe:
        if self.verification.votes > 1 and self.roles.verifier.temperature == 0:
            raise ValueError(
                f"verification.votes: {self.verification.votes} votes at temperature 0 are one vote; set "
                "roles.verifier.temperature above 0, or votes to 1"
            )
        return self

    @property
    def folder(self) -> Path:
        """The output folder."""
        return Path(self.output)


def load_evolve_recipe(path: str | Path, overrides: Sequence[str] = ()) -> EvolveRecipe:
    """The recipe of a file, ``extends`` and ``key=value`` overrides applied; raises TrifacetError naming the key."""
    values = read_values(path, overrides)
    try:
        return EvolveRecipe.model_validate(values)
    except ValidationError as error:
        raise TrifacetError(f"{path}: {explain_invalid(error, EvolveRecipe)}") from None
