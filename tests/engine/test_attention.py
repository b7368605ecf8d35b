"""Attention in blocks equals attention under the dense mask, whatever the trie looks like."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from searching import searched
from test_exactness import examples_of
from torch.nn.attention.flex_attention import create_block_mask, create_mask
from torch.nn.functional import scaled_dot_product_attention

from trifacet.engine import scoring
from trifacet.engine.attention import SegmentAttention, flex_block_mask, plan_blocks, visible
from trifacet.engine.scoring import TrieScorer
from trifacet.engine.trie import Path, build_trie
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.training.examples import Collator


@st.composite
def tries(draw, longest=40):
    """Rows as paths make them: sequences over two tokens, so that they share beginnings of any length."""
    texts = draw(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=longest), min_size=1, max_size=8))
    paths = [Path(np.array(text), np.full(len(text), -1), np.arange(len(text)), 1) for text in texts]
    return build_trie(paths).ends_N


def dense_attention(query, key, value, ends_BN, scale):
    return scaled_dot_product_attention(query, key, value, attn_mask=visible(ends_BN)[:, None], scale=scale)


def inputs(rows, width, heads=2, size=8):
    generator = torch.Generator().manual_seed(width)
    return [torch.randn(rows, heads, width, size, generator=generator, requires_grad=True) for _ in range(3)]


@searched(60)
@given(tries(), st.sampled_from([1, 2, 5, 16, 1000]))
def test_blocks_give_what_the_dense_mask_gives(ends_N, masked_block):
    from trifacet.engine import attention

    ends_BN = torch.from_numpy(ends_N)[None]
    ours, plain = inputs(1, len(ends_N)), inputs(1, len(ends_N))
    before = attention.plan_blocks
    attention.plan_blocks = lambda ends: plan_blocks(ends, masked_block)  # small rows, as if blocks were smaller still
    try:
        out = SegmentAttention.apply(*ours, ends_BN, 0.3)
        expected = dense_attention(*plain, ends_BN, 0.3)
        weight = torch.linspace(-1, 1, out.numel()).view_as(out)
        (out * weight).sum().backward()
        (expected * weight).sum().backward()
    finally:
        attention.plan_blocks = before
    assert (out - expected).abs().max() < 1e-5
    for one, other in zip(ours, plain, strict=True):
        assert (one.grad - other.grad).abs().max() < 1e-5


@searched(100)
@given(tries(), st.sampled_from([1, 4, 16]))
def test_every_pair_is_in_one_block_and_no_token_twice_beside_others(ends_N, masked_block):
    seen_NN = np.zeros((len(ends_N), len(ends_N)), dtype=int)
    plan = plan_blocks(ends_N.tobytes(), masked_block)
    for block in (*plan.own, *plan.across):
        part = np.ones((block.q1 - block.q0, block.k1 - block.k0), dtype=int)
        if block.causal:
            part = np.tril(part)
        elif block.mask is not None:
            part = torch.isfinite(block.mask).int().numpy()
        seen_NN[block.q0 : block.q1, block.k0 : block.k1] += part
    assert (seen_NN == visible(torch.from_numpy(ends_N)[None])[0].int().numpy()).all()
    assert sorted(token for block in plan.own for token in range(block.q0, block.q1)) == list(range(len(ends_N)))


def test_a_long_row_of_one_path_is_causal_pieces_over_those_before():
    own, across = plan_blocks(np.full(1000, 1000).tobytes(), 300)
    assert [one[:4] for one in own] == [(at, at + 250, at, at + 250) for at in (0, 250, 500, 750)]
    assert [one[:4] for one in across] == [(at, at + 250, 0, at) for at in (250, 500, 750)]
    assert all(one.causal for one in own) and not any(one.causal for one in across)


@searched(20)
@given(tries(longest=200), st.sampled_from([4, 16, 128]))
def test_the_flexible_mask_is_the_same_mask(ends_N, block):
    """As a function of two tokens, and in its lists of blocks that are seen in part and whole."""
    from trifacet.engine import attention

    longer_N = np.concatenate([ends_N, [len(ends_N) + 3] * 3])  # another row, less padding
    ends_BN = torch.from_numpy(np.stack([longer_N, np.full(len(longer_N), len(longer_N))]))
    width = len(longer_N)
    before, attention.FLEX_BLOCK = attention.FLEX_BLOCK, block
    try:
        ours = flex_block_mask(ends_BN)
    finally:
        attention.FLEX_BLOCK = before
    mask = create_mask(ours.mask_mod, 2, 1, width, width, device="cpu")
    assert torch.equal(mask[:, 0].bool(), visible(ends_BN))
    torchs = create_block_mask(ours.mask_mod, 2, None, width, width, device="cpu", BLOCK_SIZE=block)
    assert ours.shape == torchs.shape
    for name in ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices",
                 "q_num_blocks", "q_indices", "full_q_num_blocks", "full_q_indices"):  # fmt: skip
        assert torch.equal(getattr(ours, name), getattr(torchs, name)), name


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flexible_attention_gives_the_scores_of_the_dense_mask(tiny, pairs, world):
    """Forward alone: on a CPU torch has no backward of it."""
    examples = examples_of(pairs, tiny, world, OBJECTIVES["mcm-dpo"])
    batch = Collator(examples).seen([examples[0], examples[1]])
    with torch.no_grad():
        scores = {
            (attention, mixed): TrieScorer(tiny.model, tiny.family, mixed_precision=mixed, attention=attention)(batch)
            for mixed in (False, True)
            for attention in ("dense", "flex")
        }
    assert (scores["flex", False] - scores["dense", False]).abs().max() < 1e-4
    apart = (scores["flex", True] - scores["dense", False]).abs().max()
    assert 0 < apart < 0.02 * scores["dense", False].abs().max()


def test_other_masks_go_the_usual_way_under_flexible_attention(tiny):
    """Generation and plain forwards of a model that is trained so: a mask that is no block mask is not added up."""
    ids_BL = torch.tensor([[5, 6, 7, 8], [5, 6, 9, 1]])
    mask_BL = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    logits = []
    for attention in ("dense", "flex"):
        TrieScorer(tiny.model, tiny.family, attention=attention)
        with torch.no_grad():
            logits.append(tiny.model(input_ids=ids_BL, attention_mask=mask_BL).logits[mask_BL.bool()])
    assert (logits[0] - logits[1]).abs().max() < 1e-5


def test_padding_changes_nothing_and_gives_no_nan(tiny, pairs, world):
    short, long = pairs[0], pairs[1].model_copy(update={"context": pairs[1].context * 4})
    examples = examples_of([short, long], tiny, world, OBJECTIVES["mcm-dpo"])
    scorer = TrieScorer(tiny.model, tiny.family)
    both = Collator(examples, rows="sample").seen([examples[0], examples[1]])
    assert both.input_ids.shape[0] == 2
    with torch.no_grad():
        padded_C = scorer(both)
        alone_C = torch.cat([scorer(Collator(examples).seen([examples[index]])) for index in (0, 1)])
    assert torch.isfinite(padded_C).all()
    assert (padded_C - alone_C).abs().max() < 1e-4


def test_the_head_in_chunks_gives_the_same(tiny, pairs, world, monkeypatch):
    examples = examples_of(pairs, tiny, world, OBJECTIVES["mcm-dpo"])
    batch = Collator(examples).seen([examples[0], examples[1]])
    scorer = TrieScorer(tiny.model, tiny.family)
    results = []
    for limit in (scoring.LOGITS_AT_ONCE, 7 * tiny.model.config.text_config.vocab_size):
        monkeypatch.setattr(scoring, "LOGITS_AT_ONCE", limit)
        tiny.model.zero_grad()
        logps_C = scorer(batch)
        logps_C.square().sum().backward()
        results.append((logps_C.detach(), [weight.grad.clone() for weight in tiny.model.lm_head.parameters()]))
    (whole_C, whole_gradients), (chunked_C, chunked_gradients) = results
    assert (whole_C - chunked_C).abs().max() < 1e-4
    for whole, chunked in zip(whole_gradients, chunked_gradients, strict=True):
        assert (whole - chunked).norm() <= 1e-5 * whole.norm()


def test_samples_share_what_they_have_in_common(tiny, pairs, world):
    """The system text, and an image that several samples show, stand in the batch once."""
    same = [pair.model_copy(update={"image": pairs[0].image}) for pair in pairs[:3]]
    examples = examples_of(same, tiny, world, OBJECTIVES["dpo"])
    batch = Collator(examples).seen([examples[index] for index in range(3)])
    image_tokens = len(tiny.family.image_tokens(examples.image_versions(0)[0]))
    assert int((batch.images_BN >= 0).sum()) == image_tokens
    assert len(batch.images["pixel_values"]) == 1


@pytest.mark.parametrize("attention", ["segments", "dense"])
def test_checkpointed_layers_keep_the_trie(attention, tiny, pairs, world):
    examples = examples_of(pairs, tiny, world, OBJECTIVES["mcm-dpo"])
    batch = Collator(examples).seen([examples[0], examples[1]])
    scorer = TrieScorer(tiny.model, tiny.family, attention=attention).train()
    results = []
    for again in (False, True):
        if again:
            tiny.model.activation_checkpointing_enable({"use_reentrant": False})
        tiny.model.zero_grad()
        logps_C = scorer(batch)
        logps_C.square().sum().backward()
        results.append((logps_C.detach(), tiny.model.get_input_embeddings().weight.grad.clone()))
    assert torch.equal(results[0][0], results[1][0])
    assert (results[0][1] - results[1][1]).norm() <= 1e-6 * results[0][1].norm()


def test_rows_in_parts_give_the_same(tiny, pairs, world, monkeypatch):
    examples = examples_of(pairs, tiny, world, OBJECTIVES["mcm-dpo"])
    batch = Collator(examples, rows="path").seen([examples[0], examples[1]])
    scorer = TrieScorer(tiny.model, tiny.family)
    results = []
    for limit in (10**6, 3 * batch.input_ids.shape[1]):
        monkeypatch.setattr(scoring, "TOKENS_AT_ONCE", limit)
        tiny.model.zero_grad()
        logps_C = scorer(batch)
        logps_C.square().sum().backward()
        weights = {
            name: weight.grad.clone() for name, weight in tiny.model.named_parameters() if weight.grad is not None
        }
        results.append((logps_C.detach(), weights))
    (whole_C, whole), (parts_C, parts) = results
    assert (whole_C - parts_C).abs().max() < 1e-4
    assert whole.keys() == parts.keys()
    largest = max(gradient.norm() for gradient in whole.values())
    for name, gradient in whole.items():
        assert (parts[name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-6 * largest, name
