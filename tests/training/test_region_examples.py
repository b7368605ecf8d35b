"""Training on images that differ in a region: every family, what is recorded, and what is refused."""

import json
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import tiny_locators
from PIL import Image
from searching import some
from small_runs import STAGE, recipe_of
from tiny_families import MAKERS, load_copy
from tiny_parts import SIDE

from trifacet.base.errors import DataError, TrifacetError
from trifacet.engine.encode import SampleEncoder
from trifacet.metrics.clipscore import ClipScorer
from trifacet.models.loading import load_model
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import STRATEGIES, image_strategy
from trifacet.preferences.rejected.masks import Lettered, box_mask
from trifacet.preferences.rejected.regions import RegionOptions, RegionStrategy
from trifacet.preferences.rejected.strategy import ImageStrategy
from trifacet.preferences.settings import RejectedImage
from trifacet.reports.run.watched import rejected_told
from trifacet.training.examples import Examples
from trifacet.training.pictures import Drawn, Rejection, measured
from trifacet.training.sources import Start, training_set
from trifacet.training.stage import stage_of
from trifacet.training.stages import train_stage

REGIONS = [name for name, one in STRATEGIES.items() if issubclass(one, RegionStrategy)]


def lower_right(sample):
    """A quarter of the picture, as a locator would say."""
    width, height = {"0.png": (32, 32), "1.png": (90, 40), "2.png": (33, 75), "3.png": (64, 60)}[sample.image]
    return box_mask((width, height), (width / 2, height / 2, width, height))


def a_word(sample):
    """That stands there, where the strategy asks."""
    rows, columns = map(np.flatnonzero, ((mask := lower_right(sample)).any(1), mask.any(0)))
    left, upper, right, lower = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return (Lettered("Word", ((left, upper), (right, upper), (right, lower), (left, lower))),)


def examples_of(posts, photos, loaded, strategy, masks=lower_right, objective="mdpo", **options):
    made_by = image_strategy(strategy) if isinstance(strategy, str) else strategy
    rejection = Rejection(made_by, masks=masks, **{"lettering": a_word, **options})
    encoder = SampleEncoder(loaded.family, prompt="Write.", context_label="Context:", max_length=2048)
    return Examples(posts, OBJECTIVES[objective], encoder, photos, rejection, max_pixels=10**6)


def shows(family, mask):
    """The pixels of a family's frames that show any of a mask."""
    marked = Image.fromarray(np.repeat(mask[..., None] * np.uint8(255), 3, 2))
    frames, unmarked = (family.frames(family.read(one)) for one in (marked, Image.new("RGB", marked.size)))
    return (frames != unmarked).any(-3)


@pytest.mark.parametrize("name", MAKERS)
def test_in_every_family_a_region_changes_what_shows_it_alone(name, family_folders, posts, photos):
    """Tiles, patches and padded squares: as many tokens as the chosen image, and the rest of the frames to the bit."""
    loaded = load_copy(family_folders(name))
    family = loaded.family
    for strategy in REGIONS:
        examples = examples_of(posts, photos, loaded, strategy, image_versions=2)
        for index, post in enumerate(posts):
            chosen, *rejected = examples.image_versions(index)
            mask = lower_right(post)
            reach = int(np.ceil(2 * max(max(mask.shape) / SIDE, 1))) + 2  # of a bicubic kernel, in the picture's pixels
            padded = np.pad(mask, reach)
            near = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1,) * 2).any((2, 3))
            assert len(rejected) == 2
            for one in rejected:
                assert (family.image_tokens(one) == family.image_tokens(chosen)).all()
                assert one.layout == chosen.layout
                assert one.pixel_values.shape == chosen.pixel_values.shape
                assert one.key != chosen.key
                if strategy != "random-region":
                    differs = (family.frames(one) != family.frames(chosen)).any(-3)
                    assert not (differs & ~shows(family, near)).any()
                    assert (differs & shows(family, mask)).sum() > 0.2 * shows(family, mask).sum()


