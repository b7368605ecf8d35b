"""The world's facts, pictures and posts: balanced, independent, and each side blind to what the other tells."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from trifacet.data.post_settings import REJECTED, USERS
from trifacet.demo.alttext import clean, with_wrong_fact, write_alt_text
from trifacet.demo.facts import (
    COLOURS,
    COUNTS,
    FACTS,
    NAMES,
    PLACES,
    SHAPES,
    accepted,
    confusions,
    draw_scene,
    scene_generator,
)
from trifacet.demo.posts import write_post
from trifacet.demo.renderer import render_scene

AMOUNT = 3000


@pytest.fixture(scope="module")
def drawn():
    """Scenes with their posts."""
    out = []
    for index in range(AMOUNT):
        rng = scene_generator(7, "train", index)
        scene = draw_scene(rng)
        out.append((scene, write_post(scene, rng)))
    return out


def words(text):
    return set(re.findall(r"\w+", text.casefold()))


def stated(text, scene, fact):
    """The value of ``fact`` that a text states: right, wrong or nothing."""
    found = words(text)
    right = any(form.casefold() in found for form in accepted(scene)[fact])
    wrong = any(form.casefold() in found for form in confusions(scene)[fact])
    return "wrong" if wrong else "right" if right else "nothing"


def test_a_scene_depends_on_seed_split_and_index_only():
    assert draw_scene(scene_generator(1, "test", 3)) == draw_scene(scene_generator(1, "test", 3))
    others = [scene_generator(2, "test", 3), scene_generator(1, "sft", 3), scene_generator(1, "test", 4)]
    assert all(draw_scene(scene_generator(1, "test", 3)) != draw_scene(other) for other in others)


@pytest.mark.parametrize(
    ("fact", "values"), [("colour", COLOURS), ("shape", SHAPES), ("count", COUNTS), ("place", PLACES)]
)
def test_values_are_drawn_evenly(drawn, fact, values):
    counted = Counter(getattr(scene, fact) for scene, _ in drawn)
    expected = AMOUNT / len(values)
    assert set(counted) == set(values)
    assert max(abs(amount - expected) for amount in counted.values()) < 5 * expected**0.5


def test_the_picture_does_not_tell_the_name():
    scene = draw_scene(scene_generator(1, "test", 0))
    pictures = {
        render_scene(replace(scene, name=name, other=other), 64).tobytes()
        for name in NAMES
        for other in (None, "Bobati")
    }
    assert len(pictures) == 1


@pytest.mark.parametrize("fact", ["colour", "shape"])
def test_the_picture_tells_colour_and_shape(fact):
    scene = draw_scene(scene_generator(1, "test", 0))
    values = {"colour": COLOURS, "shape": SHAPES}[fact]
    assert len({render_scene(replace(scene, **{fact: value}), 64).tobytes() for value in values}) == len(values)


def test_the_picture_tells_the_count():
    for index in range(50):
        scene = draw_scene(scene_generator(1, "test", index))
        assert len(scene.spots) == scene.count
        for spot in range(scene.count):  # every object is in the frame and shows
            fewer = replace(scene, spots=scene.spots[:spot] + scene.spots[spot + 1 :])
            assert render_scene(fewer, 64).tobytes() != render_scene(scene, 64).tobytes()


def test_the_post_always_tells_the_name(drawn):
    assert all(scene.name.casefold() in words(" ".join(post)) for scene, post in drawn)


@pytest.mark.parametrize(("fact", "values"), [("colour", COLOURS), ("shape", SHAPES), ("count", COUNTS)])
def test_the_post_does_not_tell_what_the_picture_shows(drawn, fact, values):
    """Copying the post's word is right as often as a guess: within four standard errors of one in so many values."""
    hits = []
    for scene, post in drawn:
        found = words(" ".join(post))
        right = accepted(scene)[fact]
        every = {*right, *confusions(scene)[fact]}
        if found & every:
            hits.append(bool(found & set(right)))
    chance = 1 / len(values)
    assert len(hits) > AMOUNT / 2
    assert abs(np.mean(hits) - chance) < 4 * (chance * (1 - chance) / len(hits)) ** 0.5


def test_clean_text_states_every_fact_rightly_and_no_other(drawn):
    for scene, _ in drawn:
        assert {stated(clean(scene), scene, fact) for fact in FACTS} == {"right"}


def test_forms_are_unambiguous_even_with_a_plural_s():
    scene = draw_scene(scene_generator(1, "test", 0))
    forms = [form.casefold() for fact in FACTS for form in (*accepted(scene)[fact], *confusions(scene)[fact])]
    names = {name.casefold() for name in NAMES}
    assert len(forms) == len(set(forms))
    assert not names & {name + ending for name in names for ending in ("s", "es")}


@pytest.mark.parametrize("fact", FACTS)
def test_a_wrong_fact_is_the_only_one_that_changes(drawn, fact):
    for scene, _ in drawn[:200]:
        text = clean(with_wrong_fact(scene, np.random.default_rng(0), fact))
        assert [stated(text, scene, other) for other in FACTS] == ["wrong" if f == fact else "right" for f in FACTS]


@pytest.mark.parametrize("kind", sorted({*USERS, *REJECTED} - {"clean", "verbose"}))
def test_faulty_texts_get_some_fact_wrong_or_leave_it_out(drawn, kind):
    for scene, post in drawn[:200]:
        text = write_alt_text(kind, scene, post, np.random.default_rng(0))
        assert any(stated(text, scene, fact) != "right" for fact in FACTS)


def test_verbose_texts_are_right_but_long(drawn):
    for scene, post in drawn[:200]:
        text = write_alt_text("verbose", scene, post, np.random.default_rng(0))
        assert {stated(text, scene, fact) for fact in FACTS} == {"right"}
        assert len(text.split()) > 2 * len(clean(replace(scene, sign=None)).split())


def test_the_poor_habit_is_the_majority():
    poor = [kind for kind in USERS if write_alt_text(kind, *_sample()).startswith("A picture of")]
    assert sum(USERS.values()) == pytest.approx(1)
    assert sum(REJECTED.values()) == pytest.approx(1)
    assert sum(USERS[kind] for kind in poor) > 0.5


def _sample():
    rng = scene_generator(1, "test", 0)
    scene = draw_scene(rng)
    return scene, write_post(scene, rng), rng


@pytest.mark.parametrize("size", [32, 64, 96])
def test_pictures_have_the_size_asked_for(size):
    image = render_scene(draw_scene(scene_generator(1, "test", 0)), size)
    assert (image.size, image.mode) == ((size, size), "RGB")
