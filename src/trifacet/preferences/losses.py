"""The pure loss functions: from log-probs of cells and a plan to the value of an objective.

Invariant: functions of tensors alone; which cells meet in which term is the plan's business.
Shape letters: C cells of a batch, P comparisons of a batch (a term may have several per sample), S samples, T terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from trifacet.preferences.facets import CHOSEN, Facet
from trifacet.preferences.objectives import Link, NLLTerm, Objective, PairTerm, term_cells


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
        rejects the response alone, else the first pair), and the same per term as ``<metric>/<term>``. ``log_ratio/..``
        is log pi / pi_ref in nats per token, a mean over given responses and so no KL divergence.

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
        if isinstance(term, PairTerm):
            metrics[f"logps/rejected/{term.name}"] = (
                (policy_logps_C[plan.second_P[mine]] * share).sum() / present
            ).detach()
    metrics |= _field_metrics(objective, policy_logps_C.detach(), log_ratio_C.detach(), lengths_C, plan, metrics)
    metrics |= _facet_gap(objective, metrics)
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


def facet_term(objective: Objective, facet: Facet) -> PairTerm | None:
    """The pair term that rejects ``facet`` alone against the all-chosen corner: RPO, VPO or CPO, whatever its name."""
    pairs = (term for term in objective.active if isinstance(term, PairTerm) and term.preferred == CHOSEN)
    return next((term for term in pairs if term.over.rejected == (facet,)), None)


def _facet_gap(objective: Objective, metrics: dict[str, Tensor]) -> dict[str, Tensor]:
    """Text margin minus image margin, where the objective has both: above 0, the text is learned before the picture.

    MFPO (arXiv 2410.15334) wants the two in balance; the difference as a measure of it is ours.
    """
    names = [term.name for facet in (Facet.RESPONSE, Facet.IMAGE) if (term := facet_term(objective, facet))]
    margins = [metrics[key] for name in names if (key := f"rewards/margins/{name}") in metrics]
    return {"rewards/text_minus_image": margins[0] - margins[1]} if len(margins) == 2 else {}


def _field_metrics(
    objective: Objective,
    logps_C: Tensor,
    log_ratio_C: Tensor,
    lengths_C: Tensor,
    plan: Plan,
    per_term: dict[str, Tensor],
) -> dict[str, Tensor]:
    lead = lead_term(objective)
    if lead is None:
        return {}
    mine = plan.term_P == objective.active.index(lead)
    if not bool(mine.any()):
        return {}
    share = plan.share_P[mine] / plan.share_P[mine].sum()
    first, second = plan.first_P[mine], plan.second_P[mine]
    per_token_C = log_ratio_C / lengths_C.clamp(min=1)
    return {
        "rewards/chosen": (objective.beta * log_ratio_C[first] * share).sum(),
        "rewards/rejected": (objective.beta * log_ratio_C[second] * share).sum(),
        "rewards/margins": per_term[f"rewards/margins/{lead.name}"],
        "rewards/accuracies": per_term[f"rewards/accuracies/{lead.name}"],
        "logps/chosen": (logps_C[first] * share).sum(),
        "logps/rejected": (logps_C[second] * share).sum(),
        "log_ratio/chosen": (per_token_C[first] * share).sum(),
        "log_ratio/rejected": (per_token_C[second] * share).sum(),
    }
