"""Token entropies by the trie are those of the plain model's softmax, path by path; they are kept beside the scores."""

import math
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlavaForConditionalGeneration

from trifacet.base.errors import TrifacetError
from trifacet.engine import scoring
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.reference import load_reference, load_scores, save_reference
from trifacet.engine.scoring import Rows, TrieScorer, logps_and_entropies
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.examples import Collator, Examples, Rejection


def plain_entropies(model, processor, examples, index):
    """Of each cell's response, by the released classes alone and the definition: the mean of -sum p log p."""
    sample, images, contexts = examples.samples[index], examples.image_versions(index), examples.contexts(index)
    responses = [sample.response, *sample.rejected_responses]
    found = []
    for cell in examples.cells(index):
        request = f"Write alt-text.\nContext:\n{contexts[cell.context]}"
        user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": request}]}
        answer = {"role": "assistant", "content": [{"type": "text", "text": responses[cell.response]}]}
        lengths = []
        for messages, prompt in (([user], True), ([user, answer], False)):
            text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
            picture = examples.picture(index)
            inputs = processor(images=picture, text=text, return_tensors="pt", add_special_tokens=False)
            lengths.append(inputs["input_ids"].shape[1])
        inputs["pixel_values"] = images[cell.image].pixel_values
        with torch.no_grad():
            probabilities_LV = model(**inputs).logits[0, lengths[0] - 1 : -1].double().softmax(-1)
        found.append(-(probabilities_LV * probabilities_LV.log()).sum(-1).mean())
    return torch.stack(found)


@pytest.fixture
def examples(tiny, pairs, world):
    encoder = SampleEncoder(tiny.family, prompt="Write alt-text.", context_label="Context:", max_length=2048)
    rejection = Rejection(image_strategy("diffusion", 700), seed=1)
    return Examples(pairs[:3], OBJECTIVES["mcm-dpo"], encoder, world, rejection, max_pixels=10**6)


def test_entropies_equal_the_plain_models(tiny, tiny_folder, examples, monkeypatch):
    plain = LlavaForConditionalGeneration.from_pretrained(tiny_folder)
    expected_C = torch.cat([plain_entropies(plain, tiny.processor, examples, index) for index in range(3)])
    assert expected_C.std() > 0.01  # an agreement of equal numbers would show nothing
    scorer = TrieScorer(tiny.model, tiny.family)
    for rows in get_args(Rows):
        batch = Collator(examples, rows=rows).seen([examples[index] for index in range(3)])
        for logits_at_once in (scoring.LOGITS_AT_ONCE, 7 * 600):  # of a vocabulary of 600: seven tokens a time
            monkeypatch.setattr(scoring, "LOGITS_AT_ONCE", logits_at_once)
            largest = []
            head = tiny.model.lm_head.register_forward_hook(lambda _, __, out: largest.append(out.numel()))  # noqa: B023
            scores_2C = scorer.with_entropies(batch)
            head.remove()
            assert max(largest) <= logits_at_once
            assert (scores_2C[1].double() - expected_C).abs().max() < 1e-5
            assert not scores_2C.requires_grad
            with torch.no_grad():
                assert torch.equal(scores_2C[0], scorer(batch))  # the scores themselves are what they were


def test_the_entropy_of_extreme_logits_is_a_number():
    certain = torch.tensor([[1e4, 0.0, -torch.inf], [0.0, 0.0, -torch.inf], [3.0, 3.0, 3.0]])
    _, entropies = logps_and_entropies(certain, torch.tensor([0, 1, 2])).unbind(-1)
    assert entropies.tolist() == pytest.approx([0.0, math.log(2), math.log(3)])


LOGPS, ENTROPIES = [torch.tensor([-1.5, -2.0]), torch.tensor([-3.0])], [torch.tensor([0.5, 1.0]), torch.tensor([2.0])]


def test_entropies_are_kept_beside_the_scores(tmp_path):
    path, made_for = tmp_path / "sft-all.safetensors", {"samples": "a"}
    save_reference(path, LOGPS, made_for)
    assert load_scores(path, made_for).entropies is None
    save_reference(path, LOGPS, made_for, ENTROPIES)
    known = load_scores(path, made_for)
    assert all(torch.equal(one, other) for one, other in zip(known.logps, load_reference(path, made_for), strict=True))
    assert all(torch.equal(one, other) for one, other in zip(known.entropies, ENTROPIES, strict=True))


def test_damaged_entropies_are_refused(tmp_path):
    from safetensors import safe_open

    path, made_for = tmp_path / "sft-all.safetensors", {"samples": "a"}
    save_reference(path, LOGPS, made_for, ENTROPIES)
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    save_file({**load_file(path), "entropies": torch.tensor([0.5, 1.0, 2.5])}, path, metadata=header)
    with pytest.raises(TrifacetError, match="damaged"):
        load_scores(path, made_for)
