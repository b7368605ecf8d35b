"""Near-duplicates against planted ones: recall, precision, speed; and how much memory the decision takes.

    python bench/near_duplicates.py                        # 2,000 posts with pictures made on the spot
    python bench/near_duplicates.py --posts 20000
    python bench/near_duplicates.py --texts 1000000        # texts only: seconds and peak memory of the decision
    python bench/near_duplicates.py --codes 1000000        # the search for pictures' codes alone, by bits apart
    python bench/near_duplicates.py --demo 1000            # posts of the demo world, none a duplicate

Every post has a picture and a text of its own, except the planted ones. A planted duplicate shares one of the two with
an original: the picture, resized, recompressed or with cropped borders (2 to 8 % of each side), beside a new text; or
the text, with words changed, beside a new picture. Hard negatives: the same backdrop with other objects or colours, a
scene of the demo world with another count or colour, a text of the same template with other nouns. Recall and
precision are over pairs of posts in one cluster. Times are of one process's CPU, so that others on the machine matter
less.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from trifacet.building.rows import ROWS
from trifacet.building.similarity.candidates import CodeColumns, near_codes
from trifacet.building.step import Signatures, Tools
from trifacet.building.steps.near_duplicates import CODE_DISTANCE, STEP, Parameters
from trifacet.demo.facts import COLOURS, draw_scene, scene_generator
from trifacet.demo.posts import write_post
from trifacet.demo.renderer import render_scene

Rng = np.random.Generator
PART_ROWS = 4096
EDITS = ("resized", "recompressed", "cropped", "cropped askew", "all three", "edited text")
NEGATIVES = ("same backdrop", "same objects, other colours", "same template of text", "demo scene")
PLANTED, NEGATIVE = 0.25, 0.15  # shares of the posts
_SYLLABLES = [a + b for a in "bdfghklmnprstvwz" for b in ("a", "e", "i", "o", "u", "ar", "en", "is", "ol")]
_GLUE = ["the", "a", "of", "and", "to", "in", "with", "for", "on", "at", "from", "by", "as", "is", "was", "our", "my"]
_TEMPLATE = (
    "Today I finally made a {} with {} and {} for the {} of my {} and honestly the {} looks better than the {} from {}"
)


def backdrop(rng: Rng, width: int, height: int) -> Image.Image:
    """A gradient under clouds of noise at several scales, as skies, walls and lawns have them."""
    size, (width, height) = (width, height), (max(width // 4, 64), max(height // 4, 64))  # smooth: painted small
    corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC), np.float32)
    for cells in rng.choice([3, 5, 9, 20, 60], size=3, replace=False).tolist():
        noise = rng.normal(0, rng.uniform(8, 45), (cells, cells, 3)) + rng.normal(0, 15, (cells, cells, 1))
        layer = [Image.fromarray(noise[..., k].astype(np.float32)) for k in range(3)]
        pixels = pixels + np.stack([np.asarray(part.resize((width, height), 3)) for part in layer], axis=-1)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def objects(rng: Rng, image: Image.Image, amount: int, colours: Rng) -> Image.Image:
    """Shapes and lettering on a copy of the picture."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    side = min(image.size)
    for _ in range(amount):
        x, y, r = rng.uniform(0, image.width), rng.uniform(0, image.height), rng.uniform(0.08, 0.3) * side
        fill = tuple(colours.integers(0, 256, 3).tolist())
        kind = rng.integers(4)
        if kind == 0:
            draw.ellipse((x - r, y - r * 0.7, x + r, y + r * 0.7), fill=fill)
        elif kind == 1:
            draw.rectangle((x - r, y - r / 2, x + r, y + r / 2), fill=fill)
        elif kind == 2:
            draw.polygon([(x + r * np.cos(a), y + r * np.sin(a)) for a in rng.uniform(0, 6.3, 5)], fill=fill)
        else:
            words = " ".join(rng.choice(_SYLLABLES, 3).tolist())
            draw.text((x - r, y), words, fill=fill, font=ImageFont.load_default(max(10, r / 2)))
    return image


def picture(rng: Rng) -> Image.Image:
    """A picture of 256 to 1024 pixels a side."""
    width, height = rng.integers(256, 1025, 2).tolist()
    image = objects(rng, backdrop(rng, width, height), int(rng.integers(1, 9)), rng)
    return image.filter(ImageFilter.GaussianBlur(1)) if rng.random() < 0.3 else image


