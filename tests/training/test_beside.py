"""Chosen and rejected image in one prompt: what is asked, what it scores, and what IC-VCO makes of it."""

import math

import pytest
import torch
from PIL import Image
from small_runs import STAGE, log_of, recipe_of, train
from tiny_families import load_copy
from torch.nn.functional import logsigmoid
from transformers import AutoModelForImageTextToText

from trifacet.base.errors import DataError, TrifacetError
from trifacet.data.formats import write_samples
from trifacet.engine.encode import Asked, SampleEncoder
from trifacet.engine.scoring import TrieScorer, collate, numbered
from trifacet.preferences.facets import CORNERS, Facet
from trifacet.preferences.losses import make_plan, objective_loss
from trifacet.preferences.objectives import OBJECTIVES, resolve_objective
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.beside import anchored, rejected_comes_first
from trifacet.training.concerns import concerns
from trifacet.training.examples import Collator, Examples, Rejection

PROMPT, LABEL = "Write alt-text.", "Context:"
IC_VCO = OBJECTIVES["ic-vco"]


def examples_of(samples, images, loaded, objective=IC_VCO, **rejection):
    encoder = SampleEncoder(loaded.family, prompt=PROMPT, context_label=LABEL, max_length=2048)
    return Examples(
        samples,
        objective,
        encoder,
        images,
        Rejection(image_strategy("blackness"), seed=1, **rejection),
        max_pixels=10**6,
    )


@pytest.fixture
def album(posts):
    """Each with the next one's picture as its rejected image; one shows a further picture, one has no post."""
    samples = [
        post.model_copy(update={"rejected_images": (posts[(number + 1) % len(posts)].image,)})
        for number, post in enumerate(posts)
    ]
    samples[1] = samples[1].model_copy(update={"more_images": (posts[3].image,)})
    samples[2] = samples[2].model_copy(update={"context": "", "prompt": "What is in the picture?"})
    return samples


def plain_cells(model, processor, examples, index):
    """Each cell alone, through processor, chat template and forward of transformers."""
    sample = examples.samples[index]
    chosen, rejected, *further = (
        Image.open(examples.images / name) for name in (sample.image, *sample.rejected_images, *sample.more_images)
    )
    swapped = rejected_comes_first(1, sample.id)
    responses = [sample.response, *sample.rejected_responses]
    sums = []
    for cell in examples.cells(index):
        request = sample.prompt or PROMPT
        meant = rejected if cell.image else chosen
        pictures = [meant, *further]
        if cell.context:
            both = [rejected, chosen] if swapped else [chosen, rejected]
            pictures = [*both, *further]
            request += f" Answer based on the {'first' if both[0] is meant else 'second'} image."
        request += f"\n{LABEL}\n{sample.context}" if sample.context else ""
        user = {"role": "user", "content": [*({"type": "image"} for _ in pictures), {"type": "text", "text": request}]}
        answer = {"role": "assistant", "content": [{"type": "text", "text": responses[cell.response]}]}
        bos, lengths = processor.tokenizer.bos_token, []
        for messages, prompt in (([user], True), ([user, answer], False)):
            text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
            text = text if prompt else text.rstrip()
            add = not (bos and text.startswith(bos))
            inputs = processor(images=[pictures], text=[text], return_tensors="pt", add_special_tokens=add)
            lengths.append(inputs["input_ids"].shape[1])
        logits = model(**inputs).logits[0, :-1].float()
        token_logps = torch.log_softmax(logits, -1).gather(-1, inputs["input_ids"][0, 1:, None])[:, 0]
        sums.append(token_logps[lengths[0] - 1 :].sum())
    return torch.stack(sums)


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl"])
@pytest.mark.parametrize("rows", ["batch", "path"])
def test_scores_equal_the_plain_model_path_by_path(family, rows, family_folders, album, photos):
    folder = family_folders(family)
    loaded = load_copy(folder)
    examples = examples_of(album, photos, loaded)
    examples.check()
    everything = [examples[index] for index in range(len(album))]
    assert {rejected_comes_first(1, sample.id) for sample in album} == {True, False}
    batch, needed = Collator(examples, rows=rows)(everything)
    scored_C = TrieScorer(loaded.model, loaded.family)(batch)
    plain = AutoModelForImageTextToText.from_pretrained(folder)
    expected_C = torch.cat([plain_cells(plain, loaded.processor, examples, index) for index in range(len(album))])
    assert expected_C.std() > 1
    assert (scored_C - expected_C).abs().max() < 1e-4

    by_corner = expected_C.reshape(len(album), len(CORNERS))
    assert (by_corner[:, 2] - by_corner[:, 6]).abs().min() > 1e-3  # the same pictures, another one meant
    reference_C = expected_C.detach() + torch.linspace(-1, 1, len(expected_C))
    for logps_C in (scored_C, expected_C):
        objective_loss(IC_VCO, logps_C, reference_C, batch.lengths_C, needed.plan).loss.backward()
    ours = {key: weight.grad for key, weight in loaded.model.named_parameters() if weight.grad is not None}
    largest = max(gradient.abs().max() for gradient in ours.values())
    for key, weight in plain.named_parameters():
        if weight.grad is not None:
            assert (ours[key] - weight.grad).norm() <= 1e-3 * weight.grad.norm() + 1e-6 * largest, key


