"""The pure loss functions: from log-probs of cells and a plan to the value of an objective.

Invariant: functions of tensors alone; which cells meet in which term is the plan's business.
Shape letters: C cells of a batch, P comparisons of a batch (a term may have several per sample), S samples, T terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, logsumexp
from torch.nn.functional import logsigmoid

from trifacet.base.tensors import OfTensors
from trifacet.preferences.facets import CHOSEN, Corner, Facet
from trifacet.preferences.objectives import AnchorTerm, Link, ListTerm, NLLTerm, Objective, PairTerm, term_cells

LEAST_MARGIN = 0.01  # of images: by less the text's is not divided, since chance would decide the sign


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


def list_loss(reward_C: Tensor, first_P: Tensor, below_PK: Tensor) -> Tensor:
    """The Plackett-Luce loss of each choice: -log softmax of its cell's reward among its own and those below it.

    The choices of a list, best first, add up to the negative log-likelihood of its order; with one cell below it a
    choice is -log sigmoid(r - r_below), the pair term's loss.

    Args:
        reward_C: beta * log pi / pi_ref of each cell.
        first_P: the cell that is chosen.
        below_PK: those that it is chosen over; -1 for none.

    Returns:
        losses of shape (P,).
    """
    gap_PK = (reward_C[below_PK.clamp(min=0)] - reward_C[first_P, None]).masked_fill(below_PK < 0, -torch.inf)
    return logsumexp(torch.cat([gap_PK.new_zeros(len(gap_PK), 1), gap_PK], dim=1), dim=1)


@dataclass(frozen=True, eq=False)
class Choices(OfTensors):
    """What comparisons that belong to lists have beyond pairs; a comparison of another term has 0 and -1 here.

    A list of n cells is n - 1 choices, each a comparison of a cell with the next one: the best cell over all others,
    the second over those below it, and so on.
    """

    below_PK: Tensor  # all cells that the first one is chosen over, the next one first; -1 for none
    of_list_P: Tensor  # how many choices the list has
    is_best_P: Tensor  # whether it is the list's first


@dataclass(frozen=True, eq=False)
class Plan(OfTensors):
    """Which cells of a batch meet in which term.

    The plan of one sample under MCM-DPO, with one rejected version of each facet. Its cells are the corners (image,
    context, response), w for chosen and l for rejected, in the order in which their scores come; each of the seven
    terms compares the all-chosen cell 0 with another::

        cell   0    1    2    3    4    5    6    7        term   first  second  share
               www  wwl  wlw  wll  lww  lwl  llw  lll      rpo      0      1       1
                |    |    |    |    |    |    |    |       vpo      0      4       1
                +rpo-+    |    |    |    |    |    |       cpo      0      2       1
                +---cpo---+    |    |    |    |    |       vrpo     0      5       1
                +----crpo------+    |    |    |    |       crpo     0      3       1
                +----------vpo------+    |    |    |       vcpo     0      6       1
                +----------vrpo----------+    |    |       mtpo     0      7       1
                +----------vcpo---------------+    |
                +----------mtpo--------------------+

    With two rejected images there are twelve cells; vpo then has two comparisons of share 1/2, and so has every term
    that rejects the image. A sample without a post has no cells of a rejected context, and none of those terms.
    """

    first_P: Tensor  # number of the preferred cell in the batch
    second_P: Tensor  # number of the other, in a list the next; -1 for anchors and NLL
    term_P: Tensor  # place of the term in ``objective.active``
    sample_P: Tensor
    share_P: Tensor  # 1 / (comparisons of that term for that sample)
    samples: int
    choices: Choices | None = None  # where the objective has lists

    def of_term(self, number: int) -> Tensor:
        """Which comparisons are the term's (P,)."""
        return self.term_P == number


def make_plan(objective: Objective, versions_S: Sequence[dict[Facet, int]]) -> Plan:
    """The plan of a batch whose cells are those of ``objective.cells`` sample after sample."""
    indices: list[tuple[int, int, int, int]] = []
    shares: list[float] = []
    choices: list[_Choice] = []
    start = 0
    for sample, versions in enumerate(versions_S):
        number = {cell: start + index for index, cell in enumerate(objective.cells(versions))}
        for term_index, term in enumerate(objective.active):
            met = [[number[cell] for cell in cells] for cells in term_cells(term, versions)]
            if isinstance(term, ListTerm):
                of_term = [
                    _Choice(cells[at:], len(cells) - 1, at == 0) for cells in met for at in range(len(cells) - 1)
                ]
                met = [choice.cells for choice in of_term]
                choices += of_term
            elif objective.has_lists:
                choices += [_Choice([], 0, False)] * len(met)
            indices += [(cells[0], cells[1] if len(cells) > 1 else -1, term_index, sample) for cells in met]
            shares += [1 / len(met) for _ in met]
        start += len(number)
    first, second, term_of, sample_of = torch.tensor(indices, dtype=torch.long).reshape(-1, 4).T.contiguous()
    share_P, lists = torch.tensor(shares, dtype=torch.float32), _choices(choices) if objective.has_lists else None
    return Plan(first, second, term_of, sample_of, share_P, len(versions_S), lists)


