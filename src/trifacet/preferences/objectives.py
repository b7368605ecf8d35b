"""Objectives over the lattice: which corners are compared, by which loss, and how the terms combine.

An objective is data. The engine asks it for the cells of a sample and scores exactly those; ``losses`` makes a value of
the scores. Invariant: no tensor, model, file or network here.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, model_validator

from trifacet.base.errors import TrifacetError
from trifacet.base.extensions import is_extension, load_extension
from trifacet.preferences.facets import CHOSEN, CORNERS, FACETS, Cell, Corner, Facet, cells_of
from trifacet.settings.reading import explain_invalid
from trifacet.settings.section import Section


class Link(StrEnum):
    """What turns a margin into a loss."""

    SIGMOID = "sigmoid"
    HINGE = "hinge"
    IPO = "ipo"


def _corner(value: Any) -> Any:
    """A corner from YAML: ``chosen``, ``image+response`` or a list of facets."""
    if isinstance(value, Corner):
        return value
    names = value.split("+") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError("a corner is 'chosen', or rejected facets such as 'image+response'")
    names = [name.strip() for name in names]
    if names in (["chosen"], []):
        return CHOSEN
    known = [facet.value for facet in FACETS]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown facet {unknown[0]!r}; facets are {', '.join(known)}")
    return Corner.rejecting(names)


CornerField = Annotated[Corner, BeforeValidator(_corner), PlainSerializer(str)]


MOST_WEIGHT = _MOST = 1_000_000


class _Term(Section):
    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_.-]+$")
    weight: float = Field(1.0, ge=0, le=_MOST)


class _LinkedTerm(_Term):
    link: Link = Link.SIGMOID
    offset: float = Field(0.0, ge=-_MOST, le=_MOST)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)

    @model_validator(mode="after")
    def _no_smoothing_for_ipo(self) -> _LinkedTerm:
        if self.link is Link.IPO and self.label_smoothing:
            raise ValueError("label_smoothing has no meaning for ipo; set it to 0")
        return self


class PairTerm(_LinkedTerm):
    """One corner is preferred over another: link(r(preferred) - r(over) - offset)."""

    kind: Literal["pair"] = "pair"
    preferred: CornerField = CHOSEN
    over: CornerField

    @model_validator(mode="after")
    def _compares(self) -> PairTerm:
        if self.preferred == self.over:
            raise ValueError(f"'preferred' and 'over' are both {self.over}; a pair is of two corners")
        return self

    @property
    def corners(self) -> tuple[Corner, ...]:
        return (self.preferred, self.over)


class AnchorTerm(_LinkedTerm):
    """One corner's reward stays above the offset: link(r(corner) - offset)."""

    kind: Literal["anchor"] = "anchor"
    corner: CornerField = CHOSEN

    @property
    def corners(self) -> tuple[Corner, ...]:
        return (self.corner,)


class NLLTerm(_Term):
    """Negative log-likelihood of one corner's response, per token: of the whole batch, or averaged per sample."""

    kind: Literal["nll"] = "nll"
    corner: CornerField = CHOSEN
    mean_over: Literal["tokens", "samples"] = "samples"

    @property
    def corners(self) -> tuple[Corner, ...]:
        return (self.corner,)


class ListTerm(_Term):
    """Cells in descending order of preference: the Plackett-Luce likelihood of that order.

    Either ``facet``: the all-chosen cell, then the rejected versions of that facet as they come, the best first; or
    ``order``: corners, the best first. Of two cells it is a pair term with the sigmoid link.
    """

    kind: Literal["list"] = "list"
    facet: Facet | None = None
    order: tuple[CornerField, ...] = Field(default=(), max_length=len(CORNERS))

    @model_validator(mode="after")
    def _ranks(self) -> ListTerm:
        if (self.facet is None) == (not self.order):
            raise ValueError("a list has either 'facet', whose versions are ranked, or 'order', a list of corners")
        if self.facet is None and not 2 <= len(set(self.order)) == len(self.order):
            raise ValueError("'order' has two or more corners, each once, the best first")
        return self

    @property
    def corners(self) -> tuple[Corner, ...]:
        return self.order if self.facet is None else (CHOSEN, Corner.rejecting([self.facet]))


def _kind(value: Any) -> Any:
    return {"kind": "pair", **value} if isinstance(value, dict) else value


Term = Annotated[
    Annotated[PairTerm | ListTerm | AnchorTerm | NLLTerm, Field(discriminator="kind")],
    BeforeValidator(_kind),
]
AnyTerm = PairTerm | ListTerm | AnchorTerm | NLLTerm


