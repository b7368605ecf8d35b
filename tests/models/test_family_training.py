"""Every family trains, saves, loads and writes like the plain model."""

import json
import re
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from searching import some
from small_runs import STAGE, log_of, recipe_of, train
from tiny_adapters import FILE, adapt, base_of, check, edit, logits
from tiny_families import MAKERS, load_copy
from transformers import AutoModelForImageTextToText

from trifacet.data.records import TestSample
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.scoring import TrieScorer
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.models.asking import WayOfAsking
from trifacet.models.decoding import decoding
from trifacet.models.difference import compare_checkpoints
from trifacet.models.loading import load_model, save_model
from trifacet.models.paradigms import LoraSettings, choose_trained
from trifacet.models.settings import Lora
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.examples import Collator, Examples, Rejection
from trifacet.training.sources import Start

LORA = LoraSettings(rank=4, alpha=8, dropout=0.0, targets=Lora().targets)
NUMBERS = re.compile(r"\.\d+\.")


# of two families with the same code, or nearly so, one; tests/engine has all of them
@pytest.fixture(params=some(MAKERS, "llava", "qwen2_5_vl", "qwen3_vl", "idefics3", "internvl", "gemma3"))
def family_folder(request, family_folders):
    return family_folders(request.param)


@pytest.fixture(params=some(MAKERS, "llava", "qwen2_vl", "gemma3"))
def some_family(request, family_folders):
    return family_folders(request.param)


def encoder_of(family):
    return SampleEncoder(family, prompt="Write alt-text.", context_label="Context:", max_length=2048)


def batch_for(loaded, posts, photos, objective="mcm-dpo"):
    rejection = Rejection(image_strategy("diffusion", 700), seed=1)
    encoder = encoder_of(loaded.family)
    examples = Examples(posts, OBJECTIVES[objective], encoder, photos, rejection, max_pixels=10**6)
    batch = Collator(examples).seen([examples[index] for index in (0, 1)])
    return batch


def scores(loaded, model, batch):
    with torch.no_grad():
        return TrieScorer(model, loaded.family).eval()(batch)


@pytest.mark.parametrize("train_vision", [False, True])
def test_what_a_paradigm_trains_is_what_gets_a_gradient(train_vision, family_folder, posts, photos):
    loaded = load_copy(family_folder)
    _, table = choose_trained(loaded.model, loaded.family, train_vision=train_vision, lora=None)
    TrieScorer(loaded.model, loaded.family)(batch_for(loaded, posts, photos)).sum().backward()
    got = {key for key, weight in loaded.model.named_parameters() if weight.grad is not None}
    assert got == {key for key, weight in loaded.model.named_parameters() if weight.requires_grad}
    how = {row.part: row.how for row in table}
    assert how["projector"] == how["language"] == "full"
    assert (how["vision"] != "frozen") == train_vision
    total = sum(weight.numel() for weight in loaded.model.parameters())
    assert sum(row.total for row in table) == total  # every weight belongs to one part


@pytest.mark.parametrize("train_vision", [False, True])
def test_lora_trains_the_language_model_and_merges_as_it_was(train_vision, tmp_path, family_folder, posts, photos):
    loaded = load_copy(family_folder)
    batch = batch_for(loaded, posts, photos)
    before = scores(loaded, loaded.model, batch)
    model, table = choose_trained(loaded.model, loaded.family, train_vision=train_vision, lora=LORA)
    adapted = {NUMBERS.sub(".", key) for key in model.state_dict() if "lora_A" in key}
    assert len(adapted) == 7  # q, k, v, o, gate, up and down of the language model's layers
    assert all(f".{loaded.family.language}." in key for key in adapted)
    assert {row.part: row.how for row in table}["language"] == "LoRA"
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight), alpha=0.03)
    unmerged = scores(loaded, model, batch)
    assert (unmerged - before).std() > 0.1
    with model.disable_adapter():
        assert torch.equal(scores(loaded, model, batch), before)
    save_model(model, loaded.processor, tmp_path / "adapter", WayOfAsking(image_tiles=loaded.image_tiles))
    again = load_model(tmp_path / "adapter")
    assert type(again.family) is type(loaded.family)
    torch.testing.assert_close(scores(again, again.model, batch), unmerged, atol=1e-3, rtol=1e-4)


