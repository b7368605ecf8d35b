"""What Qwen's families have of their own: positions in three axes, patches and back, bounds of a picture's size."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from small_runs import recipe_file, recipe_of, train
from transformers import AutoImageProcessor, Qwen2VLImageProcessorPil

from trifacet.base.errors import DataError, TrifacetError
from trifacet.engine.family import ImageInput
from trifacet.models.loading import load_model, load_processor, save_model
from trifacet.training.recipe import load_recipe

NAMES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
PATCH = 8


@pytest.fixture(params=NAMES)
def folder(request, family_folders):
    return family_folders(request.param)


def picture(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_positions_are_those_of_the_model(folder):
    """Texts of any length before, between and after up to four images of any grid."""
    loaded = load_model(folder)
    family, rng = loaded.family, np.random.default_rng(1)
    for count in [0, 1, 1, 2, 3, 4] * 10:
        images = [ImageInput(torch.empty(0), (1, *(2 * rng.integers(1, 9, 2)).tolist())) for _ in range(count)]
        pieces = [rng.integers(0, family.placeholder_id, rng.integers(1, 30)) for _ in range(count + 1)]
        runs = [
            np.full(height * width // 4, family.placeholder_id) for _, height, width in (one.layout for one in images)
        ]
        tokens_L = np.concatenate([piece for pair in zip(pieces, [*runs, []], strict=True) for piece in pair]).astype(
            int
        )
        ids = torch.from_numpy(tokens_L)[None]
        expected, _ = loaded.model.model.get_rope_index(
            ids,
            mm_token_type_ids=(ids == family.placeholder_id).int(),
            image_grid_thw=torch.tensor([image.layout for image in images]) if images else None,
        )
        assert np.array_equal(family.positions(tokens_L, images), expected[:, 0].numpy())


def test_positions_of_images_with_nothing_between_them_follow_each_grid(folder):
    family = load_processor(folder)
    images = [ImageInput(torch.empty(0), layout) for layout in ((1, 4, 2), (1, 2, 6))]
    positions = family.positions(np.full(5, family.placeholder_id), images)
    assert positions.tolist() == [[0, 0, 2, 2, 2], [0, 1, 2, 2, 2], [0, 0, 2, 3, 4]]


@pytest.mark.parametrize("size", [(32, 32), (90, 40), (33, 75), (5, 9)])
def test_frames_are_the_picture_that_the_patches_were_cut_from(folder, size):
    family = load_processor(folder)
    image = family.read(picture(*size))
    frames = family.frames(image)
    _, height, width = image.layout
    assert frames.shape == (3, height * PATCH, width * PATCH)
    patches, *grid = Qwen2VLImageProcessorPil().patchify(frames.numpy(), PATCH, 2, 2)
    assert (1, *grid) == image.layout
    assert np.array_equal(patches, image.pixel_values.numpy())
    assert torch.equal(family.with_frames(image, frames).pixel_values, image.pixel_values)
    other = torch.randn_like(frames)
    again = family.with_frames(image, other)
    assert again.layout == image.layout
    assert torch.equal(family.frames(again), other)
    assert again.key != image.key
    both = again.pixel_values.reshape(len(again.pixel_values), 3, 2, -1)
    assert torch.equal(both[:, :, 0], both[:, :, 1])  # a still picture: at both points in time the same


def test_a_picture_that_is_much_too_long_is_refused_in_one_line(folder):
    family = load_processor(folder)
    with pytest.raises(DataError, match=r"an image of 4 x 1000 pixels does not suit this model \([^\n]*200[^\n]*\)"):
        family.read(picture(4, 1000))


def test_an_answer_holds_no_vision_token(folder):
    family = load_processor(folder)
    names = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>")
    assert family.reserved_ids == set(family.processor.tokenizer.convert_tokens_to_ids(names))


def test_vision_projector_and_language_are_the_whole_model(folder):
    loaded = load_model(folder)
    parts = [{id(weight) for weight in part.parameters()} for part in loaded.family.parts(loaded.model).values()]
    assert set().union(*parts) == {id(weight) for weight in loaded.model.parameters()}
    assert sum(map(len, parts)) == len(set().union(*parts))
    mergers = {name for name, weight in loaded.model.named_parameters() if id(weight) in parts[1]}
    assert all("merger" in name for name in mergers)
    assert {name for name, _ in loaded.model.named_parameters() if "merger" in name} == mergers


def test_image_pixels_bound_the_tokens_and_are_saved_with_the_model(tmp_path, folder):
    big = picture(300, 200)
    assert np.prod(load_processor(folder).read(big).layout) <= 4 * 16  # as the checkpoint says: at most 16 tokens
    loaded = load_model(folder, image_pixels=(30 * 256, 40 * 256))  # a token takes 16 x 16 pixels here
    assert 30 <= len(loaded.family.image_tokens(loaded.family.read(big))) <= 40
    assert 30 <= len(loaded.family.image_tokens(loaded.family.read(picture(20, 20)))) <= 40
    save_model(loaded.model, loaded.processor, tmp_path / "model")
    again = AutoImageProcessor.from_pretrained(tmp_path / "model")
    assert (again.size["shortest_edge"], again.size["longest_edge"]) == (30 * 256, 40 * 256)
    assert load_processor(tmp_path / "model").read(big).layout == loaded.family.read(big).layout


def test_a_lora_stage_reads_images_as_it_was_trained(tmp_path, folder, photos, posts):
    (tmp_path / "data").mkdir()
    for post in posts:
        shutil.copy(photos / post.image, tmp_path / "data" / post.image)
    rows = [post.model_dump(mode="json", exclude_none=True) for post in posts]
    (tmp_path / "data" / "preference.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes = {
        "data": {"root": str(tmp_path / "data"), "preference": "preference.jsonl"},
        "model.lora": {"rank": 2, "alpha": 4},
        "model.image_pixels": [2 * 256, 3 * 256],
        "sft": None,
        "align.mcm.max_steps": 1,
    }
    recipe = recipe_of(tmp_path / "out", tmp_path / "data", folder, changes)
    trained = train(recipe, "mcm", folder) / "model"
    for family in (load_model(trained).family, load_processor(trained)):
        assert 2 <= len(family.image_tokens(family.read(picture(300, 200)))) <= 3


@pytest.mark.parametrize("value", ["[0, 100]", "[200, 100]", "[100]", "large"])
def test_image_pixels_that_are_no_bounds_are_refused(tmp_path, folder, value):
    path = recipe_file(tmp_path, tmp_path / "out", tmp_path, folder)
    with pytest.raises(TrifacetError, match=r"model\.image_pixels"):
        load_recipe(path, [f"model.image_pixels={value}"])


def test_image_pixels_of_a_model_that_reads_one_size_are_refused(family_folders):
    with pytest.raises(
        TrifacetError, match=r"^model\.image_pixels is for models [^\n]* InternVL [^\n]*; leave it out$"
    ):
        load_model(family_folders("internvl"), image_pixels=(1000, 2000))


@pytest.mark.parametrize("template", ["chat_template.json", "tokenizer_config.json"])
def test_a_folder_as_on_the_hub_loads_and_keeps_the_settings_for_videos(tmp_path, family_folders, template):
    """No processor_config.json, image and video processor in files of their own, the chat template where it was."""
    hub = shutil.copytree(family_folders("qwen3_vl"), tmp_path / "hub")
    text = (hub / "chat_template.jinja").read_text()
    for name in ("chat_template.jinja", "processor_config.json"):
        (hub / name).unlink()
    holds = json.loads((hub / template).read_text()) if (hub / template).exists() else {}
    (hub / template).write_text(json.dumps({**holds, "chat_template": text}))
    images = {
        "image_processor_type": "Qwen2VLImageProcessorFast", "processor_class": "Qwen3VLProcessor", "merge_size": 2,
        "size": {"longest_edge": 4096, "shortest_edge": 256}, "patch_size": PATCH, "temporal_patch_size": 2,
    }  # fmt: skip
    videos = {"video_processor_type": "Qwen3VLVideoProcessor", "size": {"longest_edge": 99000, "shortest_edge": 4096}}
    (hub / "preprocessor_config.json").write_text(json.dumps(images))
    (hub / "video_preprocessor_config.json").write_text(json.dumps(videos))
    loaded, before = load_model(hub), load_processor(family_folders("qwen3_vl"))
    assert loaded.family.read(picture(90, 40)).key == before.read(picture(90, 40)).key
    assert loaded.processor.chat_template == text
    save_model(loaded.model, loaded.processor, tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "processor_config.json").read_text())
    assert videos.items() <= saved["video_processor"].items()


def test_a_model_without_a_chat_template_is_refused(tmp_path, family_folders):
    bare = shutil.copytree(family_folders("qwen2_vl"), tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(TrifacetError, match=r"bare: no chat template; put the chat_template\.jinja [^\n]*$"):
        load_model(bare)