class _Choice(NamedTuple):
    cells: list[int]  # the one that is chosen, then those below it
    of_list: int
    is_best: bool


def _choices(choices: Sequence[_Choice]) -> Choices:
    longest = max((len(choice.cells) for choice in choices), default=1)
    padded = [[*choice.cells, *[-1] * (longest - len(choice.cells))] for choice in choices]
    return Choices(
        torch.tensor(padded, dtype=torch.long).reshape(len(choices), -1)[:, 1:],
        torch.tensor([choice.of_list for choice in choices], dtype=torch.float32),
        torch.tensor([choice.is_best for choice in choices], dtype=torch.bool),
    )


class ObjectiveOutput(NamedTuple):
    """The loss (a scalar with gradient) and the metrics of the batch (detached)."""

    loss: Tensor
    metrics: dict[str, Tensor]


class TermScores(NamedTuple):
    """What terms are made of: the policy's log-probs, log pi / pi_ref, lengths, and h of each comparison (nats)."""

    logps_C: Tensor
    log_ratio_C: Tensor
    lengths_C: Tensor
    log_ratio_P: Tensor


def objective_loss(
    objective: Objective, policy_logps_C: Tensor, reference_logps_C: Tensor | None, lengths_C: Tensor, plan: Plan
) -> ObjectiveOutput:
    """The objective's value on a batch, and what is told of it.

    Args:
        objective: what to compute.
        policy_logps_C: summed log-probs of each cell's response under the policy (nats), with gradient.
        reference_logps_C: the same under the reference; may be None when the objective has NLL terms only.
        lengths_C: response tokens of each cell, or the sum of their weights.
        plan: from ``make_plan`` for the same samples.

    Raises:
        ValueError: a term needs reference scores and there are none.
    """
    if reference_logps_C is None and objective.needs_reference:
        raise ValueError(f"objective {objective.name!r} needs the reference's log-probs")
    log_ratio_C = policy_logps_C - (policy_logps_C.detach() if reference_logps_C is None else reference_logps_C)
    second_ratio_P = torch.where(plan.second_P >= 0, log_ratio_C[plan.second_P.clamp(min=0)], log_ratio_C.new_zeros(()))
    scores = TermScores(policy_logps_C, log_ratio_C, lengths_C, log_ratio_C[plan.first_P] - second_ratio_P)
    loss = loss_of_terms(objective, scores, plan)
    return ObjectiveOutput(loss, metrics_of_terms(objective, TermScores(*(part.detach() for part in scores)), plan))


def loss_of_terms(objective: Objective, scores: TermScores, plan: Plan) -> Tensor:
    """The objective: the mean over samples of its weighted terms; in the joint form its pairs meet in one link."""
    samples = max(plan.samples, 1)
    loss = scores.logps_C.new_zeros(())
    joint = objective.combine == "joint"
    if joint:
        loss = loss + _joint_loss(objective, scores.log_ratio_P, plan, samples)
    for number, term in enumerate(objective.active):
        mine = plan.of_term(number)
        if not bool(mine.any()) or (joint and isinstance(term, PairTerm)):
            continue  # no sample of this batch has what the term rejects, or it is in the joint link
        if isinstance(term, NLLTerm):
            value = _nll(term, scores, plan, mine)
        else:
            value = (_losses(objective, term, scores, plan, mine) * plan.share_P[mine]).sum() / samples
        loss = loss + term.weight * value
    return loss


def metrics_of_terms(objective: Objective, scores: TermScores, plan: Plan) -> dict[str, Tensor]:
    """The field's names for the lead term (the first that rejects the response alone, else the first of two cells or
    more), and the same per term as ``<metric>/<term>``: means over the samples that have it. ``log_ratio/..`` is
    log pi / pi_ref in nats per token, a mean over given responses and so no KL divergence.

    A list's accuracy is the share of neighbours in the right order, its margin the best cell's reward less the mean of
    the others', as that of a pair term with several versions is.
    """
    metrics: dict[str, Tensor] = {}
    for number, term in enumerate(objective.active):
        mine = plan.of_term(number)
        if not bool(mine.any()):
            continue
        if isinstance(term, NLLTerm):
            metrics[f"loss/{term.name}"] = _nll(term, scores, plan, mine)
            continue
        share, log_ratio_P = plan.share_P[mine], scores.log_ratio_P[mine]
        present = share.sum()
        told = {
            "loss": _losses(objective, term, scores, plan, mine),
            "rewards/margins": objective.beta * log_ratio_P,
            "rewards/accuracies": (log_ratio_P > 0).float(),
        }
        if not isinstance(term, AnchorTerm):
            told["logps/rejected"] = scores.logps_C[plan.second_P[mine]]
        if isinstance(term, ListTerm):
            best, others = (scores.log_ratio_C[cells[mine]] for cells in (plan.first_P, plan.second_P))
            told["rewards/margins"] = objective.beta * (best * _of_best(plan, mine) - others)
        metrics |= {f"{name}/{term.name}": (values * share).sum() / present for name, values in told.items()}
    return metrics | _field_metrics(objective, scores, plan, metrics)


