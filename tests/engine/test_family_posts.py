"""Every family: posts with several images and without score, train and are described like the plain model."""

import pytest
import torch
from test_families import encoder_of, examples_of, plain_logps
from tiny_families import MAKERS, load_copy

from trifacet.base.images import load_image
from trifacet.data.records import TestSample
from trifacet.engine.reference import score_batches
from trifacet.engine.scoring import TrieScorer
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.models.paradigms import choose_trained
from trifacet.training.examples import Collator

SHOWN = [(), ("0.png", "1.png"), ("2.png", "1.png", "3.png"), ("3.png", "3.png")]


@pytest.fixture(params=MAKERS)
def loaded(request, family_folders):
    return load_copy(family_folders(request.param))


def mixed(posts):
    return [
        post.model_copy(update={"image": names[0] if names else None, "more_images": names[1:]})
        for post, names in zip(posts, SHOWN, strict=False)
    ]


def test_scores_equal_the_plain_model(loaded, posts, photos):
    samples = mixed(posts)
    examples = examples_of(samples, photos, loaded, "dpo")
    batch = Collator(examples).seen([examples[index] for index in range(len(samples))])
    with torch.no_grad():
        scored_C = TrieScorer(loaded.model, loaded.family)(batch)
        expected = [
            plain_logps(loaded.model, loaded.processor, [load_image(photos, name) for name in sample.pictures],
                        sample.context, response)
            for sample in samples
            for response in (sample.response, *sample.rejected_responses)
        ]  # fmt: skip
    assert (scored_C - torch.stack(expected)).abs().max() < 1e-4


def test_what_trains_has_a_gradient_in_a_batch_without_images(loaded, posts, photos):
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=True, lora=None)
    examples = examples_of(mixed(posts), photos, loaded, "dpo")
    for index in (0, 1):
        model.zero_grad()
        TrieScorer(model, loaded.family)(Collator(examples).seen([examples[index]])).sum().backward()
        assert [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None] == []


@pytest.fixture
def two_processes():
    """As the first of two that exchange nothing."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    yield
    torch.distributed.destroy_process_group()


def test_what_scored_as_the_reference_trains_in_two_processes(two_processes, family_folders, posts, photos):
    """There the encoder sees a blank picture for a post without one, made in the reference pass and kept."""
    loaded = load_copy(family_folders("llava"))
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=True, lora=None)
    scorer, examples = TrieScorer(model, loaded.family), examples_of(mixed(posts), photos, loaded, "dpo")
    batch = Collator(examples).seen([examples[0]])
    (reference,) = score_batches(scorer, [batch], torch.device("cpu"))
    scored = scorer(batch)
    scored.sum().backward()
    torch.testing.assert_close(scored.detach(), reference)


@pytest.mark.parametrize("beams", [1, 3])
def test_texts_of_a_mixed_batch_are_those_of_each_post_alone(loaded, posts, photos, beams):
    samples = [
        TestSample(id=post.id, image=post.image, more_images=post.more_images, context=post.context)
        for post in mixed(posts)
    ]
    settings = Generation(beams=beams, max_new_tokens=6, batch_size=8)

    def write(some):
        encoder = encoder_of(loaded.family)
        return FamilyWriter(loaded.model, encoder, settings).write(some, photos)

    assert write(samples) == [write([sample])[0] for sample in samples]
