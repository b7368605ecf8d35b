"""How well locators find the things of a picture: against true masks, on pictures that no split and no training has.

    python -m trifacet.demo.locator runs/mfpo/locator
    python bench/mfpo/locators_quality.py clipseg=runs/mfpo/locator
    python -m trifacet.demo.clip runs/mfpo/clip
    python bench/mfpo/locators_quality.py lowest-similarity=runs/mfpo/clip lowest-similarity=runs/mfpo/clip,draws=300
    python bench/mfpo/locators_quality.py attention=runs/mfpo/start/seed-17/models/sft/model --pictures 100

Each locator sees a picture with its true caption and the nouns in it. Printed with 95 % intervals over pictures:

* found: nouns with a region; IoU: of a noun's regions, united, with its thing's true mask (0 where nothing is found);
  IoU >= .5: nouns so well found. A locator that gives regions of the whole response has none of these three.
* union IoU: of all regions with all true masks, what a rejected image depends on; inside: of what is found, the share
  that shows a thing, which for a place at random is the truth's area; area: the union's share of the picture, beside
  the truth's.
* false: of nouns whose thing is not there, asked one at a time, those with a region; says nothing of a locator that
  looks through the response (attention), in which such a noun does not stand.

The last two rows are controls: boxes of the true union's area, drawn at random, and the whole picture.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

from trifacet.base.draws import generator
from trifacet.data.records import PreferenceSample
from trifacet.demo.facts import scene_generator
from trifacet.demo.things import Things, draw_things, mask_of, render_things
from trifacet.demo.things_texts import REQUEST, caption, seen
from trifacet.preferences.rejected.masks import Mask, area, box_mask, union
from trifacet.regions.looking import KeyWord, Locator, Look, Region
from trifacet.statistics.measures import Measure, share_measure
from trifacet.statistics.significance import bca_intervals

SPLIT = "locating"  # pictures of their own
SIZE = 64


class Shown(NamedTuple):
    """A picture's truth and what a locator sees of it."""

    scene: Things
    look: Look


class RandomBox:
    """The control: one box of the share that ``areas`` gives for a sample, anywhere."""

    name = "random box"

    def __init__(self, areas: dict[str, float]) -> None:
        self.areas = areas

    def fingerprint(self) -> dict[str, Any]:
        return {"locator": self.name}

    def locate(self, look: Look) -> list[Region]:
        rng = generator(look.seed, look.sample.id, self.name, 1, 0)
        share, (width, height) = self.areas[look.sample.id], look.picture.size
        stretch = math.exp(rng.uniform(-0.5, 0.5) * math.log(2))
        wide, high = (min(1.0, math.sqrt(share) * by) for by in (stretch, 1 / stretch))
        left, upper = rng.uniform(0, 1 - wide) * width, rng.uniform(0, 1 - high) * height
        box = (left, upper, left + wide * width, upper + high * height)
        return [Region("", box_mask(look.picture.size, box), 1.0, box)]


class Everything:
    """The control: the whole picture."""

    name = "whole picture"

    def fingerprint(self) -> dict[str, Any]:
        return {"locator": self.name}

    def locate(self, look: Look) -> list[Region]:
        return [Region("", np.ones(look.picture.size[::-1], np.bool_), 1.0)]


def shown(count: int, seed: int) -> list[Shown]:
    """The pictures, each with its true caption and the nouns in it."""
    found = []
    for index in range(count):
        scene = draw_things(scene_generator(seed, SPLIT, index))
        text = caption(seen(scene))
        words = tuple(_word(text, thing.shape) for thing in scene.things)
        sample = PreferenceSample(id=f"{SPLIT}-{index:05d}", image=f"{index}.png", prompt=REQUEST, response=text)
        found.append(Shown(scene, Look(sample, render_things(scene, SIZE), words, seed)))
    return found


def _word(text: str, word: str) -> KeyWord:
    start = text.find(word)
    return KeyWord(word, 1.0, ((start, start + len(word)),) if start >= 0 else ())


