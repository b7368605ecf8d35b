"""Other words where words stood: in like size and colour, turned alike, and nothing else of the picture changed."""

import numpy as np
import pytest
from drawn import photo
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from searching import searched

from trifacet.base.errors import DataError
from trifacet.preferences.rejected.images import image_strategy, rejected_image
from trifacet.preferences.rejected.masks import Lettered, quad_mask, union
from trifacet.preferences.rejected.strategy import Draw, Seen
from trifacet.preferences.rejected.words import LONGEST, RegionWords, _faces


def turned(middle, length, height, degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    halves = [(-length, -height), (length, -height), (length, height), (-length, height)]
    return tuple((middle[0] + (x * cos - y * sin) / 2, middle[1] + (x * sin + y * cos) / 2) for x, y in halves)


def seen_of(picture, lettering, mask=None, **key):
    if mask is None:
        mask = union(quad_mask(picture.size, one.quad) for one in lettering)
    draw = Draw(**{"seed": 1, "sample_id": "s", **key})
    return Seen(picture, "", draw, lambda _: None, (), (), lambda: picture, mask, 1, tuple(lettering))


def sign(text, *, letters=(20, 30, 90), behind=(240, 220, 120), bold=False, size=32):
    """A word on a plain sign, and its rectangle."""
    font = _faces()[bold].font.font_variant(size=size)
    picture = Image.new("RGB", (360, 120), behind)
    pen = ImageDraw.Draw(picture)
    pen.text((40, 40), text, fill=letters, font=font)
    left, upper, right, lower = pen.textbbox((40, 40), text, font=font)
    quad = ((left - 3, upper - 3), (right + 3, upper - 3), (right + 3, lower + 3), (left - 3, lower + 3))
    return picture, Lettered(text, quad)


def array(picture):
    return np.asarray(picture, np.int16)


@st.composite
def pictures_and_words(draw):
    width, height = draw(st.integers(8, 160)), draw(st.integers(8, 160))
    words = []
    for _ in range(draw(st.integers(1, 3))):
        middle = draw(st.integers(0, width)), draw(st.integers(0, height))
        quad = turned(middle, draw(st.integers(0, 150)), draw(st.integers(0, 60)), draw(st.integers(-180, 180)))
        text = draw(st.sampled_from(["Market", "SALE", "1,250", "9:30", "寿司", "שלום", "a", "x" * 300, "o’clock!", "%"]))
        words.append(Lettered(text, quad))
    return photo(width, height, seed=draw(st.integers(0, 99))), words


@searched(40)
@given(pictures_and_words(), st.integers(1, 3))
def test_outside_the_words_every_pixel_is_the_chosen_ones(case, version):
    picture, words = case
    seen = seen_of(picture, words, version=version)
    if not seen.mask.any():
        return
    made = rejected_image(RegionWords(), seen)
    assert (array(made) == array(picture))[~seen.mask].all()
    assert made.tobytes() == rejected_image(RegionWords(), seen).tobytes()


def test_words_are_others_of_their_kind_in_each_version_and_once_each():
    words = [Lettered(text, turned((180, 60), 100, 30, 0)) for text in ("SALE", "Market", "25%", "9:30", "SALE")]
    found = []
    for version in (1, 2, 3):
        set_ = RegionWords().words(seen_of(photo(360, 120), words, version=version))
        assert list(set_) == ["SALE", "Market", "25%", "9:30"]
        assert set_["SALE"].isupper()
        assert set_["Market"].istitle()
        assert set_["25%"].removesuffix("%").isdigit()
        assert ":" in set_["9:30"]
        assert len({one.casefold() for one in (*set_, *set_.values())}) == 8
        found.append(set_)
    for text in words[0].text, "Market":
        assert len({one[text] for one in found}) == 3
    other_sample = RegionWords().words(seen_of(photo(360, 120), words, sample_id="t"))
    assert other_sample != found[0]


@pytest.mark.parametrize(
    ("letters", "behind"), [((20, 30, 90), (240, 220, 120)), ((255, 255, 255), (200, 20, 30)), ((230, 120, 0), (0, 0, 0))]
)
def test_colours_and_size_are_those_of_the_letters_that_stood_there(letters, behind):
    picture, word = sign("Harbour", letters=letters, behind=behind)
    made = array(rejected_image(RegionWords(), seen_of(picture, [word])))

    def ink(pixels):
        return np.abs(pixels - np.array(letters)).max(-1) < 100

    before, after = ink(array(picture)), ink(made)
    assert after.sum() > 0.5 * before.sum()
    assert (before != after).sum() > 0.3 * before.sum()
    rows = [np.flatnonzero(one.any(1)) for one in (before, after)]
    heights = [one[-1] - one[0] for one in rows]
    assert abs(heights[0] - heights[1]) <= 0.35 * heights[0]  # what reaches above and below lines differs
    assert np.abs(made[~after] - np.array(behind)).max(-1).mean() < 30


def test_bold_words_become_bold_ones():
    shares = []
    for bold in (False, True):
        picture, word = sign("Harbour", bold=bold)
        made = array(rejected_image(RegionWords(), seen_of(picture, [word])))
        shares.append((np.abs(made - np.array((20, 30, 90))).max(-1) < 60).sum())
    assert shares[1] > 1.25 * shares[0]


def test_letters_that_cannot_be_told_from_what_is_behind_become_black_or_white():
    picture, word = sign("Harbour", letters=(238, 219, 121), behind=(240, 220, 120))
    made = array(rejected_image(RegionWords(), seen_of(picture, [word])))
    assert (made.max(-1) < 60).sum() > 100


def test_what_is_in_other_letters_or_no_word_is_only_taken_away():
    quad = turned((180, 60), 120, 40, 0)
    for text in ("寿司", "Рынок", "x" * (LONGEST + 1)):
        seen = seen_of(photo(360, 120), [Lettered(text, quad)])
        erased = rejected_image(image_strategy("region-inpaint"), seen)
        assert rejected_image(RegionWords(), seen).tobytes() == erased.tobytes()


def test_regions_of_no_lettering_are_refused():
    with pytest.raises(DataError, match=r"of no lettering.* regions\.locator\.name: words"):
        RegionWords().reject(seen_of(photo(), [], mask=np.ones((60, 90), np.bool_)))


def test_a_turned_rectangle_is_the_pixels_that_it_touches():
    size = (60, 50)
    assert (quad_mask(size, turned((30, 25), 20, 10, 0)) == quad_mask(size, turned((30, 25), 20, 10, 180))).all()
    assert quad_mask(size, turned((30, 25), 20, 10, 0)).sum() == 200
    rows, columns = np.mgrid[:50, :60]
    for degrees in (17, 45, 93, -60):
        mask = quad_mask(size, turned((30, 25), 30, 12, degrees))
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        across, down = columns + 0.5 - 30, rows + 0.5 - 25
        along, beside = np.abs(across * cos + down * sin), np.abs(down * cos - across * sin)
        assert mask[(along < 15) & (beside < 6)].all()
        assert not mask[(along > 16.5) | (beside > 7.5)].any()
