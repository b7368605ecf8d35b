"""Objectives over the lattice: which corners are compared, by which loss, and how the terms combine.

An objective is data. The engine asks it for the cells of a sample, scores exactly those, and hands the log-probs back
with a plan that says which cell meets which. Invariant: pure functions of tensors; no model, file or network here.

Shape letters: C cells of a batch, P comparisons of a batch (a term may have several per sample), S samples, T terms.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator
from torch import Tensor
from torch.nn.functional import logsigmoid

from trifacet.errors import TrifacetError
from trifacet.facets import CHOSEN, FACETS, Cell, Corner, Facet, cells_of


class Link(StrEnum):
    """What turns a margin into a loss."""

    SIGMOID = "sigmoid"
    HINGE = "hinge"
    IPO = "ipo"


def link_loss(
    link: Link, log_ratio: Tensor, *, beta: float, offset: float | Tensor = 0.0, label_smoothing: float = 0.0
) -> Tensor:
    """The loss of a difference of log-ratios, elementwise.

    Args:
        link: sigmoid is DPO (arXiv 2305.18290, eq. 7), hinge is SLiC (2305.10425), ipo is IPO (2310.12036, eq. 17).
        log_ratio: difference of log pi / pi_ref between two cells (nats), any shape.
        beta: strength of the pull to the reference; the margin is z = beta * log_ratio - offset.
        offset: what the margin has to exceed.
        label_smoothing: probability that a preference is noted the wrong way round (cDPO); none for ipo.

    Returns:
        losses of the shape of ``log_ratio``.
    """
    margin = beta * log_ratio - offset
    match link:
        case Link.SIGMOID:
            return -(1 - label_smoothing) * logsigmoid(margin) - label_smoothing * logsigmoid(-margin)
        case Link.HINGE:
            return (1 - label_smoothing) * torch.relu(1 - margin) + label_smoothing * torch.relu(1 + margin)
        case Link.IPO:
            return ((margin - 0.5) / beta) ** 2


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


class _Term(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_.-]+$")
    weight: float = Field(1.0, ge=0)


class _LinkedTerm(_Term):
    link: Link = Link.SIGMOID
    offset: float = 0.0
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


def _kind(value: Any) -> Any:
    return {"kind": "pair", **value} if isinstance(value, dict) else value


Term = Annotated[
    Annotated[PairTerm | AnchorTerm | NLLTerm, Field(discriminator="kind")],
    BeforeValidator(_kind),
]


class Objective(BaseModel):
    """A named list of terms.

    ``combine`` is ``separate`` (the sum of weighted losses; MCM-DPO's paper, eq. 2) or ``joint`` (one link over the
    weighted mean of the pair terms' margins; MCM-DPO's released code). Anchors and NLL terms are added in both.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1)
    beta: float = Field(0.1, gt=0)
    combine: Literal["separate", "joint"] = "separate"
    link: Link = Link.SIGMOID  # of the joint form
    terms: tuple[Term, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Objective:
        names = [term.name for term in self.terms]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two terms are named {min(doubled)!r}; give each its own name")
        if not any(term.weight for term in self.terms):
            raise ValueError("every term has weight 0; give at least one a weight above 0")
        if self.combine == "separate" and self.link is not Link.SIGMOID:
            raise ValueError("'link' of the objective is for combine: joint; set the link of each term instead")
        if self.combine == "joint":
            pairs = [term for term in self.terms if isinstance(term, PairTerm)]
            if not pairs:
                raise ValueError("combine: joint needs at least one pair term")
            if any(term.offset or term.label_smoothing or term.link is not Link.SIGMOID for term in pairs):
                raise ValueError("combine: joint has one link for all pair terms; leave link, offset, smoothing out")
        return self

    @property
    def active(self) -> tuple[PairTerm | AnchorTerm | NLLTerm, ...]:
        """The terms with a weight above zero: the others cost nothing."""
        return tuple(term for term in self.terms if term.weight)

    @property
    def corners(self) -> tuple[Corner, ...]:
        """The corners to be scored, all-chosen first."""
        return tuple(sorted({corner for term in self.active for corner in term.corners}))

    @property
    def rejected_facets(self) -> tuple[Facet, ...]:
        """The facets of which some term needs a rejected version."""
        return tuple(facet for facet in FACETS if any(facet in corner.rejected for corner in self.corners))

    @property
    def needs_reference(self) -> bool:
        """Whether any term uses the reference model's log-probs."""
        return any(not isinstance(term, NLLTerm) for term in self.active)

    def cells(self, versions: dict[Facet, int]) -> list[Cell]:
        """The cells to be scored for a sample with so many rejected versions of each facet, in a fixed order."""
        needed = {cell for term in self.active for pair in term_cells(term, versions) for cell in pair}
        return sorted(needed)


def term_cells(term: PairTerm | AnchorTerm | NLLTerm, versions: dict[Facet, int]) -> list[tuple[Cell, ...]]:
    """The comparisons of one term for one sample: pairs of cells, or single cells for anchors and NLL.

    A facet that both corners reject is rejected by the same version in both. A term that rejects a facet of which the
    sample has no rejected version has no comparison.
    """
    rejected_anywhere = Corner.rejecting({facet for corner in term.corners for facet in corner.rejected})
    return [
        tuple(
            Cell(*(version if is_rejected else 0 for version, is_rejected in zip(choice, corner, strict=True)))
            for corner in term.corners
        )
        for choice in cells_of(rejected_anywhere, versions)
    ]


class Plan(NamedTuple):
    """Which cells of a batch meet in which term.

    ``first_P`` and ``second_P`` are cell numbers (second is -1 for anchors and NLL), ``term_P`` and ``sample_P`` say to
    whom a comparison belongs, ``share_P`` is 1 / (comparisons of that term for that sample).
    """

    first_P: Tensor
    second_P: Tensor
    term_P: Tensor
    sample_P: Tensor
    share_P: Tensor
    samples: int


def make_plan(objective: Objective, versions_S: Sequence[dict[Facet, int]]) -> Plan:
    """The plan of a batch whose cells are those of ``objective.cells`` sample after sample."""
    indices: list[tuple[int, int, int, int]] = []
    shares: list[float] = []
    start = 0
    for sample, versions in enumerate(versions_S):
        number = {cell: start + index for index, cell in enumerate(objective.cells(versions))}
        for term_index, term in enumerate(objective.active):
            comparisons = term_cells(term, versions)
            for cells in comparisons:
                second_cell = number[cells[1]] if len(cells) > 1 else -1
                indices.append((number[cells[0]], second_cell, term_index, sample))
                shares.append(1 / len(comparisons))
        start += len(number)
    first, second, term_of, sample_of = torch.tensor(indices, dtype=torch.long).reshape(-1, 4).T.contiguous()
    return Plan(first, second, term_of, sample_of, torch.tensor(shares, dtype=torch.float32), len(versions_S))


class ObjectiveOutput(NamedTuple):
    """The loss (a scalar with gradient) and the metrics of the batch (detached)."""

    loss: Tensor
    metrics: dict[str, Tensor]


def objective_loss(
    objective: Objective, policy_logps_C: Tensor, reference_logps_C: Tensor | None, lengths_C: Tensor, plan: Plan
) -> ObjectiveOutput:
    """The objective's value on a batch.

    Args:
        objective: what to compute.
        policy_logps_C: summed log-probs of each cell's response under the policy (nats), with gradient.
        reference_logps_C: the same under the reference; may be None when the objective has NLL terms only.
        lengths_C: response tokens of each cell.
        plan: from ``make_plan`` for the same samples.

    Returns:
        the mean over samples of the objective, and metrics: the field's names for the lead pair term (the first that
        rejects the response alone, else the first pair), and the same per term as ``<metric>/<term>``.

    Raises:
        ValueError: a term needs reference scores and there are none.
    """
    if reference_logps_C is None and objective.needs_reference:
        raise ValueError(f"objective {objective.name!r} needs the reference's log-probs")
    samples = max(plan.samples, 1)
    log_ratio_C = policy_logps_C - (policy_logps_C.detach() if reference_logps_C is None else reference_logps_C)
    second_ratio_P = torch.where(plan.second_P >= 0, log_ratio_C[plan.second_P.clamp(min=0)], log_ratio_C.new_zeros(()))
    log_ratio_P = log_ratio_C[plan.first_P] - second_ratio_P  # h of one comparison
    metrics: dict[str, Tensor] = {}
    loss = policy_logps_C.new_zeros(())
    joint = objective.combine == "joint"
    if joint:
        loss = loss + _joint_loss(objective, log_ratio_P, plan, samples)
    for index, term in enumerate(objective.active):
        mine = plan.term_P == index
        if not bool(mine.any()):
            continue  # no sample of this batch has what the term rejects
        share = plan.share_P[mine]
        present = share.sum()
        if isinstance(term, NLLTerm):
            cells = plan.first_P[mine]
            per_sample = -policy_logps_C[cells] / lengths_C[cells].clamp(min=1)
            if term.mean_over == "tokens":
                value = -(policy_logps_C[cells] * share).sum() / (lengths_C[cells] * share).sum().clamp(min=1)
            else:
                value = (per_sample * share).sum() / samples
            loss = loss + term.weight * value
            metrics[f"loss/{term.name}"] = value.detach()
            continue
        losses = link_loss(
            term.link,
            log_ratio_P[mine],
            beta=objective.beta,
            offset=term.offset,
            label_smoothing=term.label_smoothing,
        )
        if not (joint and isinstance(term, PairTerm)):
            loss = loss + term.weight * (losses * share).sum() / samples
        metrics[f"loss/{term.name}"] = ((losses * share).sum() / present).detach()
        metrics[f"rewards/margins/{term.name}"] = (
            (objective.beta * log_ratio_P[mine] * share).sum() / present
        ).detach()
        metrics[f"rewards/accuracies/{term.name}"] = (
            ((log_ratio_P[mine] > 0).float() * share).sum() / present
        ).detach()
    metrics |= _field_metrics(objective, policy_logps_C.detach(), log_ratio_C.detach(), plan, metrics)
    return ObjectiveOutput(loss, metrics)


def _joint_loss(objective: Objective, log_ratio_P: Tensor, plan: Plan, samples: int) -> Tensor:
    """One link over each sample's weighted mean margin; weights of terms that a sample lacks do not count."""
    weights_T = log_ratio_P.new_tensor(
        [term.weight if isinstance(term, PairTerm) else 0.0 for term in objective.active]
    )
    weight_P = weights_T[plan.term_P] * plan.share_P
    zeros_S = log_ratio_P.new_zeros(samples)
    total_S = zeros_S.index_add(0, plan.sample_P, weight_P)
    mean_S = zeros_S.index_add(0, plan.sample_P, weight_P * log_ratio_P) / total_S.clamp(min=1e-12)
    losses_S = link_loss(objective.link, mean_S, beta=objective.beta)
    return (losses_S * (total_S > 0)).sum() / samples


def lead_term(objective: Objective) -> PairTerm | None:
    """The pair term that ``rewards/chosen`` and ``rewards/rejected`` speak of, as DPO's trainers do."""
    pairs = [term for term in objective.active if isinstance(term, PairTerm)]
    plain = [term for term in pairs if term.preferred == CHOSEN and term.over.rejected == (Facet.RESPONSE,)]
    return next(iter(plain or pairs), None)


def _field_metrics(
    objective: Objective, logps_C: Tensor, log_ratio_C: Tensor, plan: Plan, per_term: dict[str, Tensor]
) -> dict[str, Tensor]:
    lead = lead_term(objective)
    if lead is None:
        return {}
    mine = plan.term_P == objective.active.index(lead)
    if not bool(mine.any()):
        return {}
    share = plan.share_P[mine] / plan.share_P[mine].sum()
    first, second = plan.first_P[mine], plan.second_P[mine]
    return {
        "rewards/chosen": (objective.beta * log_ratio_C[first] * share).sum(),
        "rewards/rejected": (objective.beta * log_ratio_C[second] * share).sum(),
        "rewards/margins": per_term[f"rewards/margins/{lead.name}"],
        "rewards/accuracies": per_term[f"rewards/accuracies/{lead.name}"],
        "logps/chosen": (logps_C[first] * share).sum(),
        "logps/rejected": (logps_C[second] * share).sum(),
    }


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
_ANCHOR = {"name": "anchor", "kind": "anchor"}
_NAMED: dict[str, dict[str, Any]] = {
    "sft": {"terms": [{"name": "nll", "kind": "nll", "mean_over": "tokens"}]},
    "dpo": {"terms": _SEVEN[:1]},
    "mdpo": {"terms": [_SEVEN[0], _pair("vpo", "image"), _ANCHOR]},
    "mfpo": {"terms": [_SEVEN[0], _pair("vpo", "image"), _ANCHOR]},
    "mcm-dpo": {"terms": _SEVEN},
    "mcm-dpo-joint": {"terms": _SEVEN, "combine": "joint"},
    "mcm-dpo-anchored": {"terms": [*_SEVEN, _ANCHOR]},
}
OBJECTIVES: dict[str, Objective] = {
    name: Objective.model_validate({"name": name, **definition}) for name, definition in _NAMED.items()
}


def resolve_objective(value: str | dict[str, Any]) -> Objective:
    """An objective by name, or by definition; ``base`` and ``drop`` shorten the definition of an ablation.

    Raises:
        TrifacetError: unknown name (with the nearest known one) or a definition that does not hold.
    """
    if isinstance(value, str):
        if value in OBJECTIVES:
            return OBJECTIVES[value]
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
        raise TrifacetError(f"objective{_explain(error)}") from None


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


def _explain(error: ValidationError) -> str:
    """Where a definition fails, why, and the cure where there is one to name."""
    first = error.errors(include_url=False)[0]
    kinds: dict[Any, type[BaseModel]] = {"pair": PairTerm, "anchor": AnchorTerm, "nll": NLLTerm}
    place = [part for part in first["loc"] if part not in kinds]  # the kind is no key of the YAML
    where = f", {'.'.join(map(str, place))}" if place else ""
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        message = "is missing; give it a value"
    elif first["type"] == "extra_forbidden":
        section = next((kinds[part] for part in first["loc"] if part in kinds), Objective)
        near = difflib.get_close_matches(str(place[-1]), section.model_fields, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys here are {', '.join(section.model_fields)}"
        message = f"unknown key; {hint}"
    return f"{where}: {message}"
