"""Every rejected-image strategy does what defines it, keeps the size, and is a function of its key."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import digest_of_all, photo, rejected
from PIL import Image
from pydantic import ValidationError
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from trifacet.base.draws import generator
from trifacet.base.errors import TrifacetError
from trifacet.preferences.rejected.images import STRATEGIES, image_strategy
from trifacet.preferences.rejected.pictures import (
    DOWNSCALED,
    between,
    crop,
    crop_window,
    rotate,
    rotation_degrees,
    small_crop,
    small_crop_window,
)
from trifacet.preferences.rejected.pixels import abar, diffuse, to_picture
from trifacet.preferences.rejected.strategy import Draw, ImageStrategy, Seen
from trifacet.preferences.settings import RejectedImage

PROCESSOR = LlavaImageProcessorPil(do_pad=True, size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
MEAN, STD = PROCESSOR.image_mean, PROCESSOR.image_std
GREY = (122, 116, 104)
ON_FRAMES = ("diffusion", "blackness", "region-diffusion", "region-words", "random-region", "graded")  # unlocated
DRAWN = (
    "diffusion",
    "crop",
    "rotation",
    "small-crop",
    "blur",
    "downscale",
    "region-diffusion",
    "random-region",
)  # by each version anew


def to_pixels(picture):
    return PROCESSOR(picture, return_tensors="pt")["pixel_values"][0]


def make(strategy, chosen=None, **key):
    """The rejected image as the processor's encoder reads it, or to look at."""
    return rejected(strategy, chosen or photo(), to_pixels, MEAN, STD, **key)


def test_the_schedule_has_the_published_values():
    assert abar(500) == pytest.approx(0.745, abs=5e-4)
    assert abar(750) == pytest.approx(0.278, abs=5e-4)
    assert abar(0) == 1.0
    assert abar(1000) == abar(999) == pytest.approx(0.0812, abs=5e-5)
    values = [abar(t) for t in range(1000)]
    assert all(later < earlier for earlier, later in itertools.pairwise(values))
    for t in (-1, 1001):
        with pytest.raises(TrifacetError, match="does not exist"):
            abar(t)


@pytest.mark.parametrize("t", [0, 300, 500, 700, 1000])
def test_diffusion_has_the_mean_and_variance_of_the_schedule(t):
    pixels = torch.full((3, 336, 336), 1.7)
    noisy = diffuse(pixels, t, generator("test", t)).double()
    count = pixels.numel()
    variance = 1 - abar(t)
    assert noisy.mean().item() == pytest.approx(1.7 * abar(t) ** 0.5, abs=5 * (variance / count) ** 0.5 + 1e-6)
    assert noisy.var().item() == pytest.approx(variance, abs=5 * variance * (2 / count) ** 0.5 + 1e-9)


def test_diffusion_scales_the_image_that_the_encoder_sees():
    clean = to_pixels(photo())
    weak, strong = make("diffusion", t=300), make("diffusion", t=800)
    noise = [(noisy - abar(t) ** 0.5 * clean) / (1 - abar(t)) ** 0.5 for noisy, t in ((weak, 300), (strong, 800))]
    torch.testing.assert_close(noise[0], noise[1], atol=1e-4, rtol=0)  # same draw, other strength
    assert torch.corrcoef(torch.stack([noise[0].flatten(), clean.flatten()]))[0, 1].abs() < 0.05


def test_diffusion_at_zero_is_the_chosen_image():
    torch.testing.assert_close(make("diffusion", t=0), to_pixels(photo()))


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (70, 70)])
def test_black_is_rgb_zero_to_the_encoder_even_in_the_padding(size):
    pixels = make("blackness", photo(*size))
    black = to_pixels(Image.new("RGB", (64, 64)))  # a square: nothing is padded
    torch.testing.assert_close(pixels, black)
    restored = pixels * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    assert restored.abs().max() < 1e-6
    assert pixels.abs().min() > 1  # zeros in the normalised tensor would be grey