def quality(locator: Locator, pictures: Sequence[Shown]) -> list[Measure]:
    """The measures above, in per cent, over pictures; those by noun only where a locator gives regions by noun."""
    rows, by_noun = [], False
    for scene, look in pictures:
        regions = locator.locate(look)
        by_noun = by_noun or any(region.word for region in regions)
        truths = {thing.shape: mask_of(thing, SIZE) for thing in scene.things}
        own = {word: union(one.mask for one in regions if one.word == word) for word in truths}
        overlaps = [0.0 if (mask := own[word]) is None else overlap(mask, truth) for word, truth in truths.items()]
        all_found, all_true = union(one.mask for one in regions), union(truths.values())
        assert all_true is not None
        false = locator.locate(Look(look.sample, look.picture, (_word("", scene.absent[0]),), look.seed))
        rows.append(
            [
                len(truths),
                sum(mask is not None for mask in own.values()),
                sum(overlaps),
                sum(one >= 0.5 for one in overlaps),
                0.0 if all_found is None else overlap(all_found, all_true),
                0.0 if all_found is None else area(all_found & all_true) / area(all_found),
                all_found is not None,
                0.0 if all_found is None else area(all_found),
                area(all_true),
                bool(false),
                1,
            ]
        )
    ids = [one.look.sample.id for one in pictures]
    columns = np.asarray(rows, dtype=np.float64).T
    things, each = columns[0], columns[10]
    measured = [
        *(share_measure(name, ids, columns[k], things) for k, name in enumerate(("found", "IoU", "IoU >= .5"), 1)),
        share_measure("union IoU", ids, columns[4], each),
        share_measure("inside", ids, columns[5], columns[6]),
        share_measure("area", ids, columns[7], each),
        share_measure("true area", ids, columns[8], each),
        share_measure("false", ids, columns[9], each),
    ]
    return [one for one in measured if by_noun or one.name in ("union IoU", "inside", "area", "true area")]


def overlap(one: Mask, other: Mask) -> float:
    """Intersection over union; 0 of two empty masks."""
    either = int((one | other).sum())
    return int((one & other).sum()) / either if either else 0.0


def opened(given: str) -> tuple[str, Locator]:
    """The locator of ``name=checkpoint``, with its own thresholds, or of ``name=checkpoint,key=value,...`` with keys of
    ``regions.locator``; and what to call it.
    """
    from trifacet.regions.locators.opening import open_locator
    from trifacet.regions.locators.settings import LocatorSettings

    name, _, rest = given.partition("=")
    model, *more = rest.split(",")
    keys = {key: yaml.safe_load(value) for key, _, value in (one.partition("=") for one in more)}
    return ", ".join([name, *more]), open_locator(LocatorSettings(name=name, model=model, **keys))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("locators", nargs="*", help="name=checkpoint, such as clipseg=runs/mfpo/locator")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pictures = shown(options.pictures, options.seed)
    areas = {
        one.look.sample.id: float(np.sum([area(mask_of(thing, SIZE)) for thing in one.scene.things]))
        for one in pictures
    }
    heads = ("found", "IoU", "IoU >= .5", "union IoU", "inside", "area", "true area", "false")
    print(f"{len(pictures)} pictures of {SIZE} px, {sum(len(one.scene.things) for one in pictures)} things; per cent\n")
    print(f"| locator | {' | '.join(heads)} | s |\n|---{'|---:' * (len(heads) + 1)}|")
    controls: list[Locator] = [RandomBox(areas), Everything()]
    for name, locator in [*map(opened, options.locators), *((one.name, one) for one in controls)]:
        began = time.perf_counter()
        measures = quality(locator, pictures)
        took = time.perf_counter() - began
        intervals = bca_intervals(measures, seed=options.seed)
        cells = {
            one.name: f"{one.value:.1f}" + (f" [{between[0]:.1f}, {between[1]:.1f}]" if between else "")
            for one, between in zip(measures, intervals, strict=True)
        }
        print(f"| {name} | {' | '.join(cells.get(head, '-') for head in heads)} | {took:.1f} |", flush=True)


if __name__ == "__main__":
    main()
