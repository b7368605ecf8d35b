"""Pictures that are small on the disk and dear to decode, and pictures whose values need a decision."""

import functools
import struct
import time

import numpy as np
import pytest
from picture_files import chunk, large_tile, pages, png_with, repeated_scans, run_lengths, saved, tiff
from PIL import Image

from trifacet.base import bounded, image_colours, images
from trifacet.base.errors import DataError
from trifacet.base.image_colours import to_rgb
from trifacet.base.images import TooLargeError, decode_image, image_facts, load_image, prove_image

BOMBS = {
    "end of line codes": (functools.partial(run_lengths, 14000, 3570, b"\0\0" * 500), "in run lengths"),
    "one line of 50 million": (functools.partial(run_lengths, 49_999_999, 1, b""), "a side of more than 14142"),
    "scans": (functools.partial(repeated_scans, 70), "more than 64 scans"),
    "segments": (lambda: b"\xff\xd8" + b"\xff\xe5\0\2" * 100_001 + repeated_scans(0)[2:], "more than 100000 segments"),
    "chunks": (lambda: png_with(chunk(b"IDAT") * 100_001), "more than 100000 chunks"),
    "chunks after": (lambda: png_with(chunk(b"zzZz") * 100_001, before=b"IEND"), "more than 100000 chunks"),
    "a narrow picture": (lambda: saved(Image.new("L", (1, 50_000)), "PNG"), "a side of more than 14142"),
    "a tile": (large_tile, "tiles of 32000 x 32000"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_dear_picture_is_refused_by_its_structure_in_any_process(tmp_path, name):
    make, reason = BOMBS[name]
    (tmp_path / "bomb").write_bytes(make())
    began = time.process_time()
    with pytest.raises(TooLargeError, match=reason) as caught:
        load_image(tmp_path, "bomb")
    assert time.process_time() - began < 1
    assert "'bomb'" in str(caught.value)


def test_of_many_pages_two_are_looked_at(tmp_path):
    (tmp_path / "pages.tif").write_bytes(pages(20_000))
    began = time.process_time()
    assert image_facts(tmp_path / "pages.tif").frames == 2
    assert load_image(tmp_path, "pages.tif", allow_animated=True).size == (1, 1)
    assert time.process_time() - began < 1


def test_ordinary_structures_pass():
    assert decode_image(repeated_scans(20), "a").size == (800, 800)
    video = b"\xff\xda" * 1000  # what a phone writes after the picture is none of its scans
    assert decode_image(repeated_scans(0) + video, "a").size == (800, 800)
    assert decode_image(run_lengths(4, 1, b"\4\1\0\1"), "a").size == (4, 1)


def patterned(mode, side=3000):
    return Image.linear_gradient("L").resize((side, side)).convert("RGB").convert(mode)


LARGE = {
    "webp": lambda: saved(patterned("RGB").convert("RGBA"), "WEBP", lossless=True, method=0, exact=True),
    "clear.webp": lambda: saved(Image.new("RGBA", (3000, 3000)), "WEBP", lossless=True, method=0),
    "alpha.png": lambda: saved(patterned("RGBA"), "PNG", compress_level=1),
    "palette.gif": lambda: saved(patterned("P"), "GIF", transparency=0),
    "progressive.jpg": lambda: saved(patterned("RGB"), "JPEG", progressive=True, subsampling=0),
    "cmyk.jpg": lambda: saved(patterned("CMYK"), "JPEG"),
    "grey16.png": lambda: saved(Image.new("I;16", (3000, 3000), 70), "PNG", compress_level=1),
    "float.tif": lambda: saved(Image.new("F", (3000, 3000), 0.5), "TIFF"),
}


@pytest.mark.parametrize("name", LARGE)
def test_the_largest_pictures_keep_to_the_memory_that_is_stated(tmp_path, name, monkeypatch):
    bounded._end_all()  # one that has decoded much keeps 100 MB for what comes next
    monkeypatch.setattr(images, "_BESIDES", 80_000_000)  # little beside 20 bytes for each of 9 million pixels
    (tmp_path / name).write_bytes(LARGE[name]())
    facts = prove_image(tmp_path / name, name, max_pixels=9_000_000)
    assert (facts.width, facts.height) == (3000, 3000)


def test_what_takes_too_long_is_ended_and_named(tmp_path, monkeypatch):
    (tmp_path / "slow.png").write_bytes(LARGE["alpha.png"]())
    monkeypatch.setattr(images, "DECODING_SECONDS", 0.02)
    with pytest.raises(
        TooLargeError, match=r"image .slow\.png. cannot be decoded within bounds: it takes more than 0\.02"
    ):
        prove_image(tmp_path / "slow.png", "slow.png")


@pytest.mark.parametrize(
    ("mode", "values", "shades"),
    [
        ("F", [0, 0.5, 1], [0, 127, 255]),
        ("F", [0, 128, 255], [0, 128, 255]),
        ("F", [0, 32767.5, 65535], [0, 127, 255]),
        ("F", [0, 5e-4, 1e-3], [0, 127, 255]),
        ("F", [0, 1e9, 2e9], [0, 127, 255]),
        ("F", [0, 0.75, 1.5], [0, 127, 255]),
        ("F", [0, 0, 0], [0, 0, 0]),
        ("I", [0, 1 << 30, (1 << 31) - 1], [0, 127, 255]),
        ("I", [0, 100, 255], [0, 100, 255]),
        ("I", [0, 2, 4], [0, 127, 255]),
        ("I;16", [0, 257 * 100, 65535], [0, 100, 255]),
        ("I;16", [0, 257 * 100, 40000], [0, 100, 155]),
        ("I;16", [0, 819, 4095], [0, 51, 255]),
    ],
)
def test_deep_greys_are_scaled_to_their_range(tmp_path, mode, values, shades):
    kind = {"F": np.float32, "I": np.int32, "I;16": np.uint16}[mode]
    Image.fromarray(np.array([values], kind)).save(tmp_path / "a.tif")
    grey = np.asarray(load_image(tmp_path, "a.tif"))[0, :, 0].astype(int)
    assert np.abs(grey - shades).max() <= 1


@pytest.mark.parametrize("values", [[0, np.nan], [np.nan, 0], [-1, 1], [0, np.inf], [-np.inf, 0]])
def test_values_without_a_range_are_refused(tmp_path, values):
    Image.fromarray(np.array([values], np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"image 'a\.tif': its values, from .*; save it with 8 bits"):
        load_image(tmp_path, "a.tif")


def test_32_bits_that_wrap_are_refused(tmp_path):
    values = np.array([[0, 1 << 31, (1 << 32) - 1]], np.uint32)
    grey = {256: (4, 1, 3), 257: (4, 1, 1), 258: (3, 1, 32), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 8)}
    (tmp_path / "a.tif").write_bytes(tiff(grey | {277: (3, 1, 1), 279: (4, 1, 12), 339: (3, 1, 1)}, values.tobytes()))
    with pytest.raises(DataError, match="its values, from"):
        load_image(tmp_path, "a.tif")


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "1"])
def test_a_transparent_colour_is_laid_on_white(tmp_path, mode):
    clear = {"RGB": (9, 9, 9), "L": 9, "I;16": 9, "1": 0}[mode]
    image = Image.new(mode, (2, 1), clear)
    image.putpixel((0, 0), {"RGB": (255, 0, 0), "L": 100, "I;16": 25700, "1": 1}[mode])
    png = saved(image, "PNG", **({} if mode == "I;16" else {"transparency": clear}))
    if mode == "I;16":
        png = png[:33] + chunk(b"tRNS", struct.pack(">H", clear)) + png[33:]
    seen = decode_image(png, "a")
    assert seen.mode == "RGB"
    assert seen.getpixel((1, 0)) == (255, 255, 255)
    assert seen.getpixel((0, 0)) == {"RGB": (255, 0, 0), "1": (255, 255, 255)}.get(mode, (100, 100, 100))