def test_previews_of_noise_are_clamped_and_never_wrap():
    white = Image.new("RGB", (56, 56), "white")
    exact_CHW = make("diffusion", white, t=300) * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    too_bright_HWC = (exact_CHW > 1).permute(1, 2, 0).numpy()
    shown_HWC = np.asarray(make("diffusion", white, look=True, t=300))
    assert too_bright_HWC.mean() > 0.1
    assert (shown_HWC[too_bright_HWC] == 255).all()


def test_the_preview_of_blackness_is_black():
    assert not np.asarray(make("blackness", look=True)).any()


def test_a_preview_shows_the_pixels_back():
    picture = photo(56, 56)
    assert np.abs(np.asarray(to_picture(to_pixels(picture), MEAN, STD), int) - np.asarray(picture, int)).max() <= 1
    five = torch.stack([to_pixels(picture), to_pixels(photo(56, 56, seed=4))])
    assert to_picture(five, MEAN, STD).tobytes() == to_picture(five[0], MEAN, STD).tobytes()


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1000, 1500), (320, 240)), ((1000, 100), (320, 100)), ((100, 1000), (100, 240)), ((321, 200), (320, 200)),
     ((64, 64), (32, 32)), ((320, 240), (160, 120)), ((1, 1), (1, 1))],
)  # fmt: skip
def test_crop_windows_are_240_high_and_320_wide_at_most(size, expected):
    seen = set()
    for draw in range(50):
        left, upper, right, lower = crop_window(size, generator(draw))
        assert (right - left, lower - upper) == expected
        assert 0 <= left < right <= size[0]
        assert 0 <= upper < lower <= size[1]
        seen.add((left, upper))
    if size[0] > expected[0] and size[1] > expected[1]:
        assert len({left for left, _ in seen}) > 5
        assert len({upper for _, upper in seen}) > 5


def test_a_crop_shows_its_window_undistorted():
    chosen = photo(1000, 1500)
    window = crop_window(chosen.size, generator("k"))
    shown = crop(chosen, generator("k"), GREY)
    assert shown.size == chosen.size
    middle = shown.crop((0, 375, 1000, 1125))  # 320 x 240 enlarged to 1000 x 750, bars above and below
    back = np.asarray(middle.resize((320, 240), Image.Resampling.BOX), float)
    assert np.abs(back - np.asarray(chosen.crop(window), float)).mean() < 2
    assert (np.asarray(shown)[:374] == GREY).all()
    assert (np.asarray(shown)[1126:] == GREY).all()


def test_rotations_are_by_10_to_80_degrees_in_either_direction():
    angles = np.array([rotation_degrees(generator(draw)) for draw in range(500)])
    assert (np.abs(angles) >= 10).all()
    assert (np.abs(angles) <= 80).all()
    assert np.abs(angles).min() < 12
    assert np.abs(angles).max() > 78
    assert 0.4 < (angles > 0).mean() < 0.6


def test_a_rotation_turns_the_picture_about_its_centre():
    chosen = Image.new("RGB", (101, 101))
    chosen.paste("white", (80, 48, 85, 53))  # 32 right of the centre
    degrees = rotation_degrees(generator("k"))
    turned = np.asarray(rotate(chosen, generator("k"), (0, 0, 0)).convert("L"), float)
    rows, columns = np.nonzero(turned > 128)
    angle = np.degrees(np.arctan2(-(rows.mean() - 50), columns.mean() - 50))
    assert angle == pytest.approx(degrees, abs=2)
    corner = np.asarray(rotate(chosen, generator("k"), GREY))[0, 0]
    assert tuple(corner) == GREY


@pytest.mark.parametrize("size", [(1000, 600), (64, 64), (90, 700)])
def test_small_crops_have_at_most_a_fifth_of_the_area(size):
    shares = []
    for draw in range(300):
        left, upper, right, lower = small_crop_window(size, generator(draw))
        assert 0 <= left < right <= size[0]
        assert 0 <= upper < lower <= size[1]
        shares.append((right - left) * (lower - upper) / (size[0] * size[1]))
    assert max(shares) <= 0.2
    assert max(shares) > 0.17
    assert min(shares) < 0.02
    assert 0.07 < np.mean(shares) < 0.11


