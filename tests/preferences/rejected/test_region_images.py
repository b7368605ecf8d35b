"""Images that differ in a region only: the rest stays to the bit, before the encoder and after it has read them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import photo
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from searching import searched
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from trifacet.base.errors import DataError
from trifacet.preferences.rejected.fills import inpainted, softened
from trifacet.preferences.rejected.images import STRATEGIES, image_strategy, rejected_image
from trifacet.preferences.rejected.masks import box_mask
from trifacet.preferences.rejected.regions import RegionOptions, RegionStrategy
from trifacet.preferences.rejected.strategy import Draw, Seen

SIDE = 56
PROCESSOR = LlavaImageProcessorPil(do_pad=True, size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
MEAN, STD = PROCESSOR.image_mean, PROCESSOR.image_std
REGIONS = [name for name, one in STRATEGIES.items() if issubclass(one, RegionStrategy)]
KEY = [name for name in REGIONS if name != "random-region"]  # spoil the mask that they are given, and no other place
OF_ANYTHING = [name for name in KEY if not STRATEGIES[name].needs_lettering]
FILLS = [name for name in KEY if name.removeprefix("region-") in ("blur", "mean", "black", "inpaint")]
PERTURBATIONS = ("diffusion", "blur", "mean", "black", "inpaint")


def to_pixels(picture):
    return PROCESSOR(picture, return_tensors="pt")["pixel_values"]


def seen_of(picture, mask=None, versions=1, **key):
    draw = Draw(**{"seed": 1, "sample_id": "s", **key})
    return Seen(picture, "A red disc.", draw, to_pixels, MEAN, STD, lambda: picture, mask, versions)


def made(name, seen, t=None, **options):
    return rejected_image(image_strategy(name, t, RegionOptions(**options)), seen)


def array(picture):
    return np.asarray(picture, np.int16)


def changed(one, other):
    """The pixels (height, width) in which two pictures or tensors of frames differ."""
    if isinstance(one, torch.Tensor):
        return (one != other).any(-3).numpy()
    return (array(one) != array(other)).any(-1)


def widened(mask, reach):
    return np.lib.stride_tricks.sliding_window_view(np.pad(mask, reach), (2 * reach + 1,) * 2).any((2, 3))


@st.composite
def pictures_and_masks(draw):
    width, height = draw(st.integers(2, 120)), draw(st.integers(2, 120))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    kind = draw(st.sampled_from(["box", "dots", "halves", "pixel", "full"]))
    if kind == "box":
        corners = sorted(rng.integers(0, width + 1, 2)), sorted(rng.integers(0, height + 1, 2))
        mask = box_mask((width, height), (corners[0][0], corners[1][0], corners[0][1], corners[1][1]))
    elif kind == "dots":
        mask = rng.random((height, width)) < 0.1
    elif kind == "halves":
        mask = np.zeros((height, width), np.bool_)
        mask[:, : width // 2] = True
    else:
        mask = np.full((height, width), kind == "full")
        mask[rng.integers(height), rng.integers(width)] = True
    return photo(width, height, seed=int(rng.integers(1000))), mask


@searched(25)
@given(pictures_and_masks(), st.sampled_from([0.0, 0.03, 0.2]))
def test_outside_the_region_every_pixel_of_the_picture_is_the_chosen_ones(case, soft_edge):
    picture, mask = case
    reach = round(soft_edge * min(picture.size))
    near = widened(mask, reach)
    if not mask.any():
        near[:] = True  # nothing located: all of it
    before = picture.tobytes()
    for name in FILLS:
        there = changed(made(name, seen_of(picture, mask), soft_edge=soft_edge), picture)
        assert not (there & ~near).any(), name
    assert picture.tobytes() == before


@searched(15)
@given(pictures_and_masks())
def test_outside_the_region_what_the_encoder_reads_is_the_chosen_ones(case):
    """A pixel of the encoder's may differ where the kernel of its resize reaches into the region, and nowhere else."""
    picture, mask = case
    scale = max(picture.size) / SIDE  # the processor pads to a square, then scales: bicubic, two pixels to each side
    reach = int(np.ceil(2 * max(scale, 1) + 1))
    side, (width, height) = max(picture.size), picture.size
    square = np.zeros((side, side), np.bool_)
    square[(side - height) // 2 :, (side - width) // 2 :][:height, :width] = mask
    centres = ((np.arange(SIDE) + 0.5) * scale).astype(int)
    may = widened(square, reach)[centres][:, centres]
    if not mask.any():
        may[:] = True
    chosen = to_pixels(picture)
    for name in OF_ANYTHING:
        result = made(name, seen_of(picture, mask))
        frames = to_pixels(result) if isinstance(result, Image.Image) else result
        assert frames.shape == chosen.shape
        assert not (changed(frames, chosen)[0] & ~may).any(), name


@pytest.mark.parametrize("soft_edge", [0.0, 0.1])
def test_noise_in_a_region_is_that_of_diffusion_inside_and_none_outside(soft_edge):
    picture, mask = photo(112, 112), box_mask((112, 112), (20, 30, 60, 80))
    everywhere = rejected_image(image_strategy("diffusion", 500), seen_of(picture))
    here = made("region-diffusion", seen_of(picture, mask), soft_edge=soft_edge)
    inside = np.zeros((SIDE, SIDE), np.bool_)
    inside[15:40, 10:30] = True  # the picture at half its size
    core = np.zeros_like(inside)
    core[17:38, 12:28] = True  # without what soft edges blend with
    assert not changed(here, everywhere)[0][core if soft_edge else inside].any()
    differs = changed(here, to_pixels(picture))[0]
    assert differs[inside].all()
    if not soft_edge:
        assert (differs == inside).all()
    else:
        assert differs.sum() > inside.sum()
        reach = 6  # round(.1 * 112) = 11 pixels, at half the size
        assert not differs[: 15 - reach - 1].any()
        assert not differs[:, : 10 - reach - 1].any()


def test_the_padding_of_the_processor_is_no_region():
    picture = photo(120, 40)
    everywhere = made("region-diffusion", seen_of(picture))
    inside = made("region-diffusion", seen_of(picture, np.ones((40, 120), np.bool_)))
    unpadded = np.zeros((SIDE, SIDE), np.bool_)
    unpadded[19:37] = True  # 56 / 3 rows of 56
    assert changed(everywhere, to_pixels(picture)).all()
    assert (changed(inside, to_pixels(picture))[0] == unpadded).mean() > 0.97
    assert not changed(inside, to_pixels(picture))[0][:17].any()


@pytest.mark.parametrize("mask", [None, np.zeros((60, 90), np.bool_)], ids=["none", "empty"])
@pytest.mark.parametrize("name", KEY)
def test_where_nothing_is_located_the_whole_is_spoilt_alike(name, mask):
    picture = photo()
    whole = made(name, seen_of(picture, mask))
    if isinstance(whole, torch.Tensor):
        assert torch.equal(whole, rejected_image(image_strategy("diffusion", 500), seen_of(picture)))
    else:
        assert whole.tobytes() == made(name, seen_of(picture, np.ones((60, 90), np.bool_))).tobytes()
        assert changed(whole, picture).mean() > 0.9


def test_what_regions_are_filled_with():
    picture, mask = Image.new("RGB", (100, 80), (200, 100, 0)), box_mask((100, 80), (10, 10, 50, 40))
    picture.paste((0, 0, 200), (20, 15, 40, 35))
    seen = seen_of(picture, mask)
    assert (array(made("region-black", seen))[mask] == 0).all()
    mean = array(picture).mean((0, 1)).round()
    assert (array(made("region-mean", seen))[mask] == mean).all()
    assert (array(made("region-inpaint", seen))[mask] == (200, 100, 0)).all()  # the blue square is gone
    blurred = array(made("region-blur", seen))[15:35, 20:40]
    assert blurred[..., 2].max() < 150  # the square was of 200, and what surrounds it of 0
    assert blurred[..., 2].min() > 20


@pytest.mark.parametrize("seed", range(3))
def test_a_hole_is_filled_smoothly_from_its_surroundings(seed):
    columns, rows = np.meshgrid(np.linspace(0, 255, 90), np.linspace(0, 255, 70))
    chosen = np.stack([columns, rows, 255 - columns], -1).astype(np.uint8)
    rng = np.random.default_rng(seed)
    mask = box_mask((90, 70), (left := rng.integers(10, 40), upper := rng.integers(10, 30), left + 30, upper + 25))
    filled = array(inpainted(Image.fromarray(chosen), softened(mask, 0.0)))
    assert (filled[~mask] == chosen[~mask]).all()
    error, flat = (np.abs(one - chosen.astype(int))[mask].mean() for one in (filled, chosen.mean((0, 1))))
    assert error < 12
    assert error < flat / 2


@searched(25)
@given(pictures_and_masks(), st.sampled_from(PERTURBATIONS), st.integers(0, 1000))
def test_a_random_region_is_of_the_same_area(case, perturbation, seed):
    picture, mask = case
    strategy = image_strategy("random-region", None, RegionOptions(perturbation=perturbation))
    seen = seen_of(picture, mask, seed=seed)
    region = strategy.region(seen)
    if mask.any():
        assert region.sum() == mask.sum()
    assert (strategy.region(seen) == region).all()
    if perturbation not in ("diffusion", "inpaint"):
        assert not (changed(strategy.reject(seen), picture) & ~region).any()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.75])