@pytest.mark.parametrize("name", some(MAKERS, "llava_next", "qwen2_5_vl"))
def test_nothing_located_is_noise_everywhere_and_the_same_as_diffusions(name, family_folders, posts, photos):
    loaded = load_copy(family_folders(name))
    nothing = examples_of(posts, photos, loaded, "region-diffusion", masks=lambda sample: None)
    whole = examples_of(posts, photos, loaded, image_strategy("diffusion", 500))
    for index in range(len(posts)):
        assert [one.key for one in nothing.image_versions(index)] == [one.key for one in whole.image_versions(index)]


def test_what_was_drawn_is_told(tiny, posts, photos):
    def masks(sample):
        return {"0.png": None, "1.png": np.zeros((40, 90), np.bool_)}.get(sample.image, lower_right(sample))

    examples = examples_of(posts, photos, tiny, "region-diffusion", masks)
    examples.check()
    quarter = 17 * 38 / (33 * 75)  # of pixels that the box touches
    assert [examples.drawn(index) for index in range(4)] == [
        Drawn(None, True), Drawn(None, True), Drawn(pytest.approx(quarter), False), Drawn(0.25, False)
    ]  # fmt: skip
    given = [posts[0].model_copy(update={"rejected_images": ("3.png",)}), *posts[1:]]
    assert examples_of(given, photos, tiny, "region-diffusion", masks).drawn(0) is None
    assert examples_of(posts, photos, tiny, "random-region", masks).drawn(0) == Drawn(None, False)
    assert examples_of(posts, photos, tiny, "region-diffusion", objective="dpo").drawn(0) is None


