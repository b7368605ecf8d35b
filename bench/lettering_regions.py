"""Regions of lettering on real posts: which words of a text find where they stand, and what comes of the picture.

    python bench/lettering_regions.py ../shared/data/pinterest --output runs/lettering-regions   # minutes

FOLDER holds pinterest_train.json, pinterest_test.json and image/ as the authors of MCM-DPO publish them. The chosen
texts of the pairs and those of the test posts are located by locator ``words``, rejected images are made by each
strategy, and the engine reads the neighbourhood of the regions in the chosen and in the rejected images: ``words``
are those of the regions that it does not read beside them too, ``before`` those of them that it reads in the chosen
image, ``still`` in the rejected one, and ``new words read`` those set by region-words. Sheets of all pictures, the
chosen one with its regions beside the rejected ones, lie in the output folder: whether a region is right is for
people to say.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trifacet.base.images import load_image
from trifacet.data.formats import read_samples
from trifacet.data.records import PreferenceSample, TestSample
from trifacet.data.source import Source
from trifacet.lettering.engine import Engine, open_engine
from trifacet.lettering.lines import Lettering
from trifacet.lettering.matching import missing
from trifacet.lettering.settings import Reading
from trifacet.preferences.rejected.images import image_strategy, rejected_image
from trifacet.preferences.rejected.masks import Mask
from trifacet.preferences.rejected.strategy import Draw, Seen
from trifacet.preferences.rejected.words import RegionWords
from trifacet.regions.locating import Located, Place
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.regions.locators.words import spoken
from trifacet.regions.opening import opener_for
from trifacet.regions.settings import Regions
from trifacet.regions.store import Masks, locate, read_located, rows_of
from trifacet.reports.region_pictures import Drawn, with_regions
from trifacet.reports.regions import write_regions_page

STRATEGIES = ("region-blur", "region-inpaint", "region-words")
MAX_PIXELS = 50_000_000
WIDTH = 430  # pixels of each picture on a sheet
A_SHEET = 3


def pairs(folder: Path) -> list[PreferenceSample]:
    """The pairs, and the test posts as pairs whose rejected text nobody looks at."""
    found = []
    for name, kind in (("train", "preference"), ("test", "test")):
        for sample in read_samples(folder / f"pinterest_{name}.json", kind):
            text = sample.references[0] if isinstance(sample, TestSample) else sample.response
            values = {"image": f"image/pinterest_{name}/{sample.image}", "context": sample.context}
            found.append(PreferenceSample(id=f"{name}-{sample.id}", response=text, rejected_responses=("-",), **values))
    return found


def held(words: Sequence[str], read: Lettering) -> int:
    """How many of the words were read."""
    return sum(not missing(read, word) for word in words)


def rejected(name: str, seen: Seen) -> Image.Image:
    """The rejected image of a strategy; outside the mask it is the chosen one."""
    made = rejected_image(image_strategy(name), seen)
    assert isinstance(made, Image.Image) and seen.mask is not None
    assert (np.asarray(made) == np.asarray(seen.picture))[~seen.mask].all(), name
    return made


def around(mask: Mask) -> tuple[int, int, int, int]:
    """The rectangle of a mask and what is near it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    margin = max(40, int(columns[-1] - columns[0]) // 8)
    height, width = mask.shape
    left, upper = max(int(columns[0]) - margin, 0), max(int(rows[0]) - margin, 0)
    return left, upper, min(int(columns[-1]) + margin, width), min(int(rows[-1]) + margin, height)


def counted(
    engine: Engine, one: Located, seen: Seen, made: Sequence[Image.Image], box: tuple[int, int, int, int]
) -> Counter[str]:
    """What the engine reads in the chosen and the rejected images of a sample."""
    beside = np.array(seen.picture)
    beside[seen.mask] = 127  # what is read beside the regions says nothing of them
    near = engine.read(Image.fromarray(beside).crop(box))
    said = sorted({said.folded for region in one.regions for said in spoken(region.word)})
    old = [word for word in said if missing(near, word)]
    counts = Counter({"words": len(old), "before": held(old, engine.read(seen.picture.crop(box)))})
    for name, picture in zip(STRATEGIES, made, strict=True):
        read = engine.read(picture.crop(box))
        counts[f"{name}: still"] += held(old, read)
        if name == "region-words":
            new = [each.text for word in RegionWords().words(seen).values() if word for each in spoken(word)]
            counts["new words"] += len(new)
            counts["new words read"] += held(new, read)
    return counts


def main() -> None:
    """See the file's own text."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/lettering-regions"))
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    file, store = options.output / "pairs.jsonl", options.output / "regions"
    file.write_text("".join(f"{one.model_dump_json()}\n" for one in pairs(options.folder)), encoding="utf-8")
    source = Source(file, "trifacet", "preference", options.folder, "", False)
    settings = Regions(locator=LocatorSettings(name="words"))
    opener = opener_for(settings, Place(options.folder, options.folder, MAX_PIXELS), options.seed)
    locate(source, store, opener, max_pixels=MAX_PIXELS)
    write_regions_page(store, source, store / "regions.html", show=100, max_pixels=MAX_PIXELS)
    masks, engine = Masks(store, max_pixels=MAX_PIXELS), open_engine(Reading())
    samples = {sample.id: sample for _, sample in rows_of(source)}
    counts: Counter[str] = Counter()
    sheet: list[list[Image.Image]] = []
    located = [one for one in read_located(store) if one.status == "located"]
    for one in read_located(store):
        print(f"{one.id}: {one.status}: {samples[one.id].response}")
        for region in one.regions:
            print(f"    {region.word!r} lettered {' '.join(word.text for word in region.lettering)!r}")
    for number, one in enumerate(located, start=1):
        sample, mask = samples[one.id], masks(samples[one.id])
        assert mask is not None and sample.image is not None
        picture = load_image(options.folder, sample.image, max_pixels=MAX_PIXELS)
        seen = Seen(picture, sample.response, Draw(options.seed, one.id), _none, (), (), _none, mask, 1, one.lettering)
        box = around(mask)
        scale = 900 / max(picture.size)
        shown = with_regions(picture, [Drawn(at, each) for at, each in enumerate(one.masks(MAX_PIXELS), 1)], 900)
        made = [rejected(name, seen) for name in STRATEGIES]
        pictures = [shown.crop(tuple(round(at * scale) for at in box)), *(each.crop(box) for each in made)]
        sheet.append([each.resize((WIDTH, max(round(each.height * WIDTH / each.width), 1))) for each in pictures])
        if len(sheet) == A_SHEET or number == len(located):
            _sheet(sheet).save(options.output / f"sheet-{-(-number // A_SHEET)}.png")
            sheet = []
        counts += counted(engine, one, seen, made, box)
    found = sum(len(one.regions) for one in located)
    print(json.dumps({"samples": len(samples), "located": len(located), "regions": found, **counts}, indent=1))


def _sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    heights = [max(each.height for each in row) + 6 for row in rows]
    drawn = Image.new("RGB", (len(rows[0]) * (WIDTH + 6), sum(heights)), "magenta")
    for number, row in enumerate(rows):
        for at, each in enumerate(row):
            drawn.paste(each, (at * (WIDTH + 6), sum(heights[:number])))
    return drawn


def _none(*_: Any) -> Any:
    raise AssertionError("no strategy here looks at an encoder's pixels or another picture")


if __name__ == "__main__":
    main()