def test_white_strips_are_as_the_whole_layer(monkeypatch):
    layer = Image.fromarray(np.random.default_rng(0).integers(0, 256, (33, 7, 4), np.uint8))
    white = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    monkeypatch.setattr(image_colours, "_STRIP", 28)
    assert to_rgb(layer).tobytes() == white.tobytes()


@pytest.mark.parametrize("block", [b"\xff" * 8, b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 50])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_damaged_exif_block_says_nothing_about_the_pixels(block, kind):
    image = Image.new("RGB", (6, 4), "red")
    if kind == "PNG":
        data = png_with(chunk(b"eXIf", block), image)
    elif kind == "JPEG":
        jpeg = saved(image, kind, quality=95)
        data = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + jpeg[2:]
    else:
        data = saved(image, kind, exif=block) if kind == "WEBP" else saved(image, kind)
    assert decode_image(data, "a").size == (6, 4)


def test_a_block_of_exif_with_more_than_anyone_would_read_is_left_unread():
    size = 200_000  # each of 20,000 entries is all of it
    entries = b"".join(struct.pack("<HHII", 300 + tag, 7, size, 8) for tag in range(20_000))
    block = b"II*\0" + struct.pack("<I", 8 + size) + bytes(size) + struct.pack("<H", 20_000) + entries + bytes(4)
    assert decode_image(png_with(chunk(b"eXIf", block), Image.new("RGB", (6, 4))), "a").size == (6, 4)


def test_libraries_say_nothing_on_standard_error_by_themselves(capfd):
    packed = saved(Image.effect_noise((64, 64), 50), "TIFF", compression="tiff_lzw")
    for cut in range(10, len(packed), 97):
        damaged = packed[:cut] + bytes(40) + packed[cut + 40 :]
        try:
            decode_image(damaged, "a")
        except DataError:
            continue
    assert capfd.readouterr().err == ""
