"""Bits flipped in files, as a bad disk or cable flips them."""

import random
from collections.abc import Iterator
from pathlib import Path


def flipped(content: bytes, place: int) -> bytes:
    """``content`` with its bit number ``place`` flipped."""
    changed = bytearray(content)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def flip(path: Path, place: int) -> None:
    """Flip a bit of a file under its inode: hard links to it have it too."""
    with path.open("r+b") as file:
        file.seek(place // 8)
        byte = file.read(1)[0]
        file.seek(place // 8)
        file.write(bytes([byte ^ 1 << place % 8]))


def random_flips(folder: Path, count: int, seed: int) -> Iterator[tuple[Path, int]]:
    """``count`` flips over all files of ``folder``: a file after the other in a drawn order, a bit each.

    The flip is there while the caller has it, and is undone after.
    """
    draw = random.Random(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    order: list[Path] = []
    for _ in range(count):
        order = order or draw.sample(files, len(files))
        path = order.pop()
        place = draw.randrange(8 * path.stat().st_size)
        flip(path, place)
        yield path, place
        flip(path, place)
