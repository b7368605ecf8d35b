"""The knobs of the world of posts: what there is to find in it. At their defaults the world is the demo's, to the byte.

Invariant: the shares of a choice sum to one, and what a knob names is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from trifacet.settings.section import Section, Unit

Shown = Literal["colour", "shape", "count"]
Tempting = Literal["colour", "shape", "count", "thing"]
HowMany = Literal["one", "two", "three"]
TextKind = Literal["clean", "generic", "verbose", "no-name", "copied", "wrong", "tempted", "absent"]
PoorKind = Literal["generic", "verbose", "no-name", "copied", "wrong", "tempted", "absent"]

# How the users of the world's platform write. The clean form is the minority; the poor ones share their opening
# words ("A picture of ..."), so that the likeliest text word by word, which greedy decoding returns, is a poor one.
USERS: dict[TextKind, float] = {
    "clean": 0.30,
    "generic": 0.22,
    "verbose": 0.18,
    "no-name": 0.14,
    "copied": 0.08,
    "wrong": 0.08,
}
REJECTED: dict[PoorKind, float] = {"generic": 0.2, "verbose": 0.15, "no-name": 0.15, "copied": 0.1, "wrong": 0.4}
_ROUNDING = 1e-6


def _known(of: Any, known: tuple[str, ...]) -> None:
    if not isinstance(of, Mapping):
        raise ValueError(f"should be a mapping such as {{{known[0]}: 1.0}}")
    for name in of:
        if name not in known:
            close = get_close_matches(str(name), known, 1)
            meant = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise ValueError(f"unknown kind {str(name)!r}; {meant}")


def _summed(known: tuple[str, ...]) -> BeforeValidator:
    """A check that a mapping names known kinds and that its shares sum to one."""

    def check(value: Any) -> Any:
        _known(value, known)
        shares = list(value.values())
        if all(isinstance(one, int | float) and not isinstance(one, bool) for one in shares):
            total = sum(shares)
            if not abs(total - 1) <= _ROUNDING:
                raise ValueError(f"the shares sum to {total:g}; change them so that they sum to 1")
        return value

    return BeforeValidator(check)


def _shares_of(known: tuple[str, ...]) -> BeforeValidator:
    """A check that a mapping names known kinds."""

    def check(value: Any) -> Any:
        _known(value, known)
        return value

    return BeforeValidator(check)


def _few(value: Any) -> Any:
    """A picture is divided into four cells, and every kind of thing takes one at least."""
    if isinstance(value, Mapping) and (more := [name for name in value if name not in get_args(HowMany)]):
        raise ValueError(f"{str(more[0])!r} kinds of things do not fit; a picture holds one, two or three")
    return value


class Posts(Section):
    """What there is to find in the world of posts (kind posts); at the defaults the world is the demo's."""

    tempting: Unit = Field(
        0.0, description="share of posts that speak of the picture's own things and get one of their facts wrong"
    )
    tempts: Annotated[dict[Tempting, Unit], _summed(get_args(Tempting))] = Field(
        {"colour": 1.0},
        description="what these posts get wrong, in shares that sum to 1: colour, shape, count, thing (one that is not "
        "there)",
    )
    plausible: Unit = Field(
        0.0,
        description="share of wrong colours and shapes that are the one which looks most alike (see near_colours); the "
        "others are any",
    )
    near_colours: Unit = Field(
        0.0, description="how near red is to pink, yellow to green, blue to purple; 1: one colour each"
    )
    near_shapes: Unit = Field(
        0.0, description="how near a ball is to a ring, a star to a kite, a candle to a rug; 1: one shape each"
    )
    post_alone: Annotated[dict[Literal["colour", "shape"], Unit], _shares_of(("colour", "shape"))] = Field(
        {}, description="share of scenes in which a fact (colour, shape) stands in the post and not in the picture"
    )
    in_both: Annotated[dict[Shown, Unit], _shares_of(get_args(Shown))] = Field(
        {},
        description="share of scenes in which a fact (colour, shape, count) stands in both, so that the picture can be "
        "done without; in all others the picture alone shows it",
    )
    kinds: Annotated[dict[HowMany, Unit], _summed(get_args(HowMany)), BeforeValidator(_few)] = Field(
        {"one": 1.0},
        description="how many different kinds of things a picture shows (one, two, three), in shares that sum to 1",
    )
    texts: Annotated[dict[TextKind, Unit], _summed(get_args(TextKind))] = Field(
        USERS,
        description="kinds of supervised texts, in shares that sum to 1: clean, generic, verbose, no-name, copied, "
        "wrong, tempted (says what a tempting post says), absent (names a thing that is usual beside another one)",
    )
    noise: Unit | None = Field(
        None, description="share of supervised texts that are not clean, of the kinds of texts (null: as texts says)"
    )
    chosen_noise: Unit = Field(0.0, description="share of chosen texts that are as poor as supervised ones can be")
    swapped: Unit = Field(0.0, description="share of pairs whose chosen and rejected texts stand the wrong way round")
    rejected: Annotated[dict[PoorKind, Unit], _summed(get_args(PoorKind))] = Field(
        REJECTED, description="kinds of rejected texts, in shares that sum to 1: those of texts but clean"
    )
    hard_contexts: Unit = Field(
        0.0,
        description="share of pairs with a rejected post of their own: the same post with one fact changed, the name "
        "or what it tells of the picture",
    )
    hard_images: Unit = Field(
        0.0, description="share of pairs with a rejected image of their own: the same scene with one fact changed"
    )
    chat: int = Field(0, ge=0, le=40, description="further sentences of each post, which say nothing of the picture")
    clauses: int = Field(0, ge=0, le=4, description="further clauses of the clean alt-text, two to four words each")

    @model_validator(mode="after")
    def _together(self) -> Self:
        for fact, share in self.post_alone.items():
            both = self.in_both.get(fact, 0.0)
            if share + both > 1 + _ROUNDING:
                raise ValueError(f"post_alone.{fact} and in_both.{fact} sum to {share + both:g}; 1 is the most")
        if (self.noise or self.chosen_noise) and not self.faults:
            raise ValueError(
                "noise and chosen_noise draw from the kinds of texts that are not clean; give texts such a kind"
            )
        return self

    @property
    def faults(self) -> dict[TextKind, float]:
        """The kinds of supervised texts that are not clean, in shares that sum to one; empty where there are none."""
        poor = {kind: share for kind, share in self.texts.items() if kind != "clean" and share}
        return {kind: share / sum(poor.values()) for kind, share in poor.items()}

    @property
    def users(self) -> dict[TextKind, float]:
        """The shares of supervised texts, ``noise`` regarded; the clean ones first."""
        if self.noise is None:
            return self.texts
        return {"clean": 1 - self.noise, **{kind: self.noise * share for kind, share in self.faults.items()}}
