"""Locators held against true masks: who knows the truth gets everything right, who sees nothing nothing."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from mfpo.locators_quality import Everything, RandomBox, overlap, quality, shown

from trifacet.demo.things import mask_of
from trifacet.preferences.rejected.masks import area, union
from trifacet.regions.looking import Region

SIZE = 64


@pytest.fixture(scope="module")
def pictures():
    return shown(12, 5)


@dataclass
class Knowing:
    """Gives the true masks, or those of what is not asked for."""

    scenes: dict
    name = "knowing"
    wrong: bool = False

    def fingerprint(self):
        return {}

    def locate(self, look):
        masks = {thing.shape: mask_of(thing, SIZE) for thing in self.scenes[look.sample.id].things}
        words = [one.text for one in look.words if one.text in masks]
        shifted = words[1:] + words[:1] if self.wrong else words
        return [Region(word, masks[other], 1.0) for word, other in zip(words, shifted, strict=True)]


def values(locator, pictures):
    return {one.name: one.value for one in quality(locator, pictures)}


def truth(pictures):
    return {one.look.sample.id: one.scene for one in pictures}


def test_who_knows_the_truth_finds_all_of_it_and_nothing_else(pictures):
    found = values(Knowing(truth(pictures)), pictures)
    assert {found[name] for name in ("found", "IoU", "IoU >= .5", "union IoU", "inside")} == {100.0}
    assert found["false"] == 0
    assert found["area"] == found["true area"]


def test_masks_of_other_things_have_the_right_union_and_no_word_right(pictures):
    found = values(Knowing(truth(pictures), wrong=True), pictures)
    assert (found["found"], found["IoU"], found["union IoU"], found["inside"]) == (100, 0, 100, 100)


def test_controls_give_the_area_that_they_should_and_nothing_by_noun(pictures):
    scenes = truth(pictures)
    areas = {name: area(union(mask_of(one, SIZE) for one in scene.things)) for name, scene in scenes.items()}
    random, everything = values(RandomBox(areas), pictures), values(Everything(), pictures)
    assert set(random) == set(everything) == {"union IoU", "inside", "area", "true area"}
    assert random["area"] == pytest.approx(random["true area"], rel=0.2)
    assert everything["area"] == 100
    assert everything["inside"] == everything["true area"]
    assert everything["union IoU"] == pytest.approx(everything["true area"])


def test_overlap_is_intersection_over_union():
    one, other = np.zeros((2, 4), np.bool_), np.zeros((2, 4), np.bool_)
    one[:, :2], other[0, 1:] = True, True
    assert overlap(one, other) == pytest.approx(1 / 6)
    assert overlap(one & False, other & False) == 0