def test_the_drop_of_similarity_is_measured_by_whoever_is_named(tiny, posts, photos):
    """Similarity here: how bright the lower right quarter is, told by the response's length that it was asked for."""
    asked = []

    def similarity(texts, pictures):
        asked.extend(texts)
        return [np.asarray(one)[one.height // 2 :, one.width // 2 :].mean() for one in pictures]

    examples = examples_of(posts, photos, tiny, "region-black")
    found = measured(examples.pictures, range(4), similarity)
    for index, drawn in enumerate(found):
        picture = np.asarray(Image.open(photos / posts[index].image))
        height, width = picture.shape[:2]
        assert drawn.drop == pytest.approx(picture[height // 2 :, width // 2 :].mean())
        assert drawn.area == examples.drawn(index).area
    assert asked == [text for post in posts for text in (post.response, post.response)]
    assert [one.drop for one in measured(examples.pictures, [1, 2])] == [None, None]


def test_a_mask_of_another_size_names_the_sample(tiny, posts, photos):
    examples = examples_of(posts, photos, tiny, "region-blur", masks=lambda sample: np.ones((5, 5), np.bool_))
    with pytest.raises(DataError, match=f"sample '{posts[2].id}': its regions are of a picture of 5 x 5 pixels, and "):
        examples[2]
    with pytest.raises(DataError, match=f"sample '{posts[0].id}': its regions are of a picture of 5 x 5 pixels"):
        examples.check()
    given = [post.model_copy(update={"rejected_images": ("3.png",)}) for post in posts[:3]]
    examples_of(given, photos, tiny, "region-blur", masks=examples.rejection.masks).check()  # they are not looked at
    examples_of(given, photos, tiny, "region-blur", masks=None).check()


def test_key_regions_that_nobody_has_looked_for_are_refused_at_the_start(tiny, posts, photos):
    with pytest.raises(TrifacetError, match=r"'region-diffusion' spoils the regions .*docs/regions\.md"):
        examples_of(posts, photos, tiny, "region-diffusion", masks=None).check()
    examples_of(posts, photos, tiny, "random-region", masks=None).check()
    examples_of(posts, photos, tiny, "region-diffusion", masks=None, objective="dpo").check()


@dataclass(frozen=True)
class Located:
    fingerprint: dict = field(default_factory=lambda: {"model": "a"})

    def __call__(self, sample):
        return lower_right(sample)


def test_masks_are_in_the_fingerprint_where_they_are_looked_at(tiny, posts, photos):
    def printed(strategy, masks):
        examples = examples_of(posts, photos, tiny, strategy, masks)
        return json.loads(examples.fingerprint()["rejected versions"])

    assert printed("diffusion", None) == printed("diffusion", Located()) == {
        "image": {"strategy": "diffusion", "t": 700, "definition": 1}, "versions": [1, 1], "seed": 0,
    }  # fmt: skip
    assert printed("region-blur", Located())["regions"] == {"model": "a"}
    assert printed("region-blur", Located({"model": "b"})) != printed("region-blur", Located())
    assert "regions" not in printed("region-blur", lower_right)


class WhiteOut(ImageStrategy):
    """One's own, which looks at the mask."""

    name, needs_regions = "white-out", True

    def reject(self, seen):
        made = seen.picture.copy()
        made.paste("white", mask=Image.fromarray(seen.mask))
        return made


def test_a_strategy_of_ones_own_sees_the_mask(tiny, posts, photos):
    examples = examples_of(posts, photos, tiny, image_strategy(f"{__name__}:WhiteOut"))
    for index, post in enumerate(posts):
        white = (np.asarray(examples.preview(index)) == 255).all(-1)
        assert (white >= lower_right(post)).all()
    assert all(examples.drawn(index).area for index in range(len(posts)))


@pytest.mark.parametrize(
    ("given", "t"),
    [({}, 700), ({"strategy": "crop"}, 700), ({"strategy": "region-diffusion"}, 500), ({"t": None}, 700),
     ({"strategy": "region-diffusion", "t": 700}, 700), ({"strategy": "graded", "t": None}, 500),
     ({"strategy": f"{__name__}:WhiteOut"}, 700)],
)  # fmt: skip
def test_steps_are_the_strategys_own_unless_they_are_said(given, t):
    image = RejectedImage(**given)
    assert image.t == image.made_by().t == t
    assert RejectedImage(**image.model_dump()) == image


def test_a_recipe_names_how_regions_are_spoilt(tmp_path, world, tiny_folder):
    changes = {
        "rejected.image": {"strategy": "graded", "versions": 3, "soft_edge": 0.05, "perturbation": "blur"},
        "align.mcm": {**STAGE, "objective": "mdpo"},
    }  # fmt: skip
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    rejection = training_set(recipe, "mcm", recipe.align["mcm"]).rejection
    assert rejection.strategy.options == RegionOptions(0.05, 0.2, "blur")
    assert rejection.image_versions == 3


def upper_half(sample):
    """Of the pictures of the demo's world; of one nothing."""
    return None if sample.id.endswith("3") else box_mask((32, 32), (0, 0, 32, 16))


def test_a_stage_trains_on_them_with_workers(tmp_path, world, tiny_folder):
    changes = {
        "rejected.image": {"strategy": "region-diffusion"}, "data.workers": 1,
        "align.mcm": {**STAGE, "objective": "mdpo", "max_steps": 2, "limit": 6},
    }  # fmt: skip
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    stage = stage_of(recipe, "mcm", Start("base", tiny_folder))
    rejection = replace(stage.samples.rejection, masks=upper_half)
    assert train_stage(replace(stage, samples=replace(stage.samples, rejection=rejection)))["steps"] == 2


def test_what_rejected_images_lose_is_measured_before_a_stage_trains(tmp_path, world, tiny_folder):
    clip = str(tiny_locators.clip(tmp_path / "clip"))
    changes = {
        "rejected.image": {"strategy": "blackness", "similarity": clip},
        "align.mcm": {**STAGE, "objective": "mdpo", "max_steps": 1, "limit": 4},
    }
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    stage = stage_of(recipe, "mcm", Start("base", tiny_folder))
    done = train_stage(stage)
    rows = [json.loads(line) for line in (stage.folder / "rejected.jsonl").read_text().splitlines()]
    examples, _ = stage.samples.examples(stage.asking.encoder(load_model(tiny_folder).family))
    scorer = ClipScorer(clip)
    for index, row in enumerate(rows):
        text = examples.samples[index].response
        one, other = scorer([text] * 2, [examples.picture(index), examples.preview(index)])
        assert row == {"id": examples.samples[index].id, "area": None, "drop": pytest.approx(one - other, abs=1e-6)}
    mean = sum(row["drop"] for row in rows) / 4
    assert done["similarity_drop"] == {"mean": pytest.approx(mean, abs=1e-4), "samples": 4, "model": clip}
    assert f"{mean:.3f} (CLIPScore" in rejected_told(done)