def text(rng: Rng, amount: int | None = None) -> str:
    """Words made of syllables between the small words of English, 14 to 40 by default."""
    amount = amount or int(rng.integers(14, 41))
    own = ["".join(rng.choice(_SYLLABLES, 2)) for _ in range(amount)]
    return " ".join(str(rng.choice(_GLUE)) if rng.random() < 0.4 else word for word in own).capitalize() + "."


def templated(rng: Rng) -> str:
    """A text of the one template that differs from its like in the nouns only."""
    return _TEMPLATE.format(*("".join(rng.choice(_SYLLABLES, 2)) for _ in range(8)))


def edited(words: str, rng: Rng) -> str:
    """A text with a few words changed or added (one per twelve), other case and punctuation."""
    parts = words.split()
    for _ in range(max(1, len(parts) // 12)):
        place = int(rng.integers(len(parts)))
        if rng.random() < 0.5:
            parts[place] = "".join(rng.choice(_SYLLABLES, 2))
        else:
            parts.insert(place, "really")
    result = " ".join(parts).replace(".", "!") + str(rng.choice(["", " <3", " ...", " https://t.example/x"]))
    return result.upper() if rng.random() < 0.3 else result


def cropped(image: Image.Image, rng: Rng, askew: bool) -> Image.Image:
    """Borders of 2 to 8 % cut off: the same from each side, or of each side its own; some sides none."""
    cuts = rng.uniform(0.02, 0.08, 4) * (rng.random(4) < 0.8) if askew else np.full(4, rng.uniform(0.02, 0.08))
    left, top, right, bottom = cuts * [*image.size, *image.size]
    return image.crop((round(left), round(top), round(image.width - right), round(image.height - bottom)))


def resized(image: Image.Image, rng: Rng) -> Image.Image:
    """Another size, 0.3 to 1.5 times as large, with at most 10 % of distortion."""
    scale, stretch = rng.uniform(0.3, 1.5), rng.uniform(0.95, 1.05)
    size = max(64, round(image.width * scale * stretch)), max(64, round(image.height * scale / stretch))
    return image.resize(size, Image.Resampling(int(rng.choice([1, 2, 3]))))


def altered(image: Image.Image, edit: str, rng: Rng) -> tuple[Image.Image, int]:
    """A planted duplicate and the JPEG quality to save it with."""
    if edit in ("cropped", "cropped askew", "all three"):
        image = cropped(image, rng, askew=edit != "cropped")
    if edit in ("resized", "all three"):
        image = resized(image, rng)
    return image, int(rng.integers(20, 60)) if edit in ("recompressed", "all three") else 90


class Posts:
    """Posts made one after the other, with the truth about which belong together."""

    def __init__(self, folder: Path, amount: int, seed: int) -> None:
        self.folder, self.rng = folder, np.random.default_rng(seed)
        self.rows: list[dict[str, object]] = []
        self.groups: list[tuple[int, str]] = []  # of each row: its original and how it was made from it
        self._fill(amount)

    def add(self, image: Image.Image, words: str, origin: int | None, how: str, quality: int = 90) -> int:
        number = len(self.rows)
        name = f"{number}.{'png' if quality == 90 and number % 5 == 0 else 'jpg'}"
        image.save(self.folder / name, quality=quality, compress_level=1)
        facts = {"row": number, "id": f"post-{number}", "source": 0, "source_row": number + 1, "file": f"0:{name}"}
        about = {"context": words, "alt": text(self.rng, 8), "width": image.width, "height": image.height}
        self.rows.append(facts | about)
        self.groups.append((number if origin is None else origin, how))
        return number

    def _fill(self, amount: int) -> None:
        rng = self.rng
        while len(self.rows) < amount:
            image, words = picture(rng), text(rng)
            number = self.add(image, words, None, "original")
            drawn = rng.random() * (1 - PLANTED / 2)
            if drawn < PLANTED:
                for edit in rng.choice(EDITS, size=int(rng.integers(1, 3)), replace=False).tolist():
                    if edit == "edited text":
                        self.add(picture(rng), edited(words, rng), number, edit)
                    else:
                        copy, quality = altered(image, edit, rng)
                        self.add(copy, text(rng), number, edit, quality)
            elif drawn < PLANTED + NEGATIVE:
                self._add_negatives(str(rng.choice(NEGATIVES)))

    def _add_negatives(self, kind: str) -> None:
        rng, seeds = self.rng, self.rng.integers(1 << 30, size=4).tolist()
        ground = backdrop(rng, 600, 450)
        scene = draw_scene(rng)
        other = str(rng.choice([colour for colour in COLOURS if colour != scene.colour]))
        scenes = [scene, replace(scene, colour=other), replace(scene, count=1, spots=scene.spots[1:] or scene.spots)]
        scenes = scenes if scene.count > 1 else scenes[:2]
        if kind == "demo scene":
            for one in scenes:
                self.add(render_scene(one, 320), text(rng), None, kind)
            return
        for k in range(2):
            things, colours = (np.random.default_rng(seeds[k * (kind == "same backdrop")]) for _ in "ab")
            paint = np.random.default_rng(seeds[2 + k]) if kind == "same objects, other colours" else colours
            image = picture(rng) if kind == "same template of text" else objects(things, ground, 5, paint)
            self.add(image, templated(rng) if kind == "same template of text" else text(rng), None, kind)


def tables(rows: list[dict[str, object]]) -> Iterator[pa.Table]:
    """The rows as parts of a build."""
    for start in range(0, len(rows), PART_ROWS):
        yield pa.Table.from_pylist(rows[start : start + PART_ROWS], schema=ROWS)


def signed(parts: Iterator[pa.Table], parameters: Parameters, tools: Tools) -> tuple[Signatures, float]:
    """Signatures of all parts on disk, and the CPU seconds that ``sign`` took."""
    files, seconds = [], 0.0
    for number, part in enumerate(parts):
        start = time.process_time()
        table = STEP.sign(part, parameters, tools)
        seconds += time.process_time() - start
        files.append(tools.folder / f"signatures-{number}.parquet")
        pq.write_table(table, files[-1], compression="zstd")
    return Signatures(tuple(files)), seconds


def pairs_of(labels: list[int]) -> set[tuple[int, int]]:
    """All pairs of places with the same label."""
    members = defaultdict(list)
    for place, label in enumerate(labels):
        members[label].append(place)
    return {pair for group in members.values() for pair in combinations(group, 2)}


def with_pictures(amount: int, folder: Path, seed: int) -> None:
    """Make posts, find duplicates, compare with the truth."""
    posts = Posts(folder, amount, seed)
    tools = Tools(seed=seed, folder=folder, roots={"0": folder})
    parameters = Parameters(keep="all")
    signatures, seconds = signed(tables(posts.rows), parameters, tools)
    start = time.process_time()
    decided = STEP.decide(signatures, parameters, tools)
    spent = time.process_time() - start
    clusters = list(range(len(posts.rows)))
    for row, cluster in zip(decided.column("row").to_pylist(), decided.column("cluster").to_pylist(), strict=True):
        clusters[row] = cluster
    truth, found = pairs_of([group for group, _ in posts.groups]), pairs_of(clusters)
    print(f"{len(posts.rows)} posts with pictures, {len(truth)} pairs planted, {len(found)} found")
    print(f"recall {len(truth & found) / len(truth):.4f}   precision {len(truth & found) / max(1, len(found)):.4f}")
    print(f"sign {len(posts.rows) / seconds:.0f} rows per CPU second; decide {spent:.1f} CPU seconds")

    def how(pair: tuple[int, int]) -> str:
        kinds = [posts.groups[place][1] for place in pair]
        return kinds[1] if kinds[0] == "original" else " + ".join(sorted(kinds))

    planted, hit = (Counter(how(pair) for pair in pairs) for pairs in (truth, truth & found))
    print("\nrecall by edit (with '+': two copies of one original)")
    for kind, count in sorted(planted.items()):
        print(f"  {kind:32}{hit[kind]:6} of {count:6}  {hit[kind] / count:.3f}")
    print("\nhard negatives merged with another post")
    wrong = Counter(kind for pair in found - truth for kind in {posts.groups[place][1] for place in pair})
    made = Counter(kind for _, kind in posts.groups)
    for kind in ("original", *NEGATIVES, *EDITS):
        print(f"  {kind:32}{wrong[kind]:6} pairs, of {made[kind]:6} posts")


def texts_only(amount: int, folder: Path, seed: int) -> None:
    """Decide about made-up texts, one in ten an edited copy of an earlier one, and watch the memory."""
    tools = Tools(seed=seed, folder=folder, roots={})
    parameters = Parameters(by=["text"], keep="all")
    words = np.random.default_rng(seed).choice(_SYLLABLES, (20_000, 2))
    vocabulary = ["".join(pair) for pair in words] + _GLUE * 200

    def parts() -> Iterator[pa.Table]:
        for first in range(0, amount, PART_ROWS):
            rng = np.random.default_rng([seed, first])
            rows: list[dict[str, object]] = []
            for number in range(first, min(amount, first + PART_ROWS)):
                if number % 10 == 9 and rows:
                    post = edited(str(rows[-int(rng.integers(min(9, len(rows)))) - 1]["context"]), rng)
                else:
                    picks = rng.integers(len(vocabulary), size=int(rng.integers(14, 41)))
                    post = " ".join(vocabulary[k] for k in picks)
                rows.append({"row": number, "id": f"p{number}", "source": 0, "source_row": number + 1, "context": post})
                rows[-1]["alt"] = ""
            yield pa.Table.from_pylist(rows, schema=ROWS)

    signatures, seconds = signed(parts(), parameters, tools)
    print(f"{amount} texts: sign {amount / seconds:.0f} rows per CPU second")
    in_own_process(decided, signatures, parameters, tools)


def codes_only(amount: int, folder: Path, seed: int) -> None:
    """Look for planted near codes among random ones: every twentieth is an earlier one with 0 to 12 bits turned."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**64, amount, dtype=np.uint64)
    copies = np.arange(19, amount, 20)
    bits = np.arange(len(copies)) % (CODE_DISTANCE + 1)
    turned = np.argsort(np.argsort(rng.random((len(copies), 64)))) < bits[:, None]
    codes[copies] = codes[copies - 7] ^ np.packbits(turned, axis=1).view(np.uint64)[:, 0]
    files = []
    for start in range(0, amount, PART_ROWS):
        files.append(folder / f"{start}.parquet")
        pq.write_table(pa.table({"picture": codes[start : start + PART_ROWS]}), files[-1])
    near = in_own_process(near_codes, Signatures(tuple(files)), CodeColumns("picture"), CODE_DISTANCE)
    hit = np.isin(copies, near.asked[near.found == near.asked - 7])
    print("recall by bits apart: " + "  ".join(f"{k}: {hit[bits == k].mean():.3f}" for k in range(CODE_DISTANCE + 1)))


def demo(amount: int, folder: Path, seed: int) -> None:
    """Scenes and posts of the demo world, each drawn by itself: whatever is merged differs in some fact or place."""
    rows: list[dict[str, object]] = []
    for number in range(amount):
        rng = scene_generator(seed, "near-duplicates", number)
        scene = draw_scene(rng)
        render_scene(scene, 192).save(folder / f"{number}.png")
        about = {"context": " ".join(write_post(scene, rng)), "alt": "", "file": f"0:{number}.png"}
        rows.append({"row": number, "id": f"d{number}", "source": 0, "source_row": number + 1} | about)
    tools = Tools(seed=seed, folder=folder, roots={"0": folder})
    for by in ("image", "text"):
        parameters = Parameters(by=[by], keep="best")
        found = STEP.decide(signed(tables(rows), parameters, tools)[0], parameters, tools)
        gone = sum(kept != row for kept, row in zip(found["kept"].to_pylist(), found["row"].to_pylist(), strict=True))
        print(f"by {by}: {gone} of {amount} posts of the demo world would leave")


def in_own_process(function: Callable[..., Any], *given: Any) -> Any:
    """What a function returns; its time and its peak memory are printed, alone in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        result, spent, before, after = alone.submit(measured, function, *given).result()
    print(f"{spent:.1f} CPU seconds; peak memory of the process {before:.0f} MB before, {after:.0f} MB after")
    return result


def decided(signatures: Signatures, parameters: Parameters, tools: Tools) -> None:
    print(f"{STEP.decide(signatures, parameters, tools).num_rows} rows in clusters")


def measured(function: Callable[..., Any], *given: Any) -> tuple[Any, float, float, float]:
    """The result, CPU seconds, and peak memory in MB before and after."""
    import scipy.sparse.csgraph  # noqa: F401 - what is imported late shall count as before

    before, start = _peak(), time.process_time()
    result = function(*given)
    return result, time.process_time() - start, before, _peak()


def _peak() -> float:
    """Of this process alone, from Linux; getrusage would count what the process that started it had taken."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=2000)
    parser.add_argument("--texts", type=int, help="so many texts without pictures instead")
    parser.add_argument("--codes", type=int, help="so many codes instead")
    parser.add_argument("--demo", type=int, help="so many posts of the demo world instead")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    runs = {"texts": texts_only, "codes": codes_only, "demo": demo, "posts": with_pictures}
    chosen = next(name for name in runs if getattr(options, name))
    with tempfile.TemporaryDirectory() as folder:
        runs[chosen](getattr(options, chosen), Path(folder), options.seed)


if __name__ == "__main__":
    main()
