"""Regions of lettering on real posts: which words of a text find the place where they stand, and what comes of the picture.

    python bench/lettering_regions.py ../shared/data/pinterest --output runs/lettering-regions   # minutes

FOLDER holds pinterest_train.json, pinterest_test.json and image/ as the authors of MCM-DPO publish them. The chosen texts
of the pairs and those of the test posts are located by locator ``words``, rejected images are made by each strategy, and
the engine reads what it can of the chosen and of the rejected ones, within the regions and a margin: ``before`` and
``still`` are located words that it reads there in the chosen and in the rejected image, ``new`` the words set by
region-words that it reads. Sheets of all pictures, chosen beside rejected, lie in the output folder: whether a
region is right is for people to say.
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
from trifacet.lettering.engine import open_engine
from trifacet.lettering.places import placed_words
from trifacet.lettering.settings import Reading
from trifacet.preferences.rejected.images import image_strategy, rejected_image
from trifacet.preferences.rejected.strategy import Draw, Seen
from trifacet.preferences.rejected.words import RegionWords
from trifacet.regions.locating import Place
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.regions.locators.words import plain, same, spoken
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
            found.append(
                PreferenceSample(id=f"{name}-{sample.id}", response=text, rejected_responses=("-",), **values)
            )
    return found


def words_in(engine: Any, picture: Image.Image) -> list[str]:
    """The words that the engine reads, plain."""
    return [plain(one.word) for line in engine.read(picture).lines for one in placed_words(line)]


def held(words: Sequence[str], read: Sequence[str]) -> int:
    """How many of the words are among those read, or within what was run together."""
    return sum(any(same(one, other) or (len(one) > 3 and one in other) for other in read) for one in words)


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
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        margin = max(40, (columns[-1] - columns[0]) // 8)
        corners = columns[0] - margin, rows[0] - margin, columns[-1] + margin, rows[-1] + margin
        box = tuple(int(min(max(at, 0), end)) for at, end in zip(corners, picture.size * 2, strict=True))
        old = sorted({said.plain for region in one.regions for said in spoken(region.word)})
        beside = np.array(picture)
        beside[mask] = 127  # what is read beside the regions says nothing of them
        around = words_in(engine, Image.fromarray(beside).crop(box))
        old = [word for word in old if not held([word], around)]
        counts["words"] += len(old)
        counts["before"] += held(old, words_in(engine, picture.crop(box)))
        shown = [with_regions(picture, [Drawn(at, m) for at, m in enumerate(one.masks(MAX_PIXELS), 1)], 900)]
        for name in STRATEGIES:
            made = rejected_image(image_strategy(name), seen)
            assert isinstance(made, Image.Image)
            assert (np.asarray(made) == np.asarray(picture))[~mask].all(), name
            read = words_in(engine, made.crop(box))
            counts[f"{name}: still"] += held(old, read)
            if name == "region-words":
                new = [said.plain for word in RegionWords().words(seen).values() if word for said in spoken(word)]
                counts["new words"] += len(new)
                counts["new words read"] += held(new, read)
            shown.append(made.crop(box))
        scale = shown[0].width / picture.width
        shown[0] = shown[0].crop(tuple(int(at * scale) for at in box))
        sheet.append([each.resize((WIDTH, max(round(each.height * WIDTH / each.width), 1))) for each in shown])
        if len(sheet) == A_SHEET or number == len(located):
            _sheet(sheet).save(options.output / f"sheet-{-(-number // A_SHEET)}.png")
            sheet = []
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
