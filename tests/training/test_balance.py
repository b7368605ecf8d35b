"""No process waits for the longest batch, and what a step learns is what it would learn from the batches as drawn."""

import shutil
from itertools import chain, islice, product

import numpy as np
import pytest
import torch
from small_runs import STAGE, log_of, recipe_of, train, weights_of
from torch.utils.data import BatchSampler, SequentialSampler

from trifacet.data.formats import write_samples
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.scoring import collate
from trifacet.models.loading import load_model
from trifacet.preferences.objectives import OBJECTIVES, resolve_objective
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.balance import BalancedSteps, divided, sample_costs
from trifacet.training.examples import Examples, Rejection
from trifacet.training.trainer import LatticeTrainer

SAMPLES = 240
# tokens of samples: a picture, and posts of which a few are very long
COSTS = [600 + int(length) for length in np.random.default_rng(3).lognormal(5.5, 1, SAMPLES).clip(max=4000)]


def steps_of(batches, forwards) -> list[list[list[int]]]:
    batches, steps = iter(batches), []
    while step := list(islice(batches, forwards)):
        steps.append(step)
    return steps


def drawn(size, samples=SAMPLES) -> BatchSampler:
    return BatchSampler(SequentialSampler(range(samples)), size, drop_last=False)


def balanced(size, *, forwards, ranks, mixes=True, one_row=True, samples=SAMPLES) -> BalancedSteps:
    return BalancedSteps(drawn(size, samples), COSTS, forwards=forwards, ranks=ranks, mixes=mixes, one_row=one_row)


def waited_for(batches, sampler, forwards, ranks) -> tuple[int, float]:
    """What the dearest processes of all steps cost together, and what all cost on average."""
    dearest, mean = 0, 0.0
    for step in steps_of(batches, forwards):
        sums = [sum(map(sampler.cost, step[rank::ranks])) for rank in range(ranks)]
        dearest, mean = dearest + max(sums), mean + sum(sums) / ranks
    return dearest, mean


@pytest.mark.parametrize(
    ("size", "forwards", "ranks", "mixes", "before", "after"),
    [
        (4, 2, 2, True, 1.14, 1.045),  # a forward each: only members can be exchanged, and one may outweigh three
        (4, 8, 2, False, 1.09, 1.01),  # whole batches alone
        (4, 8, 2, True, 1.09, 1.007),
        (8, 4, 2, True, 1.05, 1.003),
        (2, 16, 4, True, 1.24, 1.07),
    ],
)
def test_the_dearest_process_of_a_step_costs_hardly_more_than_the_mean(size, forwards, ranks, mixes, before, after):
    sampler = balanced(size, forwards=forwards, ranks=ranks, mixes=mixes)
    plain, mean = waited_for(drawn(size), sampler, forwards, ranks)
    ours, same = waited_for(sampler, sampler, forwards, ranks)
    assert same == pytest.approx(mean)
    assert plain / mean > before
    assert ours / mean < after


@pytest.mark.parametrize(("size", "forwards", "ranks"), [(4, 8, 2), (4, 16, 4), (8, 4, 2)])
def test_rows_that_are_padded_hold_samples_that_are_alike(size, forwards, ranks):
    sampler = balanced(size, forwards=forwards, ranks=ranks, one_row=False)
    assert sampler.cost([0, 1]) == 2 * max(COSTS[:2])
    plain, padded = waited_for(drawn(size), sampler, forwards, ranks)
    ours, work = waited_for(sampler, sampler, forwards, ranks)
    assert ours < 0.85 * plain
    assert sum(COSTS) / ranks < work < 0.85 * padded


@pytest.mark.parametrize("one_row", [True, False])
@pytest.mark.parametrize(("samples", "size", "forwards"), [(240, 4, 8), (61, 4, 8), (13, 2, 4), (3, 4, 2)])
def test_a_step_keeps_its_samples_and_their_weights(samples, size, forwards, one_row):
    plain = steps_of(drawn(size, samples), forwards)
    sampler = balanced(size, forwards=forwards, ranks=2, one_row=one_row, samples=samples)
    assert len(sampler) == len(drawn(size, samples))
    steps = steps_of(sampler, forwards)
    assert list(sampler) == list(sampler)

    def weight_of(step):  # of each sample: batches weigh the same, and so do the members of one
        return sorted((index, len(batch)) for batch in step for index in batch)

    assert [weight_of(step) for step in steps] == [weight_of(step) for step in plain]
    assert [len(step) for step in steps] == [len(step) for step in plain]


def test_who_is_with_whom_is_the_same_for_any_number_of_processes():
    ways = [
        [sorted(map(tuple, step)) for step in steps_of(balanced(4, forwards=8, ranks=ranks), 8)]
        for ranks in (1, 2, 4, 8)
    ]
    assert ways[0] == ways[1] == ways[2] == ways[3]
    kept = steps_of(balanced(4, forwards=8, ranks=2, mixes=False), 8)
    assert [sorted(step) for step in kept] == [sorted(step) for step in steps_of(drawn(4), 8)]


def test_a_process_has_its_dearest_batch_first():
    sampler = balanced(4, forwards=8, ranks=2, mixes=False)
    for step in steps_of(sampler, 8):
        for rank in range(2):
            costs = [sampler.cost(batch) for batch in step[rank::2]]
            assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("seed", range(20))