def test_it_trains_and_what_is_saved_loads_with_transformers_alone(tmp_path, family_folder, world, posts, photos):
    data = tmp_path / "data"
    shutil.copytree(photos, data)
    rows = [post.model_dump(mode="json", exclude_none=True) for post in posts]
    (data / "preference.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    steps = {**STAGE, "max_steps": 6, "learning_rate": 2e-3}
    alignment = {**steps, "objective": "mcm-dpo", "gradient_checkpointing": True}
    changes = {"sft": steps, "align": {"mcm": alignment}, "model.image_tiles": "any"}
    changes["data"] = {"root": str(data), "preference": "preference.jsonl"}
    recipe = recipe_of(tmp_path / "out", data, family_folder, changes)
    sft = train(recipe, "sft", family_folder)
    mcm = train(recipe, "mcm", Start("sft", sft / "model"))
    for folder in (sft, mcm):
        losses = [row["loss"] for row in log_of(folder) if "loss" in row]
        assert sum(losses[-2:]) < 0.9 * sum(losses[:2])
    loaded = load_model(mcm / "model")
    assert loaded.family.name == load_model(family_folder, image_tiles="any").family.name
    plain = AutoModelForImageTextToText.from_pretrained(mcm / "model").state_dict()
    assert all(torch.equal(weight, plain[key]) for key, weight in loaded.model.state_dict().items())


@pytest.mark.parametrize("beams", [1, 3])
def test_texts_are_those_of_transformers_alone(beams, family_folder, posts, photos):
    loaded = load_copy(family_folder)
    encoder = encoder_of(loaded.family)
    settings = Generation(beams=beams, max_new_tokens=8, batch_size=3)
    further = {1: ("3.png",), 2: ("2.png",)}  # beside other posts in a batch one shows two pictures, one the same twice
    samples = [
        TestSample(id=str(n), image=post.image, more_images=further.get(n, ()), context=post.context)
        for n, post in enumerate(posts)
    ]
    texts = FamilyWriter(loaded.model, encoder, settings).write(samples, photos)
    processor = loaded.processor
    for post, text in zip(samples, texts, strict=True):
        request = {"type": "text", "text": f"Write alt-text.\nContext:\n{post.context}"}
        content = [*({"type": "image"} for _ in post.pictures), request]
        asked = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        add = not asked.startswith(processor.tokenizer.bos_token or "\0")
        pictures = [Image.open(photos / name) for name in post.pictures]
        inputs = processor(images=[pictures], text=[asked], return_tensors="pt", add_special_tokens=add)
        config = decoding(
            loaded.model, encoder.tokenizer, temperature=0, longest=8, ends=[encoder.end_id],
            reserved=loaded.family.reserved_ids, beams=beams,
        )  # fmt: skip
        output = loaded.model.generate(**inputs, generation_config=config)[0, inputs["input_ids"].shape[1] :]
        assert processor.tokenizer.decode(output, skip_special_tokens=True).strip() == text.text
        assert text.prompt_tokens == inputs["input_ids"].shape[1]
        assert set(config.suppress_tokens) >= loaded.family.reserved_ids
    assert len({text.text for text in texts}) > 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_arithmetic_in_bfloat16_is_near_and_trains(dtype, family_folder, posts, photos):
    """Mixed precision over float32 weights, and adapters in float32 over a bfloat16 model."""
    exact = load_copy(family_folder)
    batch = batch_for(exact, posts, photos)
    loaded = load_model(family_folder, dtype=dtype, image_tiles="any")
    lora = LORA if dtype == "bfloat16" else None
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=True, lora=lora)
    scored = TrieScorer(model, loaded.family, mixed_precision=True)(batch)
    expected = scores(exact, exact.model, batch)
    assert (scored - expected).abs().max() < 0.1 * expected.abs().max()
    scored.sum().backward()
    gradients = [weight.grad for weight in model.parameters() if weight.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.filterwarnings("ignore")  # PEFT's, of tied embeddings
def test_an_adapter_on_anything_is_merged_and_seen_as_it_was_trained(some_family, tmp_path):
    """LoRA of language model, embeddings, head and patches, a module trained whole, biases; embeddings tied."""
    start = shutil.copytree(some_family, tmp_path / "start")
    base = base_of(start, tied=True)
    base.save_pretrained(start)
    layers = (torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Linear)
    patches = next(name for name, module in base.named_modules() if isinstance(module, layers) and "patch" in name)
    norm = f"{load_copy(some_family).family.language}.norm"
    targets = ["q_proj", patches, "lm_head", "embed_tokens"]
    trained = adapt(base, tmp_path / "adapter", target_modules=targets, modules_to_save=[norm], bias="all")
    assert (logits(trained) - logits(base)).abs().max() > 0.1
    whole = check(base, tmp_path / "adapter", logits(trained))
    assert not (whole.config.tie_word_embeddings or whole.config.get_text_config().tie_word_embeddings)
    assert whole.get_output_embeddings().weight is not whole.get_input_embeddings().weight

    edit(tmp_path / "adapter", lambda config: config.update(base_model_name_or_path=str(start)))
    found = compare_checkpoints(start, tmp_path / "adapter")
    assert (found.only_base, found.only_aligned) == ([], [])
    ends = (".q_proj.weight", f"{patches}.weight", "embed_tokens.weight", f"{norm}.weight", "lm_head.weight", ".bias")
    weights = [name for name, _ in base.named_parameters(remove_duplicate=False)]
    assert {one.name for one in found.changed} == {n.removeprefix("model.") for n in weights if n.endswith(ends)}
    before, after = base.state_dict(), whole.state_dict()
    for one in found.changed:
        name = one.name if one.name in before else f"model.{one.name}"
        assert one.largest == pytest.approx((after[name] - before[name]).abs().max().item(), rel=1e-4)


# How the releases of transformers before 4.52 named what is now model.language_model ..., and those in between.
LLAVA = {
    "lm_head": "language_model.lm_head",
    "model.language_model": "language_model.model",
    "model.vision_tower": "vision_tower.vision_model",
    "model.multi_modal_projector": "multi_modal_projector",
}
CLIP = {"model.vision_tower": "model.vision_tower.vision_model"}
QWEN = {"model.language_model": "model", "model.visual": "visual"}
LONG = pytest.mark.endurance
OLD = [
    ("llava", LLAVA),
    *[pytest.param(family, LLAVA, marks=LONG) for family in ("llava_next", "gemma3")],
    pytest.param("gemma3", CLIP, marks=LONG),
    ("internvl", {**LLAVA, "model.vision_tower": "vision_tower"}),
    ("qwen2_vl", QWEN),
    pytest.param("qwen2_5_vl", QWEN, marks=LONG),
]


def renamed(name, names):
    return next((old + name.removeprefix(new) for new, old in names.items() if name.startswith(f"{new}.")), name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("family", "names"), OLD)
def test_the_keys_of_earlier_releases_are_known(family, names, family_folders, tmp_path):
    base = base_of(family_folders(family))
    layers = [
        name for name, module in base.named_modules()
        if isinstance(module, torch.nn.Linear) and re.search(r"\.(q_proj|qkv|up_proj|fc1|linear_1)$", name)
    ]  # fmt: skip
    one = next(name for name in layers if "language_model" in name and ".1." in name)
    others = {"modules_to_save": ["lm_head", "norm"], "alpha_pattern": {re.escape(one): 64}}
    trained = adapt(base, tmp_path, target_modules=layers, **others)
    weights = load_file(tmp_path / FILE)
    start = "base_model.model."
    assert any("vision" in key or "visual" in key for key in weights)
    old = {start + renamed(key.removeprefix(start), names): tensor for key, tensor in weights.items()}
    assert old.keys() != weights.keys()
    save_file(old, tmp_path / FILE)
    asked = "|".join(re.escape(renamed(name, names)) for name in layers)
    then = {re.escape(renamed(one, names)): 64}
    edit(tmp_path, lambda config: config.update(target_modules=asked, alpha_pattern=then))
    check(base, tmp_path, logits(trained))
