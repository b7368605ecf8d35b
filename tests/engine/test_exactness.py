"""The trie gives what the plain transformers model gives, path by path: scores and gradients."""

from typing import get_args

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from trifacet.engine.encode import SampleEncoder
from trifacet.engine.scoring import Rows, TrieScorer
from trifacet.preferences.facets import Cell
from trifacet.preferences.losses import objective_loss
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.examples import Collator, Examples, Rejection

NAMED = [name for name, one in OBJECTIVES.items() if name != "sft" and not one.beside]  # that: test_beside.py


def examples_of(pairs, loaded, world, objective, **options):
    encoder = SampleEncoder(loaded.family, prompt="Write alt-text.", context_label="Context:", max_length=2048)
    rejection = Rejection(image_strategy("diffusion", 700), seed=1, **options.pop("rejection", {}))
    return Examples(pairs, objective, encoder, world, rejection, max_pixels=10**6, **options)


def plain_logps(model, processor, examples, index, cells):
    """Each cell alone through the released classes: processor, chat template and model forward of transformers."""
    sample, images, contexts = examples.samples[index], examples.image_versions(index), examples.contexts(index)
    responses = [sample.response, *sample.rejected_responses]
    sums = []
    for cell in cells:
        request = (
            f"Write alt-text.\nContext:\n{contexts[cell.context]}" if contexts[cell.context] else "Write alt-text."
        )
        user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": request}]}
        answer = {"role": "assistant", "content": [{"type": "text", "text": responses[cell.response]}]}
        lengths = []
        for messages, prompt in (([user], True), ([user, answer], False)):
            text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
            picture = examples.picture(index)
            inputs = processor(images=picture, text=text, return_tensors="pt", add_special_tokens=False)
            lengths.append(inputs["input_ids"].shape[1])
        inputs["pixel_values"] = images[cell.image].pixel_values
        logits = model(**inputs).logits[0, :-1].float()
        token_logps = torch.log_softmax(logits, -1).gather(-1, inputs["input_ids"][0, 1:, None])[:, 0]
        sums.append(token_logps[lengths[0] - 1 :].sum())
    return torch.stack(sums)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4])
@pytest.mark.parametrize("name", NAMED)
def test_scores_and_gradients_equal_the_plain_model(name, batch_size, tiny, tiny_folder, pairs, world):
    objective = OBJECTIVES[name]
    pairs = [
        pair.model_copy(update={"context": pair.context * (1 + k % 2)}) for k, pair in enumerate(pairs[:4])
    ]  # unequal lengths
    examples = examples_of(pairs, tiny, world, objective)
    batch, needed = Collator(examples)([examples[index] for index in range(batch_size)])
    plan = needed.plan
    scorer = TrieScorer(tiny.model, tiny.family)
    scored_C = scorer(batch)

    plain = LlavaForConditionalGeneration.from_pretrained(tiny_folder)
    expected_C = torch.cat(
        [plain_logps(plain, tiny.processor, examples, index, examples.cells(index)) for index in range(batch_size)]
    )
    assert expected_C.std() > 1  # an agreement of equal numbers would show nothing
    assert (scored_C - expected_C).abs().max() < 1e-4

    reference_C = expected_C.detach() + torch.linspace(-1, 1, len(expected_C))
    objective_loss(objective, scored_C, reference_C, batch.lengths_C, plan).loss.backward()
    objective_loss(objective, expected_C, reference_C, batch.lengths_C, plan).loss.backward()
    expected = {key: weight.grad for key, weight in plain.named_parameters() if weight.grad is not None}
    ours = {key: weight.grad for key, weight in tiny.model.named_parameters() if weight.grad is not None}
    assert ours.keys() == expected.keys()
    largest = max(gradient.abs().max() for gradient in expected.values())
    for key, gradient in expected.items():
        assert (ours[key] - gradient).norm() <= 1e-3 * gradient.norm() + 1e-6 * largest, key


def test_several_versions_and_one_by_one_agree(tiny, pairs, world):
    objective = OBJECTIVES["mcm-dpo"]
    pairs = [pair.model_copy(update={"rejected_responses": (*pair.rejected_responses, "a thing")}) for pair in pairs]
    several = {"rejection": {"image_versions": 2, "context_versions": 3}}
    examples = examples_of(pairs, tiny, world, objective, **several)
    assert len(examples.cells(0)) == 3 * 4 * 3
    scores = []
    for rows in get_args(Rows):
        batch = Collator(examples, rows=rows).seen([examples[0], examples[1]])
        for attention in ("segments", "dense"):
            with torch.no_grad():
                scores.append(TrieScorer(tiny.model, tiny.family, attention=attention)(batch))
    for other in scores[1:]:
        assert (other - scores[0]).abs().max() < 1e-4


def test_each_distinct_image_is_encoded_once(tiny, pairs, world):
    examples = examples_of(pairs, tiny, world, OBJECTIVES["mcm-dpo"])
    batch = Collator(examples).seen([examples[0], examples[1], examples[2]])
    seen = []
    handle = tiny.model.model.vision_tower.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(len(args[0] if args else kwargs["pixel_values"])), with_kwargs=True
    )
    with torch.no_grad():
        TrieScorer(tiny.model, tiny.family)(batch)
    handle.remove()
    assert seen == [6]  # two images of three samples, for twenty-four cells


def test_an_equal_rejected_version_scores_like_the_chosen_one(tiny, pairs, world):
    twins = [pair.model_copy(update={"rejected_responses": (pair.response,)}) for pair in pairs]
    examples = examples_of(twins, tiny, world, OBJECTIVES["dpo"])
    batch = Collator(examples).seen([examples[0]])
    with torch.no_grad():
        logps = TrieScorer(tiny.model, tiny.family)(batch)
    assert examples.cells(0) == [Cell(), Cell(response=1)]
    assert logps[0] == logps[1]
