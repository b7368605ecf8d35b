"""Texts put into pages drawn at random: every other byte stays, and the old texts put back give the old bytes."""

import random
import re
from html import unescape

import pytest
from generated_pages import html_page, markdown_page, rst_page, text

from trifacet.base.errors import DataError
from trifacet.describing.formats.html import FORMAT as HTML
from trifacet.describing.formats.markdown import FORMAT as MARKDOWN
from trifacet.describing.formats.rst import FORMAT as RST
from trifacet.describing.place import Edit

KINDS = {
    "html": (HTML, html_page, "a.html"),
    "markdown": (MARKDOWN, markdown_page, "a.md"),
    "rst": (RST, rst_page, "a.rst"),
}


def lines(kind, alt):
    return alt if kind == "html" else " ".join(alt.split())


def editable(format, data, path):
    return [place for place in format.places(data, path) if not place.fixed]


def differing(old, new):
    """The piece of each in which they differ."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return old[start : len(old) - end], new[start : len(new) - end]


def check(kind, seed):
    """One page: all its texts at once, and one of them alone; how many texts were changed."""
    format, made, path = KINDS[kind]
    rng = random.Random(f"{kind} {seed}")
    data = made(rng)
    places = editable(format, data, path)
    wanted = {place.key: Edit(text(rng, lines=True, templates=kind != "rst")) for place in places}
    new = format.edited(data, path, wanted)
    after = editable(format, new, path)
    assert [lines(kind, edit.alt) for edit in wanted.values()] == [place.alt for place in after]
    assert len(list(format.places(new, path))) == len(list(format.places(data, path)))
    assert [(place.picture.source, place.role == "x") for place in places] == [
        (place.picture.source, False) for place in after
    ]
    # the old texts, put back where there were some, give the old bytes
    had = [
        one for one in places if one.alt is not None and not one.alt.startswith("sub") and one.picture.source != "svg"
    ]
    changed = format.edited(data, path, {place.key: wanted[place.key] for place in had})
    keys = {before.key: now.key for before, now in zip(places, editable(format, changed, path), strict=True)}
    assert format.edited(changed, path, {keys[place.key]: Edit(place.alt) for place in had}) == data
    # alone, nothing differs but this text
    for place in rng.sample(places, min(2, len(places))):
        one = format.edited(data, path, {place.key: wanted[place.key]})
        old, put = (piece.decode("latin-1").replace("\0", "") for piece in differing(data, one))
        assert len(old) <= 12 * len(place.alt or "") + 12, (old, put, place)
        assert not re.search(r"<\w|src=|\]\(", old) or re.search(r"<\w|src=|\]\(", unescape(place.alt or "")), (
            old,
            place,
        )
    return len(places)


@pytest.mark.parametrize("kind", KINDS)
def test_every_other_byte_stays(kind):
    assert sum(check(kind, seed) for seed in range(40)) > 60


@pytest.mark.endurance
@pytest.mark.parametrize("kind", KINDS)
def test_every_other_byte_stays_on_a_thousand_pages(kind):
    assert sum(check(kind, seed) for seed in range(1000)) > 2000


def test_nothing_wanted_gives_the_same_bytes():
    for kind, (format, made, path) in KINDS.items():
        for seed in range(10):
            data = made(random.Random(seed))
            assert format.edited(data, path, {}) == data, kind
            same = {place.key: Edit(place.alt) for place in editable(format, data, path) if place.alt is not None}
            assert format.edited(data, path, same) == data, kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_is_not_there_and_a_character_that_no_page_holds_are_refused(kind):
    format, made, path = KINDS[kind]
    data = next(page for page in map(made, map(random.Random, range(50))) if editable(format, page, path))
    with pytest.raises(DataError, match="no place"):
        format.edited(data, path, {"img@999999": Edit("x")})
    key = editable(format, data, path)[0].key
    for char in "\0\x07\x1b\x85\ud800\uffff":
        with pytest.raises(DataError, match="U\\+"):
            format.edited(data, path, {key: Edit(f"a{char}b")})