def test_every_image_is_encoded_once_and_its_tokens_are_shared(album, photos, family_folders):
    loaded = load_copy(family_folders("llava"))
    examples = examples_of(album, photos, loaded)
    one = examples[0].encoded
    _, images = numbered([one])
    assert len(images) == 2
    every = [examples[index].encoded for index in range(len(album))]
    assert len(numbered(every)[1]) == len({sample.image for sample in album})  # all are each other's
    tokens = len(loaded.family.image_tokens(images[0]))
    batch = collate([one], loaded.family, 0)
    assert int((batch.images_BN >= 0).sum()) == 3 * tokens  # alone, alone, and behind the one that is shown first


def test_the_objective_is_the_released_one_less_what_the_page_names():
    """Both branches: pairs and anchors, their means weighed by 1.75 and .75, the mean of the branches."""
    torch.manual_seed(3)
    versions = dict.fromkeys(Facet, 1)
    plan = make_plan(IC_VCO, [versions] * 3)
    policy, reference = torch.randn(2, 24, dtype=torch.float64) * 20
    loss = objective_loss(IC_VCO, policy, reference, torch.ones(24), plan).loss
    place = {corner: number for number, corner in enumerate(map(str, CORNERS))}
    reward = 0.1 * (policy - reference).reshape(3, 8)

    def branch(pairs):
        chosen, rejected = (torch.cat([reward[:, place[pair[side]]] for pair in pairs]) for side in (0, 1))
        return -logsigmoid(chosen - rejected).mean() - logsigmoid(chosen).mean()

    single = branch([("chosen", "response"), ("image+response", "image")])
    multi = branch([("context", "context+response"), ("image+context+response", "image+context")])
    assert loss.item() == pytest.approx((1.75 * single + 0.75 * multi).item() / 2)
    assert objective_loss(IC_VCO, policy, policy, torch.ones(24), plan).loss.item() == pytest.approx(2.5 * math.log(2))


def test_the_instruction_stands_behind_the_request():
    assert anchored(Asked(None, "Be brief."), PROMPT, 1) == Asked(
        "Write alt-text. Answer based on the second image.", "Be brief."
    )
    assert anchored(Asked("Why?"), PROMPT, 0).prompt == "Why? Answer based on the first image."
    drawn = [rejected_comes_first(5, str(number)) for number in range(200)]
    assert 80 < sum(drawn) < 120
    assert drawn != [rejected_comes_first(6, str(number)) for number in range(200)]


def test_what_cannot_be_is_refused(album, photos, family_folders):
    loaded = load_copy(family_folders("llava"))
    two = album[0].model_copy(update={"rejected_images": (album[1].image, album[2].image)})
    with pytest.raises(DataError, match="shows one rejected image beside the chosen one, not several"):
        examples_of([two], photos, loaded).check()
    bare = [sample.model_copy(update={"rejected_images": ()}) for sample in album]
    with pytest.raises(DataError, match=r"rejected.image.versions: 1"):
        examples_of(bare, photos, loaded, image_versions=2).check()
    examples_of(bare, photos, loaded).check()  # the strategy makes one
    with pytest.raises(TrifacetError, match="no term does"):
        resolve_objective({"base": "dpo", "beside": True})


def test_a_sample_without_an_image_keeps_what_is_about_its_responses(album, photos, family_folders):
    sample = album[0].model_copy(update={"image": None, "rejected_images": ()})
    examples = examples_of([sample, album[1]], photos, load_copy(family_folders("llava")))
    examples.check()
    assert [str(cell.corner) for cell in examples.cells(0)] == ["chosen", "response"]
    assert examples.without == {Facet.IMAGE: 1}
    assert examples.versions(0) == examples[0].versions
    (said,) = concerns(IC_VCO, examples.without, {}, 2)
    assert "1 of 2 samples lack an image: 6 of the 8 terms" in said


def test_what_is_about_the_chosen_image_alone_shows_the_rejected_one(album, photos, family_folders):
    """For data whose rejected response is right for no picture."""
    others = [term.name for term in IC_VCO.terms if "other" in term.name]
    half = resolve_objective({"base": "ic-vco", "name": "half", "drop": others})
    loaded = load_copy(family_folders("llava"))
    examples = examples_of(album, photos, loaded, half)
    examples.check()
    assert [str(cell.corner) for cell in examples.cells(0)] == ["chosen", "response", "context", "context+response"]
    with torch.no_grad():
        scored_C = TrieScorer(loaded.model, loaded.family)(Collator(examples).seen([examples[0]]))
        whole_C = TrieScorer(loaded.model, loaded.family)(
            Collator(whole := examples_of(album, photos, loaded)).seen([whole[0]])
        )
    assert torch.allclose(scored_C, whole_C[:4], rtol=0, atol=1e-4)


def test_a_run_trains_it_beside_another_objective_of_the_same_corners(tmp_path, pairs, world, tiny_folder):
    (tmp_path / "data").mkdir()
    images = [pair.image for pair in pairs]
    samples = [
        pair.model_copy(update={"rejected_images": (images[(number + 1) % len(images)],)})
        for number, pair in enumerate(pairs)
    ]
    for name in images:
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes((world / name).read_bytes())
    write_samples(samples, tmp_path / "data" / "preference.jsonl", "trifacet", "preference")
    stage = {**STAGE, "max_steps": 2, "accumulation": 2}
    changes = {
        "sft": None,
        "align.ic": {**stage, "objective": "ic-vco"},
        "align.mcm": {**stage, "objective": "mcm-dpo"},
    }
    recipe = recipe_of(tmp_path / "out", tmp_path / "data", tiny_folder, changes)
    first = log_of(train(recipe, "ic", tiny_folder))[0]
    assert first["loss"] == pytest.approx(2.5 * math.log(2), abs=2e-5)
    assert log_of(train(recipe, "mcm", tiny_folder))[0]["loss"] == pytest.approx(2.8 * math.log(2), abs=2e-5)
