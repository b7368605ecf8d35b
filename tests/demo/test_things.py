"""Pictures with several things: masks that hold what is drawn, tables of the truth that agree with pixels and texts,
habits that pictures do not have.
"""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from trifacet.base.digests import file_digest
from trifacet.base.images import load_image
from trifacet.data.records import make_sample
from trifacet.data.settings import World
from trifacet.demo.facts import COLOURS, SHAPES, scene_generator
from trifacet.demo.make import write_world
from trifacet.demo.renderer import shaded
from trifacet.demo.seeing import look
from trifacet.demo.things import draw_things, mask_of, render_things
from trifacet.demo.things_files import scene_of, truth_table
from trifacet.demo.things_texts import (
    USUAL,
    answer,
    caption,
    careless_answer,
    careless_caption,
    draw_question,
    seen,
    worse_answer,
    worse_caption,
)
from trifacet.metrics.grounding import ground
from trifacet.metrics.objects import count_named, truth_of

AMOUNT = 2000
SIZE = 64
POSTS = {
    "preference.jsonl": "59380c35ca92135e",
    "sft.jsonl": "ec77ee7011262991",
    "test.jsonl": "9796733d8c429de2",
    "validation.jsonl": "aecf325fea38ed33",
}
KINDS = {"sft": "sft", "preference": "preference", "validation": "test", "test": "test"}


