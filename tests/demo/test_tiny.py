"""The tiny LLaVA: loads with plain transformers, reads the picture, and its tokenizer loses nothing."""

import copy

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoProcessor, LlavaForConditionalGeneration

from trifacet.demo.tiny import make_tiny_llava
from trifacet.demo.warmup import warm_up
from trifacet.models.settings import TinyModel

SPEC = TinyModel(
    hidden_size=32, layers=2, heads=2, vision_hidden_size=32, vision_layers=2, vision_heads=2, image_size=32,
    patch_size=8, vocabulary=400,
)  # fmt: skip
TEXTS = ["Three red kites for Rovena on the beach.", "What a day! I made it for Rovena."] * 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_llava(SPEC, TEXTS, tmp_path_factory.mktemp("tiny") / "model", seed=1)


@pytest.fixture(scope="module")
def processor(folder):
    return AutoProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder):
    return LlavaForConditionalGeneration.from_pretrained(folder).eval()


def conversation(*, answer=None):
    content = [{"type": "image"}, {"type": "text", "text": "Write alt-text.\nContext:\nWhat a day!"}]
    answers = [{"role": "assistant", "content": [{"type": "text", "text": answer}]}] if answer else []
    return [{"role": "user", "content": content}, *answers]


def test_prompt_is_the_start_of_the_whole_conversation(processor):
    prompt = processor.apply_chat_template(conversation(), add_generation_prompt=True, tokenize=False)
    whole = processor.apply_chat_template(conversation(answer="Three red kites."), tokenize=False)
    assert whole.startswith(prompt)
    assert whole[len(prompt) :] == " Three red kites.</s>"
    tokens = processor.tokenizer(prompt).input_ids
    assert processor.tokenizer(whole).input_ids[: len(tokens)] == tokens


def test_a_picture_of_any_shape_goes_through_and_matters(processor, model):
    prompt = processor.apply_chat_template(conversation(), add_generation_prompt=True, tokenize=False)
    logits = []
    for colour, size in (("red", (50, 20)), ("blue", (50, 20)), ("red", (20, 90))):
        inputs = processor(images=Image.new("RGB", size, colour), text=prompt, return_tensors="pt")
        assert (inputs["input_ids"] == model.config.image_token_id).sum() == (32 // 8) ** 2
        assert inputs["pixel_values"].shape == (1, 3, 32, 32)
        with torch.no_grad():
            logits.append(model(**inputs).logits)
    assert not torch.allclose(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2])


def test_it_writes_text(processor, model):
    prompt = processor.apply_chat_template(conversation(), add_generation_prompt=True, tokenize=False)
    inputs = processor(images=Image.new("RGB", (40, 40)), text=prompt, return_tensors="pt")
    written = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert written.shape[1] - inputs["input_ids"].shape[1] <= 3


def test_tokenizer_keeps_any_text(processor):
    for text in ("Three red kites for Rovena.", "naïve – 漢字 🎈\n\ttabs  two spaces", "<b>&amp;"):
        tokens = processor.tokenizer(text, add_special_tokens=False).input_ids
        assert processor.tokenizer.decode(tokens, skip_special_tokens=True) == text


def test_the_seed_alone_decides_the_weights(folder, tmp_path):
    torch.manual_seed(99)  # the caller's own chance neither matters nor is disturbed
    before = torch.get_rng_state()
    again = make_tiny_llava(SPEC, TEXTS, tmp_path / "again", seed=1)
    other = make_tiny_llava(SPEC, TEXTS, tmp_path / "other", seed=2)
    assert torch.equal(before, torch.get_rng_state())
    first, second, third = (load_file(path / "model.safetensors") for path in (folder, again, other))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in first)


def test_warm_up_learns_from_the_layer_that_the_projector_reads(folder, processor):
    model = LlavaForConditionalGeneration.from_pretrained(folder)
    before = copy.deepcopy(model.state_dict())
    first = warm_up(model, processor.tokenizer, 5, seed=1)
    later = warm_up(model, processor.tokenizer, 40, seed=1)
    assert later.attributes > first.attributes + 0.1
    assert later.captions < 0.85 * first.captions
    assert later.reading < 0.85 * first.reading
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert any("multi_modal_projector" in name for name in changed)
    assert any("language_model.layers.1" in name for name in changed)
    assert any("vision_tower.encoder.layers.0" in name for name in changed)
    assert not any("vision_tower.encoder.layers.1" in name for name in changed)  # two layers: -2 is the first's output


def test_warm_up_is_part_of_making(tmp_path, folder):
    spec = SPEC.model_copy(update={"warmup_steps": 2})
    made = [load_file(make_tiny_llava(spec, TEXTS, tmp_path / name, seed=1) / "model.safetensors") for name in "ab"]
    cold = load_file(folder / "model.safetensors")
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert any(not torch.equal(made[0][name], cold[name]) for name in cold)
