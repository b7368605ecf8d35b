"""Any mutation of a small valid picture gives a picture within bounds or an error, in bounded time."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import run_lengths, saved
from PIL import Image
from searching import searched

from trifacet.base.errors import DataError
from trifacet.base.images import decode_image, within_bounds


def _small():
    noise = Image.effect_noise((24, 17), 60)
    colours = Image.merge("RGB", [noise, noise.rotate(90), noise.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    exif = Image.Exif()
    exif[0x0112] = 6

    def frames():
        return {"save_all": True, "append_images": [colours.rotate(180)]}

    return [
        saved(colours, "JPEG", exif=exif),
        saved(colours, "JPEG", progressive=True),
        saved(colours, "MPO", **frames()),
        saved(colours.convert("RGBA"), "PNG", exif=exif),
        saved(colours, "PNG", transparency=(9, 9, 9), **frames()),
        saved(colours.convert("P"), "PNG", transparency=3),
        saved(colours, "GIF", **frames()),
        saved(colours, "WEBP", quality=50),
        saved(colours.convert("RGBA"), "WEBP", lossless=True, **frames()),
        saved(colours.convert("P"), "BMP"),
        run_lengths(24, 17, b"\5\1\3\2\0\0" * 17 + b"\0\1"),
        saved(colours, "TIFF", **frames()),
        saved(colours, "TIFF", compression="tiff_lzw"),
        saved(colours, "TIFF", compression="jpeg"),
        saved(noise.convert("F"), "TIFF", compression="tiff_adobe_deflate"),
        saved(noise.convert("I"), "TIFF"),
    ]


SMALL = _small()


@st.composite
def mutated(draw):
    """A valid small picture with some of its bytes changed, cut out or doubled."""
    data = bytearray(draw(st.sampled_from(SMALL)))
    for _ in range(draw(st.integers(1, 4))):
        place, length = draw(st.integers(0, len(data) - 1)), draw(st.integers(1, 4))
        match draw(st.sampled_from(["swap", "cut", "double", "cross"])):
            case "swap":
                data[place : place + length] = draw(st.binary(min_size=length, max_size=length))
            case "cut":
                del data[place : place + draw(st.integers(1, len(data)))]
                data = data or bytearray(1)
            case "double":
                data[place:place] = data[place : place + 64] * draw(st.integers(1, 50))
            case _:
                other = draw(st.sampled_from(SMALL))
                data[place:] = other[place:] or b"\0"
    return bytes(data)


def stays_within_bounds(data):
    try:
        image = decode_image(data, "a", max_pixels=200_000, allow_animated=True)
    except DataError as error:
        assert "\n" not in str(error)
        return
    assert image.mode == "RGB"
    assert image.width * image.height <= 200_000
    assert max(image.size) <= 895
    assert len(image.tobytes()) == 3 * image.width * image.height


@given(mutated())
@searched(150)
def test_any_mutation_is_a_picture_within_bounds_or_a_data_error(data):
    began = time.process_time()
    stays_within_bounds(data)
    assert time.process_time() - began < 2


@pytest.mark.endurance
def test_many_mutations_in_the_bounded_process_end_none_of_it():
    @given(st.lists(mutated(), min_size=50, max_size=50))
    @settings(max_examples=200)
    def search(batch):
        for data in batch:
            within_bounds(stays_within_bounds, "a", data, max_pixels=200_000)

    search()