@pytest.fixture(scope="module")
def drawn():
    """Scenes with the generator that their texts are drawn with."""
    rngs = [scene_generator(7, "train", index) for index in range(AMOUNT)]
    return [(draw_things(rng), rng) for rng in rngs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("things")
    write_world(folder, World(kind="things", sft=30, preference=30, validation=6, test=6), seed=3, image_size=SIZE)
    return folder


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def named(text, scene):
    return count_named(text, truth_of({"objects": truth_table(scene)}))


def test_a_mask_is_what_changes_when_its_thing_is_not_there(drawn):
    for scene, _ in drawn[:60]:
        picture = np.asarray(render_things(scene, SIZE))
        for at, thing in enumerate(scene.things):
            without = np.asarray(render_things(replace(scene, things=scene.things[:at] + scene.things[at + 1 :]), SIZE))
            mask = mask_of(thing, SIZE)
            assert np.array_equal(mask, (picture != without).any(axis=-1))
            assert {tuple(pixel) for pixel in picture[mask].tolist()} == {shaded(thing.colour, thing.shade)}


def test_masks_of_a_picture_do_not_overlap_and_hold_a_share_that_can_be_seen(drawn):
    for scene, _ in drawn[:200]:
        masks = [mask_of(thing, SIZE) for thing in scene.things]
        assert np.sum(masks, axis=0).max() == 1
        assert all(0.01 < mask.mean() < 0.13 for mask in masks)


def test_each_thing_shows_its_colour_and_shape_to_who_sees_pixels_alone(drawn):
    """Of those in the lower half: who looks leaves the strip out that a sign may take."""
    for scene, _ in drawn[:60]:
        for thing in scene.things:
            if thing.y > 0.5:
                seen_as = look(render_things(replace(scene, things=(thing,)), 96))
                assert (seen_as["colour"], seen_as["shape"]) == (thing.colour, thing.shape)


def test_two_to_four_things_of_different_shapes_drawn_evenly(drawn):
    counted = Counter(len(scene.things) for scene, _ in drawn)
    assert set(counted) == {2, 3, 4}
    shapes = Counter(thing.shape for scene, _ in drawn for thing in scene.things)
    colours = Counter(thing.colour for scene, _ in drawn for thing in scene.things)
    for found, values in ((shapes, SHAPES), (colours, COLOURS)):
        expected = sum(found.values()) / len(values)
        assert set(found) == set(values)
        assert max(abs(amount - expected) for amount in found.values()) < 5 * expected**0.5
    assert all(len({thing.shape for thing in scene.things}) == len(scene.things) for scene, _ in drawn)


@pytest.mark.parametrize(("one", "other"), [(one, other) for one, (other, _) in USUAL.items()])
def test_pictures_do_not_have_the_habit_of_texts(drawn, one, other):
    """What texts name together stands together in pictures as often as any other pair: 2 of 5 further things."""
    together = [scene.colour_of(other) is not None for scene, _ in drawn if scene.colour_of(one)]
    expected = np.mean([(len(scene.things) - 1) / 5 for scene, _ in drawn if scene.colour_of(one)])
    assert abs(np.mean(together) - expected) < 4 * (0.25 / len(together)) ** 0.5


def test_the_true_caption_names_all_things_and_nothing_else(drawn):
    for scene, _ in drawn:
        told = named(caption(seen(scene)), scene)
        assert (told.absent, told.found, told.wrongly) == (0, len(scene.things), 0)
        assert told.described == told.mentions == told.there


def test_careless_captions_are_wrong_in_the_way_that_they_say(drawn):
    kinds = Counter()
    for scene, rng in drawn:
        kind, text = careless_caption(scene, rng)
        kinds[kind] += 1
        told = named(text, scene)
        assert (told.absent, told.wrongly, told.there - told.found) == {
            "true": (0, 0, 0), "usual": (1, 0, 0), "colour": (0, 1, 0), "left-out": (0, 0, 1),
        }[kind]  # fmt: skip
    assert 0.2 < kinds["usual"] / AMOUNT < 0.5
    assert min(kinds.values()) > 0.02 * AMOUNT


def test_a_rejected_caption_is_worse_than_the_chosen_one(drawn):
    for scene, rng in drawn:
        kind, text = worse_caption(scene, rng)
        told = named(text, scene)
        assert {"usual": told.absent, "swapped": told.absent, "colour": told.wrongly}.get(kind, 1) == 1
        assert told.absent + told.wrongly + (told.there - told.found) == (2 if kind == "swapped" else 1)


def test_answers_are_right_and_wrong_as_the_table_says(drawn):
    right = Counter()
    for scene, rng in drawn:
        question = draw_question(scene, rng)
        colour = scene.colour_of(question.shape)
        chosen, rejected = answer(question, scene), worse_answer(question, scene, rng)
        if question.which:
            assert (colour in chosen, colour in rejected) == (True, False)
            continue
        is_so = colour is not None and question.colour in (None, colour)
        right[is_so] += 1
        assert chosen.startswith("Yes") == is_so
        assert rejected.startswith("Yes") != is_so
        assert careless_answer(question, scene, rng)[1] in {chosen, rejected}
    assert abs(right[True] - right[False]) < 4 * right.total() ** 0.5


def test_every_row_is_a_valid_sample_whose_regions_are_masks_of_its_picture(folder):
    for split, kind in KINDS.items():
        for number, row in enumerate(rows(folder / f"{split}.jsonl")):
            sample = make_sample(kind, row, file=split, row=number + 1)
            picture = np.asarray(load_image(folder, sample.image))
            scene = scene_of(split, number, 3)
            assert np.array_equal(picture, np.asarray(render_things(scene, SIZE)))
            things = {thing.shape: thing for thing in scene.things}
            if split == "preference":
                regions = sample.extra["regions"]
                assert [one["word"] for one in regions] == [word for word in things if word in sample.response]
                for one in regions:
                    mask = np.asarray(load_image(folder, one["mask"]).convert("L")) > 0
                    assert np.array_equal(mask, mask_of(things[one["word"]], SIZE))


def test_held_out_rows_carry_the_truth_and_their_references_agree_with_it(folder):
    for row in rows(folder / "test.jsonl"):
        text, extra = row["references"][0], row["extra"]
        if truth := truth_of(extra):
            told = count_named(text, truth)
            assert (told.absent, told.found, told.wrongly) == (0, told.there, 0)
        else:
            assert ground(text, extra).values["grounding/answer"] == 1


def test_a_larger_world_begins_with_the_smaller_one(folder, tmp_path):
    write_world(tmp_path, World(kind="things", sft=5, preference=9, validation=1, test=3), seed=3, image_size=SIZE)
    for split in KINDS:
        small = rows(tmp_path / f"{split}.jsonl")
        assert small == rows(folder / f"{split}.jsonl")[: len(small)]
        files = [row["image"] for row in small] + [
            one["mask"] for row in small for one in row.get("extra", {}).get("regions", ())
        ]
        assert all((tmp_path / file).read_bytes() == (folder / file).read_bytes() for file in files)


def test_the_posts_are_what_they_were(tmp_path):
    """Bytes of the world of posts, as they were before there was another kind."""
    write_world(tmp_path, World(sft=4, preference=3, validation=2, test=2), seed=17, image_size=32)
    digests = {path.name: file_digest(path)[:16] for path in sorted(tmp_path.glob("*.jsonl"))}
    assert digests == POSTS


def test_the_warm_up_asks_each_quarter_for_what_stands_in_it(drawn):
    from trifacet.demo.warmup import _LESSONS, _quarters

    lessons = _LESSONS["things"]
    for index in range(50):
        scene = draw_things(scene_generator(9, "warmup", index))
        picture, labels, _, _ = lessons.picture(scene_generator(9, "warmup", index), SIZE)
        assert np.array_equal(np.asarray(picture), np.asarray(render_things(scene, SIZE)))
        told = {2 * (thing.y > 0.5) + (thing.x > 0.5): (thing.shape, thing.colour) for thing in scene.things}
        names = [("none", *SHAPES), ("none", *COLOURS)]
        for quarter in range(4):
            shape, colour = (names[k][labels[2 * quarter + k]] for k in range(2))
            assert (shape, colour) == told.get(quarter, ("none", "none"))
    places_PA = _quarters(16, 8)[0]
    assert places_PA.sum(dim=0).tolist() == pytest.approx([1.0] * 8)
    for patch in range(16):
        quarter = 2 * (patch // 4 >= 2) + (patch % 4 >= 2)
        assert (places_PA[patch] > 0).nonzero().flatten().tolist() == [2 * quarter, 2 * quarter + 1]


def test_a_list_that_is_read_is_asked_for_a_colour_that_it_tells():
    from trifacet.demo.warmup import _LESSONS

    for index in range(50):
        text, told = _LESSONS["things"].reading(scene_generator(9, "reading", index))
        listed, _, asked = text.partition(";")
        colour, shape = told.strip(" ."), asked.strip(" :")
        assert (f"{colour} {shape}" in listed) == (colour != "none") == (shape in listed)