class Objective(Section):
    """A named list of terms.

    ``combine`` is ``separate`` (the sum of weighted losses; MCM-DPO's paper, eq. 2) or ``joint`` (one link over the
    weighted mean of the pair terms' margins; MCM-DPO's released code). Lists, anchors and NLL terms are added in both.

    ``beside``: the rejected context is no other post, but the same prompt with chosen and rejected image shown together
    and an instruction which of them is meant: the one that the corner's image is.
    """

    name: str = Field(min_length=1)
    beta: float = Field(0.1, gt=0, le=_MOST)
    combine: Literal["separate", "joint"] = "separate"
    link: Link = Link.SIGMOID  # of the joint form
    beside: bool = False
    terms: tuple[Term, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Objective:
        names = [term.name for term in self.terms]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two terms are named {min(doubled)!r}; give each its own name")
        if not any(term.weight for term in self.terms):
            raise ValueError("every term has weight 0; give at least one a weight above 0")
        if self.beside and Facet.CONTEXT not in self.rejected_facets:
            raise ValueError("'beside' is what rejecting the context means, and no term does; leave it out or add one")
        if self.combine == "separate" and self.link is not Link.SIGMOID:
            raise ValueError("'link' of the objective is for combine: joint; set the link of each term instead")
        if self.combine == "joint":
            pairs = [term for term in self.terms if isinstance(term, PairTerm)]
            if not pairs:
                raise ValueError("combine: joint needs at least one pair term")
            if any(term.offset or term.label_smoothing or term.link is not Link.SIGMOID for term in pairs):
                raise ValueError("combine: joint has one link for all pair terms; leave link, offset, smoothing out")
        return self

    @cached_property
    def active(self) -> tuple[AnyTerm, ...]:
        """The terms with a weight above zero: the others cost nothing."""
        return tuple(term for term in self.terms if term.weight)

    @cached_property
    def corners(self) -> tuple[Corner, ...]:
        """The corners to be scored, all-chosen first."""
        return tuple(sorted({corner for term in self.active for corner in term.corners}))

    @cached_property
    def rejected_facets(self) -> tuple[Facet, ...]:
        """The facets of which some term needs a rejected version, if only to show it beside the chosen one."""
        found = {facet for corner in self.corners for facet in corner.rejected}
        return tuple(facet for facet in FACETS if facet in found or (self.beside and facet is Facet.IMAGE))

    @cached_property
    def has_lists(self) -> bool:
        """Whether any term is a list."""
        return any(isinstance(term, ListTerm) for term in self.active)

    @cached_property
    def needs_reference(self) -> bool:
        """Whether any term uses the reference model's log-probs."""
        return any(not isinstance(term, NLLTerm) for term in self.active)

    @cached_property
    def is_mean_over_samples(self) -> bool:
        """Whether the loss of a batch is the mean of its samples' losses, so that who is with whom does not matter."""
        return not any(isinstance(term, NLLTerm) and term.mean_over == "tokens" for term in self.active)

    def cells(self, versions: dict[Facet, int]) -> list[Cell]:
        """The cells to be scored for a sample with so many rejected versions of each facet, in a fixed order."""
        needed = {cell for term in self.active for meeting in term_cells(term, versions) for cell in meeting}
        return sorted(needed)


def term_cells(term: AnyTerm, versions: dict[Facet, int]) -> list[tuple[Cell, ...]]:
    """The comparisons of one term for one sample: pairs of cells, lists, or single cells for anchors and NLL.

    A facet that several corners reject is rejected by the same version in all. A term that rejects a facet of which
    the sample has no rejected version has no comparison.
    """
    if isinstance(term, ListTerm) and term.facet is not None:
        rejected = tuple(cells_of(term.corners[1], versions))
        return [(Cell(), *rejected)] if rejected else []
    rejected_anywhere = Corner.rejecting({facet for corner in term.corners for facet in corner.rejected})
    return [
        tuple(
            Cell(*(version if is_rejected else 0 for version, is_rejected in zip(choice, corner, strict=True)))
            for corner in term.corners
        )
        for choice in cells_of(rejected_anywhere, versions)
    ]


def _pair(name: str, over: str, weight: float = 1.0) -> dict[str, Any]:
    return {"name": name, "over": over, "weight": weight}


_SEVEN = [  # METHODS: lambda = 1, alpha = 0.5, gamma = 0.2
    _pair("rpo", "response", 1.0),
    _pair("vpo", "image", 0.5),
    _pair("cpo", "context", 0.5),
    _pair("vrpo", "image+response", 0.2),
    _pair("crpo", "context+response", 0.2),
    _pair("vcpo", "image+context", 0.2),
    _pair("mtpo", "image+context+response", 0.2),
]
GROUPS = {  # short names of terms: MCM-DPO's paper weighs three groups, MFPO's three losses
    "lambda": ("rpo",),
    "alpha": ("vpo", "cpo"),
    "gamma": ("vrpo", "crpo", "vcpo", "mtpo"),
    "text": ("rpo",),
    "image": ("vpo",),
    "margin": ("anchor",),
}
_ANCHOR = {"name": "anchor", "kind": "anchor"}


def _in_context(name: str, corner: str, over: str, weight: float) -> list[dict[str, Any]]:
    """A pair and the anchor of its preferred corner, weighed alike."""
    return [
        {"name": name, "preferred": corner, "over": over, "weight": weight},
        {"name": f"{name}-anchor", "kind": "anchor", "corner": corner, "weight": weight},
    ]


_SINGLE, _MULTI = 1.75 / 4, 0.75 / 4  # IC-VCO's released weights: a mean over two pairs each, and over the branches
_NAMED: dict[str, dict[str, Any]] = {
    "sft": {"terms": [{"name": "nll", "kind": "nll", "mean_over": "tokens"}]},
    "dpo": {"terms": _SEVEN[:1]},
    "mdpo": {"terms": [_SEVEN[0], _pair("vpo", "image"), _ANCHOR]},
    "mfpo": {"terms": [_SEVEN[0], _pair("vpo", "image"), _ANCHOR]},
    "mcm-dpo": {"terms": _SEVEN},
    "mcm-dpo-joint": {"terms": _SEVEN, "combine": "joint"},
    "mcm-dpo-anchored": {"terms": [*_SEVEN, _ANCHOR]},
    "ic-vco": {
        "beside": True,
        "terms": [
            *_in_context("single", "chosen", "response", _SINGLE),
            *_in_context("single-other", "image+response", "image", _SINGLE),
            *_in_context("multi", "context", "context+response", _MULTI),
            *_in_context("multi-other", "image+context+response", "image+context", _MULTI),
        ],
    },
}
OBJECTIVES: dict[str, Objective] = {
    name: Objective.model_validate({"name": name, **definition}) for name, definition in _NAMED.items()
}


def redefined(objective: Objective, key: Literal["weight", "offset"], given: Mapping[str, float]) -> Objective:
    """``objective`` with another weight or offset for some terms, by their names or those of ``GROUPS``.

    A term's own name wins over that of a group.

    Raises:
        TrifacetError: no term of that name, one that has no offset, or an objective that does not hold.
    """
    if not given:
        return objective
    names = [term.name for term in objective.terms]
    values: dict[str, float] = {}
    for name, value in sorted(given.items(), key=lambda one: one[0] in names):  # what names a term itself comes last
        meant = [name] if name in names else [term for term in GROUPS.get(name, ()) if term in names]
        if not meant:
            raise TrifacetError(f"{key}s: {objective.name} has no term {name!r}; it has {', '.join(names)}")
        values |= dict.fromkeys(meant, value)
    definition = objective.model_dump()
    for term in definition["terms"]:
        if term["name"] not in values:
            continue
        if key not in term:
            raise TrifacetError(f"{key}s: term {term['name']!r} of {objective.name} is a {term['kind']} and has none")
        term[key] = values[term["name"]]
    try:
        return Objective.model_validate(definition)
    except ValidationError as error:
        raise TrifacetError(f"{key}s: {explain_invalid(error, Objective)}") from None


def resolve_objective(value: str | dict[str, Any]) -> Objective:
    """An objective by name, or by definition; ``base`` and ``drop`` shorten the definition of an ablation.

    A name is one of ``OBJECTIVES``, or that of an object of the user's own (see ``base.extensions``).

    Raises:
        TrifacetError: unknown name (with the nearest known one) or a definition that does not hold.
    """
    if isinstance(value, str):
        if value in OBJECTIVES:
            return OBJECTIVES[value]
        if is_extension(value, "objective"):
            own: Objective = load_extension(value, "objective", Objective)
            return own
        near = difflib.get_close_matches(value, OBJECTIVES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(OBJECTIVES)}"
        raise TrifacetError(f"unknown objective {value!r}; {hint}")
    definition = dict(value)
    drop = definition.pop("drop", [])
    base_name = definition.pop("base", None)
    if base_name is not None:
        definition = {**_without(base_name, drop), **definition}
    elif drop:
        raise TrifacetError("objective: 'drop' needs a 'base' to drop from")
    try:
        return Objective.model_validate(definition)
    except ValidationError as error:
        raise TrifacetError(f"objective: {explain_invalid(error, Objective)}") from None


def _without(base_name: Any, drop: Any) -> dict[str, Any]:
    """The definition of a named objective less some of its terms."""
    if not isinstance(base_name, str):
        raise TrifacetError(f"objective: 'base' is the name of an objective; known are {', '.join(OBJECTIVES)}")
    if not isinstance(drop, list):
        raise TrifacetError("objective: 'drop' is a list of terms, such as drop: [vpo, cpo]")
    base = resolve_objective(base_name).model_dump()
    names = [term["name"] for term in base["terms"]]
    if unknown := [name for name in drop if name not in names]:
        raise TrifacetError(f"objective: cannot drop {unknown[0]!r}; {base_name} has {', '.join(names)}")
    base["terms"] = [term for term in base["terms"] if term["name"] not in drop]
    if not base["terms"]:
        raise TrifacetError(f"objective: all terms of {base_name} are dropped; keep at least one")
    return base
