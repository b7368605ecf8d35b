"""Objectives in plain scalar math, on a policy small enough to write down.

The policy gives every (image, context) its own table of token probabilities, so log-probs, losses and gradients have
closed forms; ``plain`` and ``plain_gradient`` compute them with floats and loops, one comparison at a time.
"""

import math
from collections import defaultdict
from itertools import product

import torch

from trifacet.preferences.facets import FACETS, Cell, Facet
from trifacet.preferences.losses import make_plan, objective_loss
from trifacet.preferences.objectives import Objective

RESPONSES = [(0, 1), (2, 2, 1), (1,)]  # tokens of the chosen response, then of two rejected ones
ONE = dict.fromkeys(FACETS, 1)
NO_POST = {Facet.IMAGE: 1, Facet.CONTEXT: 0, Facet.RESPONSE: 1}
MANY = {Facet.IMAGE: 2, Facet.CONTEXT: 1, Facet.RESPONSE: 2}
BETA = 0.1


class Tables:
    """Logits of shape (samples, images, contexts, positions, vocabulary): a categorical policy for each sample."""

    def __init__(self, samples, seed, spread=1.0):
        generator = torch.Generator().manual_seed(seed)
        self.logits = spread * torch.randn(samples, 3, 3, 3, 3, generator=generator, dtype=torch.float64)

    def logps(self, cells):
        """Summed log-prob of each (sample, cell), differentiable in ``logits``."""
        logps = torch.log_softmax(self.logits, -1)
        return torch.stack([
            sum(logps[sample, cell.image, cell.context, at, token] for at, token in enumerate(RESPONSES[cell.response]))
            for sample, cell in cells
        ])  # fmt: skip


def cells_of_batch(objective, versions_S):
    return [(sample, cell) for sample, versions in enumerate(versions_S) for cell in objective.cells(versions)]


def lengths(cells):
    return torch.tensor([len(RESPONSES[cell.response]) for _, cell in cells])


def run(objective, versions_S, *, seed=0, same=False):
    """Loss, metrics and the gradient in the policy's logits, by the code under test and autograd."""
    policy, reference = Tables(len(versions_S), seed), Tables(len(versions_S), seed if same else seed + 1)
    policy.logits.requires_grad_()
    cells = cells_of_batch(objective, versions_S)
    output = objective_loss(
        objective, policy.logps(cells), reference.logps(cells), lengths(cells), make_plan(objective, versions_S)
    )
    (gradient,) = torch.autograd.grad(output.loss, policy.logits)
    return output, gradient


# --- plain math -------------------------------------------------------------------------------------------------


def sigma(z):
    return 1 / (1 + math.exp(-z))


def link_value(link, z, beta, smoothing):
    if link == "sigmoid":
        return -(1 - smoothing) * math.log(sigma(z)) - smoothing * math.log(sigma(-z))
    if link == "hinge":
        return (1 - smoothing) * max(0.0, 1 - z) + smoothing * max(0.0, 1 + z)
    return ((z - 0.5) / beta) ** 2


def link_slope(link, z, beta, smoothing):
    """The derivative in z."""
    if link == "sigmoid":
        return -(1 - smoothing) * sigma(-z) + smoothing * sigma(z)
    if link == "hinge":
        return -(1 - smoothing) * (z < 1) + smoothing * (z > -1)
    return 2 * (z - 0.5) / beta**2


def comparisons(term, versions):
    """Tuples of cells, one version of each facet that any corner of the term rejects; or all versions of one."""
    if term.kind == "list" and term.facet:
        versions_of = [Cell(**{term.facet.value: version}) for version in range(versions[term.facet] + 1)]
        return [versions_of] if len(versions_of) > 1 else []
    corners = (
        list(term.order)
        if term.kind == "list"
        else [term.preferred, term.over]
        if term.kind == "pair"
        else [term.corner]
    )
    choices = [range(1, versions[facet] + 1) if any(c[k] for c in corners) else [0] for k, facet in enumerate(FACETS)]
    return [[Cell(*(v * c[k] for k, v in enumerate(choice))) for c in corners] for choice in product(*choices)]


