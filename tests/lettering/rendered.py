"""Rendered lines of letters, for engines to read."""

from __future__ import annotations

import matplotlib
from PIL import Image, ImageDraw, ImageFont

FONT = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
MARGIN = 20


def lettered(*lines: str, size: int = 28, ink: str = "black", ground: str = "white", angle: float = 0) -> Image.Image:
    """A picture of the lines, one below the other, turned counter-clockwise by ``angle`` degrees."""
    font = ImageFont.truetype(FONT, size)
    wide = max(round(font.getlength(line)) for line in lines) + 2 * MARGIN
    picture = Image.new("RGB", (wide, 2 * size * len(lines) + MARGIN), ground)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        pen.text((MARGIN, MARGIN // 2 + 2 * size * number), line, font=font, fill=ink)
    return picture.rotate(angle, expand=True, fillcolor=ground) if angle else picture


def places(line: str, size: int = 28) -> list[tuple[float, float]]:
    """Where the words of a line begin and end in its picture, from left to right."""
    font = ImageFont.truetype(FONT, size)
    found, at = [], 0
    for word in line.split():
        at = line.index(word, at)
        found.append((MARGIN + font.getlength(line[:at]), MARGIN + font.getlength(line[: at + len(word)])))
        at += len(word)
    return found
