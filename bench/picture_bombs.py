"""What pictures cost that are small on the disk and dear to decode: CPU seconds and peak memory, each in its process.

    python bench/picture_bombs.py [PICTURE ...]

With pictures of your own these are measured instead. A picture that is refused costs what finding that out takes.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from trifacet.base.errors import DataError
from trifacet.base.images import load_image

SIDE = 7000  # 49 million pixels: just within the limit
PAGES, SCANS, CHUNKS, SEGMENTS = 40_000, 200, 1_600_000, 5_000_000


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a picture's file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def square(mode: str, colour: object = 0) -> Image.Image:
    return Image.new(mode, (SIDE, SIDE), colour)  # type: ignore[arg-type]


def run_lengths() -> bytes:
    """A BMP of 50 million pixels in codes that end a line."""
    head = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024)
    facts = struct.pack("<IiiHHIIiiII", 40, 14_000, 3570, 1, 8, 1, 0, 0, 0, 256, 0)
    return head + facts + bytes(1024) + b"\0\0" * 3571 + b"\0\1"


def repeated_scans() -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    whole = saved(square("L", 77), "JPEG", progressive=True)
    last = whole.rfind(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * SCANS + whole[-2:]


def pages() -> bytes:
    """A TIFF of very many pages, one pixel each."""
    one = saved(Image.new("L", (1, 1)), "TIFF")
    (first,) = struct.unpack("<I", one[4:8])
    (entries,) = struct.unpack("<H", one[first : first + 2])
    page = one[first : first + 2 + 12 * entries]
    file, at = bytearray(one[:first]), first
    for number in range(PAGES):
        at += len(page) + 4
        file += page + struct.pack("<I", at if number < PAGES - 1 else 0)
    return bytes(file)


def chunks() -> bytes:
    """A PNG with very many empty chunks before its pixels."""
    one = saved(Image.new("L", (9, 9)), "PNG")
    at = one.find(b"IDAT") - 4
    return one[:at] + (struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))) * CHUNKS + one[at:]


def segments() -> bytes:
    """A JPEG with very many empty segments."""
    one = saved(Image.new("L", (9, 9)), "JPEG")
    return one[:2] + b"\xff\xe5\0\2" * SEGMENTS + one[2:]


BOMBS: dict[str, Callable[[], bytes]] = {
    "BMP, codes that end a line": run_lengths,
    f"JPEG, a scan {SCANS} times": repeated_scans,
    f"TIFF, {PAGES:,} pages": pages,
    f"PNG, {CHUNKS:,} empty chunks": chunks,
    f"JPEG, {SEGMENTS:,} segments": segments,
    "PNG of 1 x 50,000": lambda: saved(Image.new("L", (1, 50_000)), "PNG"),
    "WebP, transparent": lambda: saved(square("RGBA", (0, 0, 0, 0)), "WEBP", lossless=True, method=0),
    "PNG, transparent": lambda: saved(square("RGBA", (0, 0, 0, 0)), "PNG"),
    "GIF, transparent": lambda: saved(square("P"), "GIF", transparency=0),
    "PNG, 16 bits": lambda: saved(square("I;16", 1000), "PNG"),
    "TIFF, floats": lambda: saved(square("F", 0.5), "TIFF"),
    "JPEG, progressive": lambda: saved(square("RGB", (9, 0, 200)), "JPEG", progressive=True, subsampling=0),
    "JPEG, CMYK": lambda: saved(square("CMYK"), "JPEG"),
}


def cost(path: Path) -> str:
    """One row: bytes, CPU seconds, peak memory, and what became of it."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            told = "{} x {}".format(*load_image(path.parent, path.name, allow_animated=True).size)
        except DataError:
            told = "refused"
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    _, _, used = os.wait4(child, 0)
    with os.fdopen(reading) as line:
        told = line.read() or "died"
    seconds, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1000
    return f"{path.stat().st_size:,} | {seconds:.2f} | {peak:,.0f} | {told}"


def main() -> None:
    print("| picture | bytes | CPU s | peak MB | |\n|---|---:|---:|---:|---|")
    for name in sys.argv[1:]:
        print(f"| {name} | {cost(Path(name))} |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in BOMBS.items() if len(sys.argv) == 1 else ():
            path = Path(folder) / "picture"
            maker = os.fork()  # what making takes must not count: a child begins with its parent's peak
            if maker == 0:
                path.write_bytes(make())
                os._exit(0)
            os.waitpid(maker, 0)
            print(f"| {name} | {cost(path)} |", flush=True)


if __name__ == "__main__":
    main()