def plain(objective, versions_S, seed=0, same=False):  # noqa: PLR0912
    """The loss, and its derivative in the log-prob of each (sample, cell)."""
    cells = cells_of_batch(objective, versions_S)
    samples = len(versions_S)
    policy, reference = Tables(samples, seed), Tables(samples, seed if same else seed + 1)
    logp = dict(zip(cells, policy.logps(cells).tolist(), strict=True))
    h = {cell: logp[cell] - ref for cell, ref in zip(cells, reference.logps(cells).tolist(), strict=True)}
    loss, slope = 0.0, defaultdict(float)
    beta = objective.beta

    def margin(sample, meeting):
        return h[sample, meeting[0]] - (h[sample, meeting[1]] if len(meeting) > 1 else 0.0)

    def push(sample, meeting, amount):
        slope[sample, meeting[0]] += amount
        if len(meeting) > 1:
            slope[sample, meeting[1]] -= amount

    terms = [term for term in objective.terms if term.weight]  # the others are not scored
    for term in terms:
        found = [(s, comparisons(term, versions)) for s, versions in enumerate(versions_S)]
        if term.kind == "nll" and term.mean_over == "tokens":
            weighted = [(s, meeting[0], 1 / len(all_)) for s, all_ in found for meeting in all_]
            tokens = sum(share * len(RESPONSES[cell.response]) for _, cell, share in weighted)
            for s, cell, share in weighted:
                loss -= term.weight * logp[s, cell] * share / tokens
                slope[s, cell] -= term.weight * share / tokens
            continue
        if objective.combine == "joint" and term.kind == "pair":
            continue
        for s, all_ in found:
            for meeting in all_:
                share = term.weight / len(all_) / samples
                if term.kind == "list":
                    for place in range(len(meeting) - 1):  # the best of those that are left, again and again
                        left = [math.exp(beta * h[s, cell]) for cell in meeting[place:]]
                        loss -= share * math.log(left[0] / sum(left))
                        slope[s, meeting[place]] -= share * beta
                        for cell, value in zip(meeting[place:], left, strict=True):
                            slope[s, cell] += share * beta * value / sum(left)
                elif term.kind == "nll":
                    tokens = len(RESPONSES[meeting[0].response])
                    loss -= share * logp[s, meeting[0]] / tokens
                    slope[s, meeting[0]] -= share / tokens
                else:
                    z = beta * margin(s, meeting) - term.offset
                    loss += share * link_value(term.link, z, beta, term.label_smoothing)
                    push(s, meeting, share * beta * link_slope(term.link, z, beta, term.label_smoothing))
    if objective.combine == "joint":
        pairs = [term for term in terms if term.kind == "pair"]
        for s, versions in enumerate(versions_S):
            here = [(term.weight, comparisons(term, versions)) for term in pairs]
            total = sum(weight for weight, all_ in here if all_)
            if not total:
                continue
            z = beta * sum(w * sum(margin(s, m) for m in all_) / len(all_) for w, all_ in here if all_) / total
            loss += link_value(objective.link, z, beta, 0.0) / samples
            for weight, all_ in here:
                for meeting in all_:
                    share = weight / total / len(all_) / samples
                    push(s, meeting, share * beta * link_slope(objective.link, z, beta, 0.0))
    return loss, slope


def plain_gradient(slope, versions_S, seed=0):
    """Through the softmax: d logp(token) / d logit(v) = [v = token] - p(v)."""
    policy = Tables(len(versions_S), seed)
    gradient = torch.zeros_like(policy.logits)
    for (sample, cell), amount in slope.items():
        for at, token in enumerate(RESPONSES[cell.response]):
            logits = policy.logits[sample, cell.image, cell.context, at].tolist()
            norm = sum(math.exp(logit) for logit in logits)
            for v, logit in enumerate(logits):
                gradient[sample, cell.image, cell.context, at, v] += amount * ((v == token) - math.exp(logit) / norm)
    return gradient


def own(*terms, **settings):
    return Objective.model_validate({"name": "own", "terms": list(terms), **settings})


LINKED = {
    "ipo": own({"name": "a", "over": "response", "link": "ipo"}),
    "hinge": own({"name": "a", "over": "response", "link": "hinge", "weight": 0.7}, beta=0.9),
    "smoothed": own({"name": "a", "over": "response", "label_smoothing": 0.2}, beta=0.5),
    "smoothed hinge": own({"name": "a", "over": "image", "link": "hinge", "label_smoothing": 0.1}),
    "offset": own({"name": "a", "over": "context+response", "offset": 0.3}, beta=0.5),
    "ipo offset": own({"name": "a", "over": "image", "link": "ipo", "offset": -0.2}, beta=0.4),
    "anchor": own({"name": "a", "kind": "anchor", "offset": 0.4, "weight": 2.0}),
    "hinge anchor": own({"name": "a", "kind": "anchor", "corner": "image", "link": "hinge"}),
    "smoothed anchor": own({"name": "a", "kind": "anchor", "label_smoothing": 0.3}, beta=2.0),
    "nll of samples": own({"name": "a", "kind": "nll", "corner": "response"}),
    "nll of tokens": own({"name": "a", "kind": "nll", "corner": "response", "mean_over": "tokens", "weight": 0.5}),
    "list of responses": own({"name": "a", "kind": "list", "facet": "response", "weight": 0.7}, beta=0.5),
    "list of images": own({"name": "a", "kind": "list", "facet": "image"}, {"name": "b", "over": "response"}),
    "list of contexts": own({"name": "a", "kind": "list", "facet": "context"}),
    "list of corners": own({"name": "a", "kind": "list", "order": ["chosen", "image", "image+response", "context"]}),
    "two lists": own(
        {"name": "a", "kind": "list", "facet": "response"}, {"name": "b", "kind": "list", "facet": "image"},
        {"name": "c", "kind": "anchor"}, beta=0.4,
    ),
    "joint and a list": own(
        {"name": "a", "over": "response"}, {"name": "b", "kind": "list", "facet": "image"}, combine="joint",
    ),
    "two rejected corners": own({"name": "a", "preferred": "image+response", "over": "context"}),
    "shared rejected facet": own({"name": "a", "preferred": "response", "over": "image+response"}),
    "joint and more": own(
        {"name": "a", "over": "response"}, {"name": "b", "over": "image", "weight": 0.3},
        {"name": "c", "kind": "anchor", "link": "hinge"}, {"name": "d", "kind": "nll", "weight": 0.2}, combine="joint",
    ),
    "joint ipo": own({"name": "a", "over": "response"}, {"name": "b", "over": "context"}, combine="joint", link="ipo"),
    "joint hinge": own({"name": "a", "over": "image"}, {"name": "b", "over": "context"}, combine="joint", link="hinge"),
}  # fmt: skip
