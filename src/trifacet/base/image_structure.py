"""What makes a small file dear to decode, told from its structure.

Invariant: nothing is unpacked, and the time is bounded by the bytes of the file.
"""

from __future__ import annotations

import mmap
import re

from PIL import Image

MOST_SCANS = 64  # of a JPEG; encoders make about ten, and each costs a walk over all its pixels
MOST_PIECES = 100_000  # chunks of a PNG, segments of a JPEG; Pillow takes some microseconds for each
RUN_LENGTH_PIXELS = 4_000_000  # of a BMP; Pillow unpacks its runs in Python, 4 million pixels a second

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_SCAN, _END = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")  # in a scan, ff 00 is a byte of its data


def dear_structure(data: bytes | mmap.mmap) -> str | None:
    """Why the pixels of a file are too dear, by its pieces; None where they aren't."""
    if data[:2] == _JPEG:
        return _dear_jpeg(data)
    return _dear_png(data) if data[:8] == _PNG else None


def dear_decoder(image: Image.Image, max_pixels: int) -> str | None:
    """The same of an opened image, by what will decode it."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF: a tile is unpacked whole, whatever the picture needs of it
    width, height = (tags.get(tag, 1) for tag in (322, 323))
    if width * height > max_pixels:
        return f"is made of tiles of {width} x {height} pixels, more than the limit of {max_pixels}"
    if any(tile[0] == "bmp_rle" for tile in getattr(image, "tile", ())) and image.width * image.height > (
        most := min(max_pixels, RUN_LENGTH_PIXELS)
    ):
        return f"has {image.width} x {image.height} pixels in run lengths, more than the limit of {most}"
    return None


def _dear_jpeg(data: bytes | mmap.mmap) -> str | None:
    scans, place = 0, 2
    for _ in range(MOST_PIECES):
        marker = _MARKER.search(data, place)
        if marker is None or data[marker.end() - 1] == _END:
            return None
        scans += data[marker.end() - 1] == _SCAN
        if scans > MOST_SCANS:
            return f"has more than {MOST_SCANS} scans"
        place = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return f"has more than {MOST_PIECES} segments"


def _dear_png(data: bytes | mmap.mmap) -> str | None:
    place = len(_PNG)
    for _ in range(MOST_PIECES):
        if place >= len(data):
            return None
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return f"has more than {MOST_PIECES} chunks"
