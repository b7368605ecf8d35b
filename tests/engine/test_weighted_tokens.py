"""Token weights in the trie: the sums are those of the plain model, token by token; lists are scored in one forward."""

import json
from dataclasses import fields
from typing import get_args

import numpy as np
import pytest
import torch
from test_exactness import examples_of
from torch import Tensor

from trifacet.base.errors import DataError
from trifacet.engine.scoring import Encoded, Rows, TrieScorer, collate
from trifacet.engine.trie import build_trie
from trifacet.preferences.changed import ChangedTokens
from trifacet.preferences.facets import Cell
from trifacet.preferences.losses import objective_loss
from trifacet.preferences.objectives import OBJECTIVES, Objective
from trifacet.training.examples import Collator

LISTED = Objective.model_validate({
    "name": "listed",
    "terms": [
        {"name": "images", "kind": "list", "facet": "image"},
        {"name": "texts", "kind": "list", "facet": "response", "weight": 0.5},
        {"name": "corners", "kind": "list", "order": ["chosen", "context", "image+context"]},
    ],
})  # fmt: skip


def one_by_one(loaded, encoded) -> Tensor:
    """Each path alone through the model itself: its tokens' log-probs, each times its weight in that path, added up."""
    sums = []
    for path in encoded.paths:
        shown = sorted({number for number in path.images_L.tolist() if number >= 0})
        images = {"pixel_values": torch.cat([encoded.images[number].pixel_values for number in shown])}
        logits = loaded.model(input_ids=torch.tensor(path.tokens_L)[None], **images).logits[0, :-1].float()
        tokens = torch.tensor(path.tokens_L)[1:, None]
        logps_R = torch.log_softmax(logits, -1).gather(-1, tokens)[path.response_start - 1 :, 0]
        total = torch.zeros(())
        for logp, weight in zip(
            logps_R, path.weights if path.weights is not None else [1.0] * len(logps_R), strict=True
        ):
            total = total + float(weight) * logp
        sums.append(total)
    return torch.stack(sums)


def gradients(loaded, loss):
    loaded.model.zero_grad()
    loss.backward()
    return {name: weight.grad.clone() for name, weight in loaded.model.named_parameters() if weight.grad is not None}


def assert_same(mine, expected):
    assert mine.keys() == expected.keys()
    largest = max(gradient.abs().max() for gradient in expected.values())
    for name, gradient in expected.items():
        assert (mine[name] - gradient).norm() <= 1e-3 * gradient.norm() + 1e-6 * largest, name


def scored_and_plain(tiny, examples, count):
    """Scores, the plain scores, and the gradients of the objective by either."""
    batch, needed = Collator(examples)([examples[index] for index in range(count)])
    scored_C = TrieScorer(tiny.model, tiny.family)(batch)
    plain_C = torch.cat([one_by_one(tiny, examples[index].encoded) for index in range(count)])
    assert (scored_C - plain_C).abs().max() < 1e-4
    reference_C = plain_C.detach() + torch.linspace(-1, 1, len(plain_C))
    grads = [
        gradients(tiny, objective_loss(examples.objective, one, reference_C, batch.mass_C, needed.plan).loss)
        for one in (scored_C, plain_C)
    ]
    return scored_C, *grads


@pytest.mark.parametrize("settings", [ChangedTokens(), ChangedTokens(normalised=False, gamma=3)], ids=["ddpo", "sums"])
def test_weighted_scores_and_gradients_are_those_of_single_tokens(settings, tiny, pairs, world):
    examples = examples_of(pairs, tiny, world, OBJECTIVES["mcm-dpo"], changed_tokens=settings)
    scored_C, mine, expected = scored_and_plain(tiny, examples, 2)
    assert_same(mine, expected)
    unweighed = examples_of(pairs, tiny, world, OBJECTIVES["mcm-dpo"])
    assert not torch.allclose(scored_C, one_by_one(tiny, unweighed[0].encoded).repeat(2), rtol=0.05)