def test_a_small_crop_shows_its_window():
    columns, rows = np.meshgrid(np.linspace(0, 255, 400), np.linspace(0, 255, 300))
    chosen = Image.fromarray(np.stack([columns, rows, 0 * rows], -1).astype(np.uint8))
    left, upper, right, lower = small_crop_window(chosen.size, generator("k"))
    shown = np.asarray(small_crop(chosen, generator("k")), float)
    assert shown[..., 0].min() == pytest.approx(left * 255 / 400, abs=2)
    assert shown[..., 0].max() == pytest.approx(right * 255 / 400, abs=2)
    assert shown[..., 1].min() == pytest.approx(upper * 255 / 300, abs=2)
    assert shown[..., 1].max() == pytest.approx(lower * 255 / 300, abs=2)


@pytest.mark.parametrize("name", ["blur", "downscale"])
def test_what_is_coarse_stays_and_what_is_fine_goes(name):
    """Of stripes of a pixel a quarter of the contrast is left at most; halves of the picture keep their colours."""
    columns, _ = np.meshgrid(np.arange(400), np.arange(200))
    halves = np.where(columns < 200, 40, 200).astype(np.uint8)
    stripes = (255 * (columns % 2)).astype(np.uint8)
    for version in range(1, 9):
        shown = [
            np.asarray(make(name, Image.fromarray(np.stack([one] * 3, -1)), look=True, version=version), float)[..., 0]
            for one in (halves, stripes)
        ]
        assert np.abs(shown[0][:, :60] - 40).max() < 8 and np.abs(shown[0][:, -60:] - 200).max() < 8
        assert np.ptp(shown[1][:, 60:-60]) < 64 and abs(shown[1].mean() - 127.5) < 4


def test_strengths_are_drawn_evenly_by_halvings():
    shares = [between(DOWNSCALED, generator(draw)) for draw in range(600)]
    assert 1 / 16 <= min(shares) < 0.066 and 0.24 < max(shares) <= 1 / 4
    assert 0.45 < np.mean(np.array(shares) < 1 / 8) < 0.55


def test_how_much_is_blurred_follows_the_picture_and_not_t():
    chosen = photo(300, 200)
    large = photo(900, 600)
    assert make("blur", chosen, look=True, t=100).tobytes() == make("blur", chosen, look=True, t=900).tobytes()
    one, other = (
        make("blur", picture, look=True).resize((90, 60), Image.Resampling.BOX) for picture in (chosen, large)
    )
    assert np.abs(np.asarray(one, float) - np.asarray(other, float)).mean() < 2
    assert np.abs(np.asarray(one, float) - np.asarray(photo(90, 60), float)).mean() > 2


def test_randomness_shows_the_donor_undistorted():
    disc = Image.new("RGB", (300, 200), "white")
    disc.paste("red", (100, 50, 200, 150))
    shown = np.asarray(make("randomness", photo(80, 80), look=True, donor=lambda: disc))
    red = (shown[..., 1] < 128).nonzero()
    assert shown.shape == (80, 80, 3)
    assert np.ptp(red[0]) == np.ptp(red[1])  # the square stays a square


def test_the_donor_is_opened_for_randomness_only():
    def never():
        raise AssertionError("opened")

    for name in STRATEGIES:
        if name != "randomness":
            make(name, donor=never)
        assert image_strategy(name).needs_donor == (name == "randomness")


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("size", [(90, 60), (60, 90), (1, 1), (700, 3), (500, 400)])
def test_size_shape_and_type_are_the_chosen_ones(name, size):
    chosen = photo(*size)
    before = chosen.tobytes()
    expected = to_pixels(chosen)
    pixels = make(name, chosen)
    assert pixels.shape == expected.shape
    assert pixels.dtype == expected.dtype
    assert torch.isfinite(pixels).all()
    looked_at = make(name, chosen, look=True)
    assert looked_at.mode == "RGB"
    assert looked_at.size == ((56, 56) if name in ON_FRAMES else size)
    assert chosen.tobytes() == before
    if size[0] > 1:
        assert not torch.equal(pixels, expected)


