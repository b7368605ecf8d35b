"""Samples with several images and without any score like the plain model, and no process waits for one without."""

import datetime
from typing import get_args

import pytest
import torch
from small_runs import in_processes
from torch import nn
from transformers import LlavaForConditionalGeneration

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.images import load_image
from trifacet.data.formats import read_samples
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.scoring import Rows, TrieScorer
from trifacet.models.loading import load_model
from trifacet.models.paradigms import choose_trained
from trifacet.preferences.facets import Facet
from trifacet.preferences.losses import objective_loss
from trifacet.preferences.objectives import OBJECTIVES, resolve_objective
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.examples import Collator, Examples, Rejection


def mixed(pairs):
    """None, two, three (one of them shared with the second), one, the same picture twice, and none without a post."""
    shown = [(), ("0", "1"), ("2", "1", "3"), ("4",), ("5", "5"), ()]
    paths = {str(number): pair.image for number, pair in enumerate(pairs)}
    samples = []
    for pair, numbers in zip(pairs, shown, strict=False):
        first, *further = [paths[number] for number in numbers] or [None]
        samples.append(pair.model_copy(update={"image": first, "more_images": tuple(further)}))
    samples[5] = samples[5].model_copy(update={"context": ""})
    return samples


def examples_of(samples, loaded, world, name="mcm-dpo", strategy="diffusion"):
    encoder = SampleEncoder(loaded.family, prompt="Write alt-text.", context_label="Context:", max_length=2048)
    rejection = Rejection(image_strategy(strategy, 700), seed=1)
    return Examples(samples, OBJECTIVES[name], encoder, world, rejection, max_pixels=10**6)


def plain_logps(model, processor, examples, index):
    """Each cell alone through processor, chat template and forward of transformers; no pixels where there are none."""
    sample, contexts = examples.samples[index], examples.contexts(index)
    pictures = [load_image(examples.images, name) for name in sample.pictures]
    described, further = examples.image_versions(index), [examples.encoder.family.read(one) for one in pictures[1:]]
    responses = [sample.response, *sample.rejected_responses]
    sums = []
    for cell in examples.cells(index):
        post = contexts[cell.context]
        words = {"type": "text", "text": f"Write alt-text.\nContext:\n{post}" if post else "Write alt-text."}
        user = {"role": "user", "content": [*({"type": "image"} for _ in pictures), words]}
        answer = {"role": "assistant", "content": [{"type": "text", "text": responses[cell.response]}]}
        lengths = []
        for messages, prompt in (([user], True), ([user, answer], False)):
            text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
            inputs = processor(images=pictures or None, text=text, return_tensors="pt", add_special_tokens=False)
            lengths.append(inputs["input_ids"].shape[1])
        if pictures:
            shown = [described[cell.image], *further]
            inputs["pixel_values"] = torch.cat([image.pixel_values for image in shown])
        logits = model(**inputs).logits[0, :-1].float()
        token_logps = torch.log_softmax(logits, -1).gather(-1, inputs["input_ids"][0, 1:, None])[:, 0]
        sums.append(token_logps[lengths[0] - 1 :].sum())
    return torch.stack(sums)


@pytest.mark.parametrize("rows", get_args(Rows))
def test_scores_and_gradients_equal_the_plain_model(rows, tiny, tiny_folder, pairs, world):
    samples = mixed(pairs)
    examples = examples_of(samples, tiny, world)
    examples.check()
    everything = range(len(samples))
    batch, needed = Collator(examples, rows=rows)([examples[index] for index in everything])
    plan = needed.plan
    scored_C = TrieScorer(tiny.model, tiny.family)(batch)
    plain = LlavaForConditionalGeneration.from_pretrained(tiny_folder)
    expected_C = torch.cat([plain_logps(plain, tiny.processor, examples, index) for index in everything])
    assert expected_C.std() > 1
    assert (scored_C - expected_C).abs().max() < 1e-4

    reference_C = expected_C.detach() + torch.linspace(-1, 1, len(expected_C))
    for logps_C in (scored_C, expected_C):
        objective_loss(examples.objective, logps_C, reference_C, batch.lengths_C, plan).loss.backward()
    expected = {key: weight.grad for key, weight in plain.named_parameters() if weight.grad is not None}
    ours = {key: weight.grad for key, weight in tiny.model.named_parameters() if weight.grad is not None}
    assert ours.keys() == expected.keys()
    largest = max(gradient.abs().max() for gradient in expected.values())
    for key, gradient in expected.items():
        assert (ours[key] - gradient).norm() <= 1e-3 * gradient.norm() + 1e-6 * largest, key


def test_further_images_count_and_their_order_too(tiny, pairs, world):
    one = pairs[0]
    two, three = pairs[1].image, pairs[2].image
    shown = [(), (two,), (two, three), (three, two)]
    samples = [one.model_copy(update={"id": str(n), "more_images": more}) for n, more in enumerate(shown)]
    examples = examples_of(samples, tiny, world, "dpo")
    with torch.no_grad():
        logps_C = TrieScorer(tiny.model, tiny.family)(Collator(examples).seen([examples[n] for n in range(4)]))
    assert len({round(float(logp), 3) for logp in logps_C[::2]}) == 4