def test_cells_weigh_a_token_that_they_share_each_in_its_own_way(tiny, pairs, world):
    examples = examples_of(pairs, tiny, world, OBJECTIVES["mcm-dpo"])
    draw = np.random.default_rng(0)
    encoded = [
        Encoded(
            tuple(
                path._replace(weights=draw.uniform(0, 3, len(path.tokens_L) - path.response_start).astype(np.float32))
                for path in one.paths
            ),
            one.images,
        )
        for one in (examples[0].encoded, examples[1].encoded)
    ]
    twice = Encoded(
        (*encoded[0].paths, encoded[0].paths[0]._replace(weights=encoded[0].paths[0].weights * 2)), encoded[0].images
    )
    expected = torch.cat([one_by_one(tiny, one) for one in (twice, encoded[1])])
    for rows in get_args(Rows):
        batch = collate([twice, encoded[1]], tiny.family, 0, rows)
        if rows == "batch":  # responses share their beginnings, so that reads are fewer than what is added up
            assert len(batch.token_R) < len(batch.read_M)
        scores = TrieScorer(tiny.model, tiny.family)(batch)
        assert (scores - expected).abs().max() < 1e-4
        assert scores[len(twice.paths) - 1].item() == pytest.approx(2 * scores[0].item(), rel=1e-5)
        assert batch.mass_C.tolist() == pytest.approx(
            [path.weights.sum() for one in (twice, encoded[1]) for path in one.paths]
        )


def test_weights_of_one_are_no_weights(tiny, pairs, world):
    examples = examples_of(
        pairs, tiny, world, OBJECTIVES["dpo"], changed_tokens=ChangedTokens(gamma=1, normalised=False)
    )
    plain = examples_of(pairs, tiny, world, OBJECTIVES["dpo"])
    weighed, without = (Collator(one).seen([one[0], one[1]]) for one in (examples, plain))
    scorer = TrieScorer(tiny.model, tiny.family)
    assert torch.equal(scorer(weighed), scorer(without))
    assert without.weight_M is None
    assert without.mass_C is without.lengths_C
    same = {field.name for field in fields(without)} - {"weight_M", "images"}
    for name in same:
        mine, other = getattr(weighed, name), getattr(without, name)
        assert torch.equal(mine, other) if isinstance(other, Tensor) else mine == other


def test_a_trie_refuses_weights_of_another_length(tiny, pairs, world):
    paths = examples_of(pairs, tiny, world, OBJECTIVES["dpo"])[0].encoded.paths
    weighed = paths[0]._replace(weights=np.ones(len(paths[0].tokens_L) - paths[0].response_start, np.float32))
    for wrong in ((weighed, paths[1]), (weighed._replace(weights=np.ones(1, np.float32)), weighed)):
        with pytest.raises(ValueError, match="a weight for every token of its response, or none"):
            build_trie(wrong)


# --- which tokens ------------------------------------------------------------------------------------------------


def weighed_words(examples, index, cell):
    """The words of a cell's response whose tokens count for more."""
    path = examples[index].encoded.paths[examples.cells(index).index(cell)]
    heavy = path.tokens_L[path.response_start :][path.weights > path.weights.min() * 1.5]
    return examples.encoder.tokenizer.decode(heavy).split()


def corrected(pairs, **extra):
    return [pair.model_copy(update={
        "response": "A red dog sits on the green lawn.", "rejected_responses": ("A red cat sits on the blue lawn.",),
        "extra": extra,
    }) for pair in pairs]  # fmt: skip


def test_changed_words_count_for_more_by_comparison_and_by_segments(tiny, pairs, world):
    chosen, rejected = Cell(), Cell(response=1)
    settings = ChangedTokens(shortest_match=1)
    compared = examples_of(corrected(pairs), tiny, world, OBJECTIVES["dpo"], changed_tokens=settings)
    assert "".join(weighed_words(compared, 0, chosen)) != "".join(weighed_words(compared, 0, rejected))
    given = corrected(pairs, segments=[{"chosen": "dog", "rejected": "cat"}])
    for source, words in (("auto", "dog"), ("segments", "dog"), ("diff", None)):
        settings = ChangedTokens(shortest_match=1, source=source)
        examples = examples_of(given, tiny, world, OBJECTIVES["dpo"], changed_tokens=settings)
        examples.check()
        if words:
            assert words in "".join(weighed_words(examples, 0, chosen))
            assert "green" not in "".join(weighed_words(examples, 0, chosen))
            assert "cat" in "".join(weighed_words(examples, 0, rejected))
        else:
            assert weighed_words(examples, 0, chosen) == weighed_words(compared, 0, chosen)


