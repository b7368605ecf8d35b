"""Layers that are made again: the same numbers, less kept, and what is kept is what was said."""

import pytest
import torch
from tiny_families import MAKERS, load_copy

from trifacet.engine import scoring
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.memory import Alive, Need, need
from trifacet.engine.scoring import TrieScorer
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.examples import Collator, Examples, Rejection


def batch_of(posts, photos, loaded):
    encoder = SampleEncoder(loaded.family, prompt="Write alt-text.", context_label="Context:", max_length=2048)
    rejection = Rejection(image_strategy("diffusion", 700), seed=1)
    examples = Examples(posts, OBJECTIVES["mcm-dpo"], encoder, photos, rejection, max_pixels=10**6)
    return Collator(examples).seen([examples[0], examples[1]])


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_made_again_changes_no_bit(name, family_folders, posts, photos, monkeypatch):
    loaded = load_copy(family_folders(name))
    scorer = TrieScorer(loaded.model, loaded.family)
    batch = batch_of(posts, photos, loaded)
    found, kept = [], []
    for kept_at_once, again in ((2**24, []), (0, []), (0, scorer.can_be_made_again)):
        monkeypatch.setattr(scoring, "WIDE_AT_ONCE", kept_at_once)
        scorer.made_again = again
        loaded.model.zero_grad()
        with Alive() as alive:
            scores = scorer(batch)
            kept.append(alive.bytes)
        (scores * torch.linspace(-1, 1, len(scores))).sum().backward()
        found.append({key: one.grad.clone() for key, one in loaded.model.named_parameters() if one.grad is not None})
    assert scorer.can_be_made_again == loaded.family.layers(loaded.model)[:-1] != []
    assert kept[2] < kept[1] < kept[0]
    for others in found[1:]:
        assert others.keys() == found[0].keys()
        assert all(torch.equal(others[key], found[0][key]) for key in others)


def test_need_is_what_is_kept(family_folders, posts, photos):
    loaded = load_copy(family_folders("llava"))
    scorer = TrieScorer(loaded.model, loaded.family)
    batch = batch_of(posts, photos, loaded)
    told = need(scorer, batch)
    assert not scorer.made_again
    with Alive() as alive:
        scores = scorer(batch)
        whole = alive.bytes
    del scores
    assert alive.bytes < whole / 4  # masks of attention are kept for the next batch
    trained = sum(weight.numel() for weight in loaded.model.parameters())
    assert told.layers == 1
    assert told.least + told.layer == pytest.approx(12 * trained + whole + told.layer, rel=1e-6)
    loaded.model.requires_grad_(False)
    assert need(scorer, batch).least < told.least - 12 * trained + 1


def test_as_many_layers_are_kept_as_there_is_room_for():
    told = Need(least=1000, layer=100, layers=3)
    assert [told.most_kept(room) for room in (1099, 1100, 1209, 1210, 1430, 10**6)] == [None, 0, 0, 1, 3, 3]