def test_a_sample_without_image_or_post_leaves_out_the_terms_that_reject_them(tiny, pairs, world):
    samples = mixed(pairs)
    examples = examples_of(samples, tiny, world)
    corners = {index: {str(cell.corner) for cell in examples.cells(index)} for index in (0, 3, 5)}
    assert corners[0] == {"chosen", "context", "response", "context+response"}
    assert len(corners[3]) == 8
    assert corners[5] == {"chosen", "response"}
    for index in range(len(samples)):
        assert examples.versions(index) == examples[index].versions
        assert examples.versions(index)[Facet.IMAGE] == (samples[index].image is not None)
    examples.objective = resolve_objective({"name": "images", "terms": [{"name": "vpo", "over": "image"}]})
    for lacking, examples.samples in (("image", samples), ("image and post", samples[5:])):
        with pytest.raises(TrifacetError, match=rf"has no {lacking}, and every term of objective .* rejects that"):
            examples.check()


def test_another_samples_image_is_never_one_that_the_post_shows_itself(tiny, pairs, world):
    album = pairs[0].model_copy(update={"more_images": (pairs[1].image,)})
    bare = pairs[3].model_copy(update={"image": None})
    examples = examples_of([album, pairs[1], pairs[2], bare], tiny, world, strategy="randomness")
    other = load_image(world, pairs[2].image).tobytes()
    for examples.epoch in range(8):
        assert examples.pictures.donor(0, 1).tobytes() == other


def test_the_fingerprint_knows_the_further_images(tiny, pairs, world, tmp_path):
    samples = mixed(pairs)[:4]
    whole = examples_of(samples, tiny, world).fingerprint()
    fewer = [*samples[:2], samples[2].model_copy(update={"more_images": samples[2].more_images[:1]}), samples[3]]
    assert examples_of(fewer, tiny, world).fingerprint()["samples"] != whole["samples"]


def test_a_further_image_that_is_missing_is_named(tiny, pairs, world):
    broken = pairs[1].model_copy(update={"more_images": ("gone.png",)})
    with pytest.raises(DataError, match=r"field 'more_images': sample .*no image file 'gone.png'"):
        examples_of([pairs[0], broken], tiny, world).check()


def test_the_encoder_runs_without_images_only_where_it_trains(tiny, pairs, world):
    examples = examples_of(mixed(pairs), tiny, world)
    batch = Collator(examples).seen([examples[0], examples[5]])
    assert batch.images == {}
    runs = []
    tiny.model.model.vision_tower.register_forward_hook(lambda *_: runs.append(1))
    scorer = TrieScorer(tiny.model, tiny.family)
    trained = scorer(batch)
    trained.sum().backward()
    assert len(runs) == 1
    weights = [*tiny.model.model.multi_modal_projector.parameters()]
    assert all((weight.grad == 0).all() for weight in weights)
    with torch.no_grad():
        assert torch.equal(scorer(batch), trained)
    tiny.model.model.vision_tower.requires_grad_(False)
    tiny.model.model.multi_modal_projector.requires_grad_(False)
    assert torch.equal(scorer(batch), trained)
    assert len(runs) == 1


def _gradients(rank, folder, model, world, store):
    """What one of two processes does: a step with images in process 1 only, then one with images in process 0 only."""
    loaded = load_model(model)
    trained, _ = choose_trained(loaded.model, loaded.family, train_vision=True, lora=None)
    samples = mixed(read_samples(world / "preference.jsonl", "preference"))
    examples = examples_of(samples, loaded, world, "dpo")
    scorer = TrieScorer(trained, loaded.family)
    orders = ([0, 1], [2, 5])
    if rank is None:
        for order in orders:
            for index in order:
                (scorer(Collator(examples).seen([examples[index]])).sum() / 2).backward()
    else:
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=datetime.timedelta(seconds=60)
        )
        parallel = nn.parallel.DistributedDataParallel(scorer)
        for order in orders:
            parallel(Collator(examples).seen([examples[order[rank]]])).sum().backward()
    gradients = {name: weight.grad for name, weight in scorer.named_parameters() if weight.requires_grad}
    torch.save(gradients, folder / f"{rank}.pt")


def test_two_processes_of_which_one_has_no_image_do_not_wait_for_each_other(tmp_path, tiny_folder, world):
    store = tmp_path / "store"
    in_processes(_gradients, [(rank, tmp_path, tiny_folder, world, store) for rank in (0, 1)])
    _gradients(None, tmp_path, tiny_folder, world, store)
    alone, *both = [torch.load(tmp_path / f"{rank}.pt") for rank in (None, 0, 1)]
    for gradients in both:
        assert gradients.keys() == alone.keys()
        for name, gradient in alone.items():
            assert (gradients[name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-6, name
