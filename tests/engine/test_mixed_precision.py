"""bfloat16 arithmetic over float32 weights: policy and reference compute alike, and small steps are kept."""

import torch
from test_exactness import examples_of

from trifacet.engine.reference import score_batches
from trifacet.engine.scoring import TrieScorer
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.training.examples import Collator


def test_the_reference_is_scored_as_the_policy_is(tiny, pairs, world):
    examples = examples_of(pairs, tiny, world, OBJECTIVES["mcm-dpo"])
    batch = Collator(examples).seen([examples[0], examples[1]])
    scorer = TrieScorer(tiny.model, tiny.family, mixed_precision=True)
    policy = scorer(batch)
    (reference,) = score_batches(scorer, [batch], torch.device("cpu"))
    assert torch.equal(policy.detach(), reference)  # margins are zero at the start, not rounding noise
    exact = TrieScorer(tiny.model, tiny.family)(batch).detach()
    assert policy.dtype == torch.float32
    assert 0 < (policy.detach() - exact).abs().max() < 0.02 * exact.abs().max()


def test_small_steps_move_float32_weights(tiny, pairs, world):
    examples = examples_of(pairs, tiny, world, OBJECTIVES["dpo"])
    batch = Collator(examples).seen([examples[0]])
    scorer = TrieScorer(tiny.model, tiny.family, mixed_precision=True)
    weight = tiny.model.lm_head.weight
    before = weight.detach().clone()
    scorer(batch).sum().neg().backward()
    assert weight.grad.dtype == torch.float32
    with torch.no_grad():
        weight -= 5e-7 * weight.grad.sign()
    trained = weight.grad != 0
    moved = (weight != before)[trained].float().mean()
    lost = (before.bfloat16() - (5e-7 * weight.grad.sign()).bfloat16() == before.bfloat16())[trained].float().mean()
    assert moved > 0.9
    assert lost > 0.9