@pytest.mark.parametrize(
    ("extra", "source", "message"),
    [
        ({"segments": [{"chosen": "horse"}]}, "auto", r"field 'segments'.*entry 1 \('horse'\) is not in its response"),
        ({"segments": "dog"}, "auto", "field 'segments'.*is not a list"),
        ({}, "segments", "field 'segments'.*is missing; set changed_tokens.source: auto"),
    ],
)
def test_segments_are_checked_before_training(tiny, pairs, world, extra, source, message):
    settings = ChangedTokens(source=source)
    examples = examples_of(corrected(pairs, **extra), tiny, world, OBJECTIVES["dpo"], changed_tokens=settings)
    with pytest.raises(DataError, match=message):
        examples.check()
    if source == "auto":  # nobody looks at them where nothing is weighed
        examples_of(corrected(pairs, **extra), tiny, world, OBJECTIVES["dpo"]).check()


def test_cached_scores_know_how_they_were_weighed(tiny, pairs, world):
    def fingerprint(pairs, settings):
        return examples_of(pairs, tiny, world, OBJECTIVES["dpo"], changed_tokens=settings).fingerprint()

    pairs = pairs[:2]
    plain, given = corrected(pairs), corrected(pairs, segments=[{"chosen": "dog", "rejected": "cat"}])
    keys = fingerprint(plain, None)
    assert "changed tokens" not in keys  # scores that were cached before fit
    assert fingerprint(given, None) == keys
    assert len({json.dumps(fingerprint(rows, settings)) for rows in (plain, given) for settings in (
        ChangedTokens(), ChangedTokens(gamma=4), ChangedTokens(source="diff"), ChangedTokens(normalised=False),
    )}) == 7  # fmt: skip  # by comparison alone the segments make no difference


# --- lists -------------------------------------------------------------------------------------------------------


def test_lists_are_scored_in_one_forward_and_exactly(tiny, pairs, world):
    pairs = [pair.model_copy(update={"rejected_responses": (*pair.rejected_responses, "a thing")}) for pair in pairs]
    examples = examples_of(pairs, tiny, world, LISTED, rejection={"image_versions": 3})
    assert len(examples.cells(0)) == 1 + 3 + 2 + 1 + 3
    calls = []
    handle = tiny.model.model.language_model.register_forward_pre_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        TrieScorer(tiny.model, tiny.family)(Collator(examples).seen([examples[0], examples[1]]))
    handle.remove()
    assert calls == [1]
    _, mine, expected = scored_and_plain(tiny, examples, 2)
    assert_same(mine, expected)


def test_mfpo_is_mdpo_on_the_same_images_through_the_model(tiny, pairs, world):
    found = []
    for name in ("mdpo", "mfpo"):
        examples = examples_of(pairs, tiny, world, OBJECTIVES[name])
        batch, needed = Collator(examples)([examples[0], examples[1]])
        scores_C = TrieScorer(tiny.model, tiny.family)(batch)
        reference_C = scores_C.detach() + torch.linspace(-1, 1, len(scores_C))
        loss = objective_loss(examples.objective, scores_C, reference_C, batch.mass_C, needed.plan).loss
        start = objective_loss(examples.objective, scores_C, scores_C.detach(), batch.mass_C, needed.plan).loss
        assert start.item() == pytest.approx(3 * np.log(2), rel=1e-5)
        found.append((loss, gradients(tiny, loss)))
    (mdpo, expected), (mfpo, mine) = found
    assert torch.equal(mdpo, mfpo)
    assert all(torch.equal(mine[name], gradient) for name, gradient in expected.items())