def test_a_random_region_needs_no_mask(share):
    shares, overlaps = [], []
    mask = box_mask((90, 60), (10, 10, 40, 40))
    strategy = image_strategy("random-region", None, RegionOptions(share=share, perturbation="black"))
    for number in range(60):
        region = strategy.region(seen_of(photo(), sample_id=str(number)))
        shares.append(region.mean())
        overlaps.append((strategy.region(seen_of(photo(), mask, sample_id=str(number))) & mask).mean())
    assert share * 0.85 <= np.mean(shares) <= share
    assert np.mean(overlaps) == pytest.approx(mask.mean() ** 2, rel=0.5)  # anywhere: no likelier there than elsewhere
    assert not strategy.needs_regions


@pytest.mark.parametrize("perturbation", PERTURBATIONS)
@pytest.mark.parametrize("located", [True, False])
def test_graded_versions_are_ever_less_visible(perturbation, located):
    picture, k = photo(112, 112), 4
    mask = box_mask((112, 112), (30, 20, 90, 60)) if located else None
    versions = [
        made("graded", seen_of(picture, mask, k, version=version), perturbation=perturbation)
        for version in range(1, k + 1)
    ]
    chosen = picture if isinstance(versions[0], Image.Image) else to_pixels(picture)
    spoilt = [changed(one, chosen).reshape(-1) for one in versions]
    for earlier, later in itertools.pairwise(spoilt):
        assert not (earlier & ~later).any()
        assert later.sum() > earlier.sum() * 1.15
    assert spoilt[0].mean() == pytest.approx(spoilt[-1].mean() / k, rel=0.25)
    if perturbation in ("diffusion", "black", "mean"):  # what two versions have spoilt, they have spoilt alike
        for earlier, later in itertools.pairwise(versions):
            both = changed(earlier, chosen)
            assert not (changed(earlier, later) & both).any()
    if perturbation == "diffusion":
        key = seen_of(picture, mask)
        assert torch.equal(versions[-1], made("region-diffusion", key))
    else:
        assert versions[-1].tobytes() == made(f"region-{perturbation}", seen_of(picture, mask)).tobytes()