def _losses(
    objective: Objective, term: PairTerm | ListTerm | AnchorTerm, scores: TermScores, plan: Plan, mine: Tensor
) -> Tensor:
    """A term's loss of each of its comparisons, such that their mean over a list's choices is the list's."""
    if isinstance(term, ListTerm):
        assert plan.choices is not None
        losses = list_loss(objective.beta * scores.log_ratio_C, plan.first_P[mine], plan.choices.below_PK[mine])
        return losses * plan.choices.of_list_P[mine]
    return link_loss(
        term.link,
        scores.log_ratio_P[mine],
        beta=objective.beta,
        offset=term.offset,
        label_smoothing=term.label_smoothing,
    )


def _of_best(plan: Plan, mine: Tensor) -> Tensor | float:
    """What weighs the first cells of comparisons such that of a list the best cell counts alone."""
    if plan.choices is None:
        return 1.0
    of_list = plan.choices.of_list_P[mine]
    return torch.where(of_list > 0, of_list * plan.choices.is_best_P[mine], 1.0)


def _nll(term: NLLTerm, scores: TermScores, plan: Plan, mine: Tensor) -> Tensor:
    """Negative log-likelihood per token: of the batch's tokens, or of each sample's and then over samples."""
    cells, share = plan.first_P[mine], plan.share_P[mine]
    logps, lengths = scores.logps_C[cells], scores.lengths_C[cells]
    if term.mean_over == "tokens":
        return -(logps * share).sum() / (lengths * share).sum().clamp(min=1)
    return (-logps / lengths.clamp(min=1) * share).sum() / max(plan.samples, 1)


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


def lead_term(objective: Objective) -> PairTerm | ListTerm | None:
    """The term that ``rewards/chosen`` and ``rewards/rejected`` speak of, as DPO's trainers do."""
    terms = [term for term in objective.active if isinstance(term, PairTerm | ListTerm)]
    pairs = [term for term in terms if isinstance(term, PairTerm)]
    plain = facet_term(objective, Facet.RESPONSE)
    return plain if plain is not None else next(iter(pairs or terms), None)


def facet_term(objective: Objective, facet: Facet) -> PairTerm | ListTerm | None:
    """The term that rejects ``facet`` alone against the all-chosen corner: RPO, VPO or CPO, whatever its name.

    A pair term where there is one, else a list of nothing but that facet's versions.
    """
    corners = (CHOSEN, Corner.rejecting([facet]))
    terms = [term for term in objective.active if isinstance(term, PairTerm | ListTerm) and term.corners == corners]
    return min(terms, key=lambda term: isinstance(term, ListTerm), default=None)


def facet_balance(objective: Objective, metrics: Mapping[str, float]) -> dict[str, float]:
    """Text margin minus image margin, and divided by it, of means over batches, where the objective has both.

    Above 0 (or 1) the text is learned before the picture: MFPO (arXiv 2410.15334) wants the two in balance; difference
    and ratio as measures of it are ours. There is no ratio while the image margin is below ``LEAST_MARGIN``.
    """
    names = [term.name for facet in (Facet.RESPONSE, Facet.IMAGE) if (term := facet_term(objective, facet))]
    margins = [metrics[key] for name in names if (key := f"rewards/margins/{name}") in metrics]
    if len(margins) != 2:
        return {}
    text, image = margins
    ratio = {"rewards/text_over_image": text / image} if abs(image) >= LEAST_MARGIN else {}
    return {"rewards/text_minus_image": text - image, **ratio}


def _field_metrics(
    objective: Objective, scores: TermScores, plan: Plan, per_term: dict[str, Tensor]
) -> dict[str, Tensor]:
    lead = lead_term(objective)
    if lead is None:
        return {}
    mine = plan.of_term(objective.active.index(lead))
    if not bool(mine.any()):
        return {}
    share = plan.share_P[mine] / plan.share_P[mine].sum()
    share_first = share * _of_best(plan, mine)
    first, second = plan.first_P[mine], plan.second_P[mine]
    logps_C, log_ratio_C = scores.logps_C, scores.log_ratio_C
    per_token_C = log_ratio_C / scores.lengths_C.clamp(min=1)
    return {
        "rewards/chosen": (objective.beta * log_ratio_C[first] * share_first).sum(),
        "rewards/rejected": (objective.beta * log_ratio_C[second] * share).sum(),
        "rewards/margins": per_term[f"rewards/margins/{lead.name}"],
        "rewards/accuracies": per_term[f"rewards/accuracies/{lead.name}"],
        "logps/chosen": (logps_C[first] * share_first).sum(),
        "logps/rejected": (logps_C[second] * share).sum(),
        "log_ratio/chosen": (per_token_C[first] * share_first).sum(),
        "log_ratio/rejected": (per_token_C[second] * share).sum(),
    }
