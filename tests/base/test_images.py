"""Images that nobody has vouched for: what leaves the door is RGB, upright and whole, or is refused with a reason."""

import io
import random
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from trifacet.base.errors import DataError
from trifacet.base.image_colours import to_rgb
from trifacet.base.images import image_facts, load_image, resolve_inside


def png(width, height, depth, colour, data=b"", extra=b""):
    """The bytes of a PNG with this header, whatever its data are."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + body + chunk(b"IEND", b"")


def noise(mode="RGB", size=(48, 40)):
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)).convert(mode)


def refusal(root, name, **options):
    with pytest.raises(DataError) as caught:
        load_image(root, name, **options)
    return str(caught.value)


def test_paths_that_leave_the_root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    noise().save(tmp_path / "secret.png")
    noise().save(root / "fine.png")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "up").symlink_to(tmp_path)
    for name in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "up/secret.png", "x/../../secret.png"):
        assert "outside the data root" in refusal(root, name)
    assert "no image file" in refusal(root, "none.png")
    assert "no image file" in refusal(root, ".")
    (root / "circle.png").symlink_to("circle.png")
    for name in ("circle.png", "x" * 300 + ".png"):
        assert "cannot be reached" in refusal(root, name) or "no image file" in refusal(root, name)
    (root / "inside.png").symlink_to(root / "fine.png")
    assert load_image(root, "inside.png").size == (48, 40)
    assert resolve_inside(root, "fine.png") == (root / "fine.png").resolve()


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\ud800.png", "ä" * 200 + ".png"])
def test_names_that_can_be_no_path(tmp_path, name):
    assert "cannot be reached" in refusal(tmp_path, name)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_truncated_files(tmp_path, kind):
    buffer = io.BytesIO()
    noise().save(buffer, kind)
    for share in (0.5, 0.9):
        (tmp_path / "a").write_bytes(buffer.getvalue()[: int(share * len(buffer.getvalue()))])
        assert "image" in refusal(tmp_path, "a")


def test_damaged_bytes_are_always_a_data_error(tmp_path):
    rng = random.Random(0)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF"):
        buffer = io.BytesIO()
        frames = {} if kind == "JPEG" else {"save_all": True, "append_images": [noise(size=(16, 12))]}
        noise(size=(16, 12)).save(buffer, kind, **frames)
        for _ in range(40):
            data = bytearray(buffer.getvalue()[: rng.randrange(1, len(buffer.getvalue()) + 1)])
            data[rng.randrange(len(data))] = rng.randrange(256)
            (tmp_path / "a").write_bytes(data)
            with suppress(DataError):
                assert load_image(tmp_path, "a", allow_animated=True).mode == "RGB"


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<html></html>", b"%PDF-1.4", b"\x00" * 100])
def test_files_that_are_no_images(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert "image" in refusal(tmp_path, "a.png")


def test_svg_is_refused_rather_than_run(tmp_path):
    (tmp_path / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    assert "not an image of a known format" in refusal(tmp_path, "a.svg")


def test_bomb_is_refused_by_its_header(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png(50_000, 50_000, 8, 2))
    assert "50000 x 50000 pixels" in refusal(tmp_path, "bomb.png") or "bomb" in refusal(tmp_path, "bomb.png")
    (tmp_path / "big.png").write_bytes(png(8_000, 8_000, 8, 2))
    assert "more than the limit of 50000000" in refusal(tmp_path, "big.png")
    noise().save(tmp_path / "small.png")
    assert "more than the limit of 100" in refusal(tmp_path, "small.png", max_pixels=100)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animated_images_are_refused_unless_allowed(tmp_path, kind):
    frames = [noise(), noise().rotate(90)]
    frames[0].save(tmp_path / "a", kind, save_all=True, append_images=frames[1:])
    assert image_facts(tmp_path / "a").frames == 2
    assert ("has more than one page" if kind == "TIFF" else "is animated") in refusal(tmp_path, "a")
    assert load_image(tmp_path, "a", allow_animated=True).mode == "RGB"


def test_still_gif_is_fine(tmp_path):
    noise("P").save(tmp_path / "a.gif")
    assert load_image(tmp_path, "a.gif").mode == "RGB"


def test_transparency_is_laid_on_white(tmp_path):
    layer = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    layer.putpixel((0, 0), (255, 0, 0, 255))
    layer.save(tmp_path / "rgba.png")
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.putpixel((0, 0), 1)
    palette.save(tmp_path / "p.png", transparency=0)
    for name in ("rgba.png", "p.png"):
        image = load_image(tmp_path, name)
        assert image.getpixel((0, 0)) == (255, 0, 0)
        assert image.getpixel((1, 1)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_its_shades(tmp_path):
    shades = [0, 257 * 100, 65535]
    (tmp_path / "a.png").write_bytes(png(3, 1, 16, 0, b"\0" + struct.pack(">HHH", *shades)))
    image = load_image(tmp_path, "a.png")
    assert [image.getpixel((x, 0))[0] for x in range(3)] == [0, 100, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "HSV", "I;16", "F"])
def test_every_mode_becomes_rgb(mode):
    image = Image.new(mode, (3, 2))
    assert to_rgb(image).mode == "RGB"
    assert to_rgb(image).size == (3, 2)


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise
    image = Image.new("RGB", (40, 20), "blue")
    image.paste((255, 0, 0), (0, 0, 10, 20))
    image.save(tmp_path / "a.jpg", exif=exif)
    upright = load_image(tmp_path, "a.jpg")
    assert upright.size == (20, 40)
    red, _, blue = upright.getpixel((10, 3))
    assert red > 200
    assert blue < 60