@pytest.mark.parametrize("name", DRAWN)
def test_each_part_of_the_key_changes_the_image(name):
    chosen = photo(500, 400)
    drawn = [make(name, chosen), make(name, chosen, seed=2), make(name, chosen, sample_id="t"),
             make(name, chosen, version=2), make(name, chosen, epoch=1)]  # fmt: skip
    assert torch.equal(make(name, chosen), drawn[0])
    for first in range(len(drawn)):
        for second in range(first):
            assert not torch.equal(drawn[first], drawn[second])


def test_images_do_not_depend_on_the_process():
    code = "import drawn; print(drawn.digest_of_all())"
    search = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0",
            "PYTHONPATH": search,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest_of_all()


def test_bad_strategies_are_refused():
    with pytest.raises(TrifacetError, match="known are diffusion"):
        image_strategy("unlike")
    with pytest.raises(TrifacetError, match="t = 1001"):
        image_strategy("diffusion", 1001)


def test_patches_are_refused_with_a_way_out():
    flat = torch.zeros(64, 1176)  # Qwen2-VL's processor gives patches, not pixels
    with pytest.raises(TrifacetError, match="works on the picture"):
        image_strategy("blackness").reject(Seen(photo(), "", Draw(0, "s"), lambda _: flat, MEAN, STD, photo))


def test_the_fingerprint_holds_what_the_image_depends_on():
    assert image_strategy("diffusion", 500).fingerprint() != image_strategy("diffusion", 700).fingerprint()
    assert image_strategy("crop", 500).fingerprint() == image_strategy("crop", 700).fingerprint()
    assert image_strategy("crop").fingerprint() != image_strategy("rotation").fingerprint()
    assert image_strategy("diffusion", 500).describe() == "diffusion (t = 500)"
    assert image_strategy("diffusion").fingerprint() == {"strategy": "diffusion", "t": 700, "definition": 1}
    assert image_strategy("small-crop").fingerprint() == {"strategy": "small-crop", "definition": 1}


class Blank(ImageStrategy):
    """A strategy of one's own: a stripe for each word of the response."""

    name, sees_response = "blank", True

    def reject(self, seen):
        made = Image.new("RGB", seen.picture.size)
        made.paste("white", (0, 0, len(seen.response.split()), seen.picture.height))
        return made


class Smaller(Blank):
    name = "smaller"

    def reject(self, seen):
        return seen.picture.reduce(2)


class Taken(Blank):
    name = "crop"


def test_a_strategy_of_ones_own_is_found_by_its_place_and_sees_the_response():
    mine = image_strategy(f"{__name__}:Blank", 500)
    assert (mine.t, mine.fingerprint()) == (500, {"strategy": "blank", "definition": 1})
    columns = (np.asarray(make(mine, look=True))[..., 0] == 255).all(0)
    assert columns.sum() == 3  # A red disc.
    with pytest.raises(TrifacetError, match=r"'smaller' made RGB, \(45, 30\) of RGB, \(90, 60\)"):
        make(Smaller())


@pytest.mark.parametrize(
    ("name", "said"),
    [("nowhere.at.all:Blank", "cannot be imported"), (f"{__name__}:Blnk", "has no 'Blnk'"),
     (f"{__name__}:photo", "derives from ImageStrategy"), (f"{__name__}:Taken", "'crop' is taken")],
)  # fmt: skip
def test_what_is_no_strategy_of_ones_own_is_refused(name, said):
    with pytest.raises(TrifacetError, match=said):
        image_strategy(name)
    with pytest.raises(ValidationError, match=said):
        RejectedImage(strategy=name)
