"""Which lettering a reader should hear of: prominent by size and confidence, no small print, address or credit.

Invariant: what is prominent follows from the lettering and the numbers of ``Prominence`` alone.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import regex

from trifacet.lettering.lines import Lettering, Line
from trifacet.lettering.matching import word_count

_TOP = "com|org|net|edu|gov|info|io|co|biz|me|tv|app|dev|shop|store|blog|uk|de|fr|es|it|nl|pl|jp|in|au|ca|us|eu|ch|at"
_ADDRESS = (
    rf"(?:https?:/*+|www\.)\S++|[\p{{L}}\p{{N}}_-]++(?:\.[\p{{L}}\p{{N}}_-]++)*?\.(?:{_TOP})(?:/\S*+)?(?=[\s|•·,;:.)]|$)"
    r"|[\p{L}\p{N}._%+-]++@[\p{L}\p{N}.-]++|@[\p{L}\p{N}_.]++"
)
_BETWEEN = r"[\s|•·,;:./&+()-]*+"
_ADDRESSES = regex.compile(rf"{_BETWEEN}(?:(?:{_ADDRESS}){_BETWEEN})+", regex.IGNORECASE)
_HASHTAG = regex.compile(r"[\s•·*-]*+[#＃][\p{L}\p{N}_]++(?:[\s•·|,]*+[#＃][\p{L}\p{N}_]++)*+[\s.,]*+")
_CREDIT = regex.compile(
    r"\W*+(?:(?:photo|photos|photograph|photography|picture|image|images|illustration|art|artwork|video|foto|fotos)\s*+"
    r"(?:by|credit|credits|courtesy|von|:)|credits?+\s*+[:©]|courtesy\s+of|source\s*+:|quelle\s*+:|©|\(c\)|copyright\b"
    r"|all\s+rights\s+reserved|via\s*+@)|.{0,80}©",
    regex.IGNORECASE,
)
_STOCK = regex.compile(
    r"\W*+(?:shutterstock|getty ?images|i?stock(?:photo)?|alamy(?: stock photo)?|adobe ?stock|dreamstime|depositphotos"
    r"|123rf|freepik|vecteezy|canva|made with \S++)\W*+",
    regex.IGNORECASE,
)
_LETTER = regex.compile(r"[\p{L}\p{N}]")


@dataclass(frozen=True)
class Prominence:
    """What counts as prominent.

    Args:
        least_confidence: of a line. Below it every second line of real pictures is no word.
        least_height: of its letters, a share of the square root of the picture's area (its side, were it a square): at
            0.03 a picture that is shown 600 pixels wide and high has letters of 18 pixels, larger than a page's text.
        least_of_tallest: the same as a share of the tallest line's: lettering of a quarter is a note to it.
        least_letters: letters and digits of a line; fewer are cut off something, but for numbers.
        page_words: with more words than this, small ones too, the picture is a page of text, which is asked for its
            title: read out whole they take ten seconds and more.
        title_over_median: of a page's lines those are its title that are this many times as tall as its middle one ...
        title_of_tallest: ... and this share of the tallest; where there are none it is the first line.
        hashtag_wall: from this many lines of hashtags on these are not asked for.
        watermark_times: a line that stands this often in the picture is a watermark.
    """

    least_confidence: float = 0.8
    least_height: float = 0.03
    least_of_tallest: float = 0.25
    least_letters: int = 3
    page_words: int = 25
    title_over_median: float = 1.4
    title_of_tallest: float = 0.6
    hashtag_wall: int = 3
    watermark_times: int = 3


def prominent(lettering: Lettering, rule: Prominence | None = None) -> tuple[Line, ...]:
    """The prominent lines, in their order; of a page of text its title's. Lines without a place count as prominent."""
    rule = rule or Prominence()
    lines = _of_the_picture(lettering, rule)
    if is_page(lettering, rule):
        return _title(lines, rule)
    tall = max((letter_height(line) for line in lines if line.placed), default=0.0)
    least = max(rule.least_height * math.sqrt(lettering.size[0] * lettering.size[1]), rule.least_of_tallest * tall)
    return tuple(line for line in lines if not line.placed or letter_height(line) >= least)


def is_page(lettering: Lettering, rule: Prominence | None = None) -> bool:
    """Whether the picture is a page of text: more words, read with confidence, than anybody wants read out."""
    rule = rule or Prominence()
    sure = (line for line in lettering.lines if line.confidence >= rule.least_confidence)
    return sum(word_count(line.text) for line in sure) > rule.page_words


def letter_height(line: Line) -> float:
    """How tall the letters of a line are, in pixels: the shorter side of its rectangle, turned as it is."""
    if line.quad is None:
        return min(line.box[2] - line.box[0], line.box[3] - line.box[1])
    (a, b, c, d) = line.quad
    return min((math.dist(a, b) + math.dist(d, c)) / 2, (math.dist(b, c) + math.dist(a, d)) / 2)


def is_address(text: str) -> bool:
    """Whether a line is web addresses and handles only."""
    return _ADDRESSES.fullmatch(text) is not None


def is_credit(text: str) -> bool:
    """Whether a line says who made the picture, or is the mark of who sells it."""
    return _CREDIT.match(text) is not None or _STOCK.fullmatch(text) is not None


def _of_the_picture(lettering: Lettering, rule: Prominence) -> list[Line]:
    """The lines that are read with confidence and say something of the picture, whatever their size."""
    often = Counter(line.text.casefold() for line in lettering.lines)
    tagged = sum(_HASHTAG.fullmatch(line.text) is not None for line in lettering.lines)
    return [
        line
        for line in lettering.lines
        if line.confidence >= rule.least_confidence
        and (len(_LETTER.findall(line.text)) >= rule.least_letters or regex.search(r"\p{Nd}", line.text))
        and often[line.text.casefold()] < rule.watermark_times
        and not is_address(line.text)
        and not is_credit(line.text)
        and not (tagged >= rule.hashtag_wall and _HASHTAG.fullmatch(line.text))
    ]


def _title(lines: Sequence[Line], rule: Prominence) -> tuple[Line, ...]:
    heights = [letter_height(line) for line in lines if line.placed]
    tallest = max(heights, default=0.0)
    if heights and tallest >= rule.title_over_median * statistics.median(heights):
        return tuple(line for line in lines if line.placed and letter_height(line) >= rule.title_of_tallest * tallest)
    return tuple(lines[:1])