def test_a_division_is_near_the_best_there_is(seed):
    rng = np.random.default_rng(seed)
    costs = rng.integers(1, 100, 8).tolist()
    parts = divided(costs, [4, 4])
    assert sorted(one for part in parts for one in part) == list(range(8))
    assert list(map(len, parts)) == [4, 4]
    best = min(
        max(sum(chosen), sum(costs) - sum(chosen))
        for takes in product((0, 1), repeat=8)
        if sum(takes) == 4 and (chosen := [cost for cost, taken in zip(costs, takes, strict=True) if taken])
    )
    assert max(sum(costs[one] for one in part) for part in parts) <= 1.05 * best


def test_which_objectives_are_means_over_samples():
    ours = {name: objective.is_mean_over_samples for name, objective in OBJECTIVES.items()}
    assert ours == {name: name != "sft" for name in OBJECTIVES}
    terms = [{"name": "text", "over": "response"}, {"name": "nll", "kind": "nll", "mean_over": "tokens"}]
    assert not resolve_objective({"name": "mine", "terms": terms}).is_mean_over_samples
    terms[1]["weight"] = 0
    assert resolve_objective({"name": "mine", "terms": terms}).is_mean_over_samples


def examples_of(samples, images, folder, objective="mcm-dpo"):
    family = load_model(folder).family
    encoder = SampleEncoder(family, prompt="Write alt-text.", context_label="Context:", max_length=2048)
    rejection = Rejection(image_strategy("blackness"), seed=1)
    return Examples(samples, OBJECTIVES[objective], encoder, images, rejection, max_pixels=10**6)


@pytest.mark.parametrize("family", ["llava", "llava_next", "qwen2_5_vl"])
@pytest.mark.parametrize("rows", ["batch", "path"])
def test_costs_are_near_the_tokens_that_a_forward_has(family, rows, family_folders, posts, photos):
    letters = np.random.default_rng(2).choice(list("abcdefghijklmnop"), 2000)
    longer = [
        post.model_copy(update={"context": " ".join(letters[number * 200 :][:length])})
        for number, (post, length) in enumerate(zip(posts, (20, 400, 90, 900), strict=True))
    ]
    examples = examples_of(longer, photos, family_folders(family))
    costs = sample_costs(examples, rows)
    tokens = []
    for index in range(len(examples)):
        encoded = examples[index].encoded
        if rows == "path":
            tokens.append(sum(len(path.tokens_L) for path in encoded.paths))
        else:
            tokens.append(collate([encoded], examples.encoder.family, 0).input_ids.numel())
    assert max(tokens) > 2 * min(tokens)
    assert np.corrcoef(costs, tokens)[0, 1] > 0.98
    assert costs == pytest.approx(tokens, rel=0.25)


@pytest.fixture
def of_unequal_length(tmp_path, pairs, world):
    """A folder of 13 pairs whose posts are of very different lengths, some without any."""
    folder = tmp_path / "data"
    shutil.copytree(world / "images", folder / "images")
    unequal = [
        pair.model_copy(update={"context": pair.context * (number % 4) ** 2}) for number, pair in enumerate(pairs[:13])
    ]
    write_samples(unequal, folder / "preference.jsonl", "trifacet", "preference")
    return folder


def test_what_a_step_learns_stays_the_same(tmp_path, of_unequal_length, tiny_folder, monkeypatch):
    """Also with an uneven last batch and terms that some samples lack."""
    stage = {**STAGE, "objective": "mcm-dpo", "accumulation": 4, "max_steps": 4, "learning_rate": 1e-4}
    forwards: list[list[int]] = []
    learn = LatticeTrainer.compute_loss

    def noted(self, model, inputs, *rest, **more):
        forwards.append(inputs[1].indices)
        return learn(self, model, inputs, *rest, **more)

    def trained(name):
        forwards.clear()
        recipe = recipe_of(tmp_path / name, of_unequal_length, tiny_folder, {"sft": None, "align.mcm": stage})
        return train(recipe, "mcm", tiny_folder), list(forwards)

    monkeypatch.setattr(LatticeTrainer, "compute_loss", noted)
    balanced_run, ours = trained("balanced")
    monkeypatch.setattr(LatticeTrainer, "_balanced", lambda self, batches: batches)
    drawn_run, theirs = trained("drawn")
    assert list(map(sorted, ours)) != list(map(sorted, theirs))
    for step in (slice(0, 4), slice(4, 7), slice(7, 11), slice(11, 14)):  # two epochs of two steps
        assert sorted(chain(*ours[step])) == sorted(chain(*theirs[step]))
    for line, other in zip(log_of(balanced_run), log_of(drawn_run), strict=True):
        assert line["loss"] == pytest.approx(other["loss"], abs=1e-5)
        assert line["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4)
    plain = weights_of(drawn_run)
    for key, weight in weights_of(balanced_run).items():
        if not key.endswith("k_proj.bias"):  # of no effect in a softmax: Adam makes steps of its rounding errors
            assert torch.allclose(weight, plain[key], rtol=0, atol=1e-5), key
