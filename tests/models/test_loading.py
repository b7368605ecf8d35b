"""What can be loaded gives the numbers of its weights; what cannot is refused in one line."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from small_runs import batch_of, recipe_of
from transformers import (
    AutoTokenizer,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
)

from trifacet.base.errors import TrifacetError
from trifacet.base.images import to_rgb
from trifacet.engine.family import ImageInput
from trifacet.engine.scoring import TrieScorer
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model, load_processor, save_model, weights_fingerprint


def test_a_saved_model_loads_as_it_was(tmp_path, tiny, tiny_folder, world):
    asking = WayOfAsking(prompt="Write.")
    save_model(tiny.model, tiny.processor, tmp_path / "model", asking)
    again = load_model(tmp_path / "model")
    assert weights_fingerprint(again.model) == weights_fingerprint(tiny.model)
    assert WayOfAsking.read(tmp_path / "model") == asking
    assert json.loads((tmp_path / "model" / "trifacet.json").read_text()) == {
        "prompt": "Write.", "context_label": "Context:", "max_length": 2048, "image_tiles": "one", "image_pixels": None
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["model"]  # nothing unfinished beside it
    _, batch = batch_of(recipe_of("unused", world, tiny_folder), "mcm", tiny_folder)
    _, other = batch_of(recipe_of("unused", world, tmp_path / "model"), "mcm", tmp_path / "model")
    with torch.no_grad():
        ours = TrieScorer(again.model, again.family)(other)
        assert torch.equal(ours, TrieScorer(tiny.model, tiny.family)(batch))


@pytest.fixture(scope="module")
def next_folder(tmp_path_factory, tiny_folder):
    """A LLaVA-1.6 as the hub has them: its own model and processor classes, several tiles, a Vicuna template."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.chat_template = None
    torch.manual_seed(3)
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, image_size=32,
            patch_size=8,
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=48, intermediate_size=96, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=4, initializer_range=0.2,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=[[32, 64], [64, 32], [64, 64]],
        vision_feature_layer=-2,
    )  # fmt: skip
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessor(
            size={"shortest_edge": 32},
            crop_size={"height": 32, "width": 32},
            image_grid_pinpoints=[[32, 64], [64, 32], [64, 64]],
        ),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
    )
    folder = tmp_path_factory.mktemp("next") / "model"
    LlavaNextForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_llava_next_weights_run_as_one_tile(next_folder):
    loaded = load_model(next_folder)
    assert type(loaded.model) is LlavaForConditionalGeneration
    stored = load_file(next_folder / "model.safetensors")
    assert any(key.endswith("image_newline") for key in stored)

    plain = LlavaForConditionalGeneration(loaded.model.config).eval()
    expected = LlavaNextForConditionalGeneration.from_pretrained(next_folder).state_dict()
    plain.load_state_dict({key: weight for key, weight in expected.items() if not key.endswith("image_newline")})
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 70, 3), dtype=np.uint8))
    text = loaded.processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}],
        add_generation_prompt=True,
    )
    assert text == "USER: <image>\nWhat is it? ASSISTANT:"
    inputs = loaded.processor(images=picture, text=text, return_tensors="pt")
    assert int((inputs["input_ids"] == loaded.family.placeholder_id).sum()) == (32 // 8) ** 2
    assert len(loaded.family.image_tokens(ImageInput(inputs["pixel_values"]))) == (32 // 8) ** 2
    with torch.no_grad():
        assert torch.equal(loaded.model(**inputs).logits, plain(**inputs).logits)


def test_llava_next_is_scored_by_the_trie(next_folder, world):
    recipe = recipe_of("unused", world, next_folder)
    loaded, batch = batch_of(recipe, "mcm", next_folder)
    alone = batch_of(recipe_of("unused", world, next_folder, {"model.trie": False}), "mcm", next_folder)[1]
    with torch.no_grad():
        scorer = TrieScorer(loaded.model, loaded.family)
        torch.testing.assert_close(scorer(batch), scorer(alone), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(96, 32), (32, 96)])
def test_a_picture_that_is_not_square_is_padded_and_not_cropped(next_folder, size):
    """Its two ends keep their colours, and what is added has the mean colour."""
    family = load_processor(next_folder)
    pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    along = np.moveaxis(pixels, int(size[0] > size[1]), 0)
    along[:10], along[-10:] = (255, 0, 0), (0, 0, 255)
    seen = family.read(Image.fromarray(pixels)).pixel_values[0]
    assert seen.shape == (3, 32, 32)
    mean, std = torch.tensor(family.image_mean), torch.tensor(family.image_std)
    colours = seen.permute(1, 2, 0) * std + mean
    colours = colours if size[0] < size[1] else colours.transpose(0, 1)  # the long side goes down
    assert torch.allclose(colours[0, 16], torch.tensor([1.0, 0, 0]), atol=0.1)
    assert torch.allclose(colours[-1, 16], torch.tensor([0, 0, 1.0]), atol=0.1)
    assert torch.allclose(colours[16, 0], mean, atol=0.02)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK", "I;16"])
def test_every_mode_of_picture_has_the_same_number_of_tokens(tiny, mode):
    picture = Image.new(mode, (50, 20))
    pixels = tiny.family.read(to_rgb(picture)).pixel_values[0]
    assert pixels.shape == (3, 32, 32)
    assert len(tiny.family.image_tokens(ImageInput(pixels[None]))) == 16


@pytest.mark.parametrize("older", [{"image_token": "<image>"}, {"patch_size": 8}, None])
def test_llava_next_with_an_older_processor_reads_its_tiles(older, tmp_path, family_folders):
    folder = shutil.copytree(family_folders("llava_next"), tmp_path / "older")
    said = json.loads((folder / "processor_config.json").read_text())
    kind = {"processor_class": "LlavaNextProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(said["image_processor"] | kind))
    (folder / "processor_config.json").unlink()
    if older:
        (folder / "processor_config.json").write_text(json.dumps(older | kind))
    picture = Image.new("RGB", (70, 30))
    family, newer = (load_processor(one, image_tiles="any") for one in (folder, family_folders("llava_next")))
    assert family.image_tokens(family.read(picture)).tolist() == newer.image_tokens(newer.read(picture)).tolist()
    load_model(folder, image_tiles="any")  # and the model takes as many


def test_tokens_that_have_no_embedding_are_never_read_nor_written(tmp_path, family_folders):
    folder = shutil.copytree(family_folders("qwen2_vl"), tmp_path / "longer")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(folder)
    loaded = load_model(folder)
    size = loaded.model.config.get_text_config().vocab_size
    assert tokenizer.convert_tokens_to_ids("<new>") >= size
    encoder = WayOfAsking().encoder(loaded.family)
    path, _ = encoder.prompt_path(None, "Is it <new>?", [loaded.family.read(Image.new("RGB", (40, 40)))])
    assert path.tokens_L.max() < size
    assert tokenizer.convert_tokens_to_ids("<new>") in loaded.family.reserved_ids


def test_a_vocabulary_beyond_the_embeddings_is_refused(tmp_path, family_folders):
    folder = shutil.copytree(family_folders("qwen2_vl"), tmp_path / "longer")
    whole = json.loads((folder / "tokenizer.json").read_text())
    whole["model"]["vocab"]["zzzz"] = 99999
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    with pytest.raises(TrifacetError, match=r"tokenizer\.json: has the id 99999, and config\.json says that there are"):
        load_processor(folder)


def test_a_file_is_no_folder_of_a_checkpoint(tiny_folder):
    with pytest.raises(TrifacetError, match=r"config\.json: is a file; give the folder"):
        load_model(tiny_folder / "config.json")


@pytest.fixture
def broken(tmp_path, tiny_folder):
    return shutil.copytree(tiny_folder, tmp_path / "broken")


def edit_config(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def other_family(folder):
    edit_config(folder, lambda config: config.update(model_type="aya_vision", architectures=["AyaVision"]))


def unknown_family(folder):
    edit_config(folder, lambda config: config.update(model_type="nonesuch"))


def no_processor(folder):
    for name in ("processor_config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)


def no_image_processor(folder):
    for name in ("processor_config.json", "preprocessor_config.json"):
        (folder / name).unlink(missing_ok=True)


def only_pickle(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def lacks_weights(folder):
    weights = load_file(folder / "model.safetensors")
    kept = {key: weight for key, weight in weights.items() if "multi_modal_projector" not in key}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def foreign_weights(folder):
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "model.extra.weight": torch.ones(2)}, folder / "model.safetensors", metadata={"format": "pt"})


def other_shapes(folder):
    edit_config(folder, lambda config: config["text_config"].update(intermediate_size=64))


def truncated_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def garbage_weights(folder):
    (folder / "model.safetensors").write_bytes(b"no safetensors at all" * 10)


def empty_weights(folder):
    (folder / "model.safetensors").write_bytes(b"")


def broken_config(folder):
    (folder / "config.json").write_text('{"model_type": ')


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (other_family, "model family 'aya_vision' is not supported; supported: llava "),
        (unknown_family, "nonesuch"),
        (no_processor, "no usable processor"),
        (no_image_processor, "image processor|no usable processor"),
        (only_pickle, "safetensors"),
        (lacks_weights, "lacks weights model.multi_modal_projector"),
        (foreign_weights, "unknown weights model.extra.weight"),
        (other_shapes, "other shapes [^\n]*weights model"),
        (truncated_weights, "cannot be loaded"),
        (garbage_weights, "cannot be loaded"),
        (empty_weights, "cannot be loaded"),
        (broken_config, "cannot be loaded"),
    ],
)
def test_what_cannot_be_loaded_says_why_in_one_line(broken, breaks, message):
    breaks(broken)
    with pytest.raises(TrifacetError, match=message) as caught:
        load_model(broken)
    assert "\n" not in str(caught.value)
    assert str(broken) in str(caught.value)


@pytest.mark.parametrize("name", ["no/such", "no-such-model", "./no/such/folder", "/no/such/folder"])
def test_a_checkpoint_that_is_not_here_is_named(name):
    with pytest.raises(TrifacetError) as caught:
        load_model(name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_an_empty_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(TrifacetError, match=r"cannot be loaded|config.json"):
        load_model(tmp_path)


@pytest.mark.parametrize("given", ["", "models", "models/sft"])
def test_the_folder_of_a_run_names_the_checkpoints_in_it(tiny_folder, tmp_path, given):
    (tmp_path / "models" / "sft").mkdir(parents=True)
    (tmp_path / "models" / "sft" / "model").symlink_to(tiny_folder)
    with pytest.raises(TrifacetError, match="folder of a run") as caught:
        load_model(tmp_path / given)
    load_model(str(caught.value).partition("give ")[2])


def test_a_broken_adapter_is_named(broken):
    (broken / "adapter_config.json").write_text("[]")
    with pytest.raises(TrifacetError, match=r"adapter_config.json cannot be read"):
        load_model(broken)


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(tiny_folder, device):
    with pytest.raises(TrifacetError, match=r"^model\.device: .*try auto$"):
        load_model(tiny_folder, device=device)


def test_the_fingerprint_sees_one_changed_weight(tiny, tiny_folder):
    before = weights_fingerprint(tiny.model)
    assert before == weights_fingerprint(load_model(tiny_folder).model)
    with torch.no_grad():
        next(tiny.model.parameters()).view(-1)[0] += 1
    assert weights_fingerprint(tiny.model) != before


def test_a_merged_adapter_keeps_the_rotary_frequencies_exact(tiny_folder, tmp_path):
    """Rounded to bfloat16 they would shift every position of a long post."""
    from trifacet.models.paradigms import LoraSettings, choose_trained

    loaded = load_model(tiny_folder)
    settings = LoraSettings(2, 4, 0.0, r".*language_model.*\.q_proj")
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=False, lora=settings)
    save_model(model, loaded.processor, tmp_path / "adapter")
    merged, plain = (load_model(path, dtype="bfloat16").model for path in (tmp_path / "adapter", tiny_folder))
    for (name, ours), (_, theirs) in zip(merged.named_buffers(), plain.named_buffers(), strict=True):
        assert ours.dtype == theirs.dtype, name
        assert torch.equal(ours, theirs), name
    assert {weight.dtype for weight in merged.parameters()} == {torch.bfloat16}
