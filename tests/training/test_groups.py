"""Batches whose members lend each other images and contexts: the same members in every epoch, less to compute."""

import json

import numpy as np
import pytest
import torch
from small_runs import log_of, recipe_of, train

from trifacet.engine.scoring import TrieScorer
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import image_strategy
from trifacet.preferences.rejected.samples import partners
from trifacet.training.batches import Groups, GroupSampler
from trifacet.training.examples import Collator, Examples, Rejection
from trifacet.training.trainer import LatticeTrainer


@pytest.mark.parametrize(("samples", "size"), [(10, 4), (8, 4), (3, 8), (1, 1)])
def test_batches_are_the_groups_in_every_epoch(samples, size):
    groups = Groups(samples, size, seed=3)
    sampler = GroupSampler(groups, seed=5)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert sorted(order) == list(range(samples))
        batches = [order[at : at + size] for at in range(0, samples, size)]
        assert sorted(batches) == sorted(groups.members)
        orders.append(order)
    assert len(sampler) == samples
    assert samples < 8 or samples == size or len({tuple(order) for order in orders}) > 1 or len(groups.members) < 3


def test_partners_are_the_next_with_other_contents():
    assert partners(["a", "b", "c"], 1) == [1]
    assert partners(["a", "a", " ", "b"], 2) == [3, 3]
    assert partners(["a", "b", "c"], 1, beside=["b"]) == [2]
    assert partners(["a", "a"], 1) == []
    assert partners(["a"], 2) == []


def examples_in_groups(tiny, pairs, world, grouped):
    from trifacet.engine.encode import SampleEncoder

    encoder = SampleEncoder(tiny.family, prompt="Write alt-text.", context_label="Context:", max_length=2048)
    groups = Groups(len(pairs), 4, seed=1) if grouped else None
    rejection = Rejection(image_strategy("randomness"), seed=1)
    return Examples(pairs, OBJECTIVES["mcm-dpo"], encoder, world, rejection, max_pixels=10**6, groups=groups)


def test_a_batch_holds_each_picture_once_and_scores_the_same(tiny, pairs, world):
    examples = examples_in_groups(tiny, pairs, world, grouped=True)
    group = examples.groups.members[0]
    together = [examples[index] for index in group]
    batch = Collator(examples).seen(together)
    assert len(batch.images["pixel_values"]) == 4  # of four samples with a rejected image each
    apart = Collator(examples_in_groups(tiny, pairs, world, grouped=False))
    plain = apart.seen([examples_in_groups(tiny, pairs, world, grouped=False)[index] for index in group])
    assert int((batch.images_BN >= 0).sum()) == 4 * 16  # 16 tokens each
    assert int((plain.images_BN >= 0).sum()) > 5 * 16
    contexts = {examples.samples[index].context for index in group}
    for index in group:
        _, rejected = examples.contexts(index)
        assert rejected in contexts - {examples.samples[index].context}
    scorer = TrieScorer(tiny.model, tiny.family)
    with torch.no_grad():
        alone = Collator(examples, rows="path").seen(together)
        assert (scorer(batch) - scorer(alone)).abs().max() < 1e-4


def test_a_recipe_trains_in_groups_with_cached_scores(tmp_path, world, tiny_folder, monkeypatch):
    seen = []
    compute = LatticeTrainer.compute_loss

    def noting(self, model, inputs, *arguments, **options):
        seen.append(sorted(inputs[1].indices))
        return compute(self, model, inputs, *arguments, **options)

    monkeypatch.setattr(LatticeTrainer, "compute_loss", noting)
    changes = {
        "sft": None, "rejected.in_batch": True, "rejected.image": {"strategy": "randomness"},
        "align.mcm.max_steps": None, "align.mcm.epochs": 2, "align.mcm.batch_size": 4, "align.mcm.learning_rate": 1e-9,
    }  # fmt: skip
    folder = train(recipe_of(tmp_path / "out", world, tiny_folder, changes), "mcm", tiny_folder)
    groups = sorted(map(sorted, Groups(16, 4, seed=5).members))
    assert sorted(seen[:4]) == sorted(seen[4:]) == groups
    assert json.loads((folder / "done.json").read_text())["steps"] == 8
    for line in log_of(folder):  # the policy is the reference still: their scores of the same cells are the same
        assert np.isclose(line["rewards/margins/mtpo"], 0, atol=1e-4)