@pytest.mark.parametrize("name", REGIONS)
def test_one_draw_for_policy_and_reference(name):
    picture, mask = photo(), box_mask((90, 60), (10, 10, 40, 40))

    def drawn(**key):
        result = made(name, seen_of(picture, mask, 3, **key))
        return result.numpy().tobytes() if isinstance(result, torch.Tensor) else result.tobytes()

    assert drawn() == drawn()
    random = name in ("region-diffusion", "random-region", "graded")
    assert (drawn() != drawn(seed=2)) == random
    assert (drawn() != drawn(sample_id="t")) == random
    assert (drawn() != drawn(epoch=1)) == random


def test_a_region_smaller_than_the_encoders_pixels_is_spoilt_all_the_same():
    picture = photo(800, 800)
    speck = np.zeros((800, 800), np.bool_)
    speck[401, 233] = True
    differs = changed(made("region-diffusion", seen_of(picture, speck)), to_pixels(picture))[0]
    assert 1 <= differs.sum() <= 4
    rows, columns = np.nonzero(differs)
    assert abs(rows.mean() - 401 * SIDE / 800) < 2
    assert abs(columns.mean() - 233 * SIDE / 800) < 2


def test_a_region_that_the_encoder_never_sees_is_as_none():
    cut = LlavaImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    picture, mask = photo(300, 56), box_mask((300, 56), (0, 0, 40, 56))

    def centre(one):
        return cut(one, return_tensors="pt")["pixel_values"]

    seen = replace(seen_of(picture, mask), as_frames=centre)
    assert changed(made("region-diffusion", seen), centre(picture)).all()


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(DataError, match=r"regions are of a picture of 30 x 40 pixels, and its image has 90 x 60"):
        seen_of(photo(), np.ones((40, 30), np.bool_))


def test_the_fingerprint_of_a_region_strategy_holds_its_options():
    def printed(name, t=None, **options):
        return image_strategy(name, t, RegionOptions(**options)).fingerprint()

    assert printed("region-diffusion") == {
        "strategy": "region-diffusion", "definition": 1, "t": 500, "soft_edge": 0.0,
    }  # fmt: skip
    assert printed("region-diffusion", 300) != printed("region-diffusion")
    assert printed("region-black", 300) == printed("region-black")
    assert printed("region-black", share=0.3, perturbation="blur") == printed("region-black")
    for name in REGIONS:
        assert printed(name, soft_edge=0.1) != printed(name)
    for change in ({"perturbation": "blur"}, {"share": 0.3}):
        assert printed("random-region", **change) != printed("random-region")
    assert printed("graded", perturbation="blur") == printed("graded", 300, perturbation="blur")
    assert image_strategy("random-region").describe() == "random-region (diffusion, t = 500)"
    assert image_strategy("graded", None, RegionOptions(perturbation="blur")).describe() == "graded (blur)"
    assert image_strategy("region-diffusion").describe() == "region-diffusion (t = 500)"
