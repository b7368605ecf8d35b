"""What reading costs: processor time over the longest side and what is lost by it, pictures a second, memory.

Invariant: sides are compared picture by picture in one process, in an order drawn for each, by processor time; so other
work on the machine changes all of them alike.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from lettered.pictures import Look, Page, page, poster
from lettered.scoring import Outcome, outcomes
from lettered.texts import drawn_texts
from trifacet.lettering.engine import open_engine
from trifacet.lettering.files import picture_files
from trifacet.lettering.lines import Lettering, Line
from trifacet.lettering.reading import Readings
from trifacet.lettering.settings import Reading
from trifacet.statistics.measures import Measure, share_measure
from trifacet.statistics.significance import bca_intervals

SIDES = (600, 800, 1000, 1400, 2000)
GROUPS = ((0, 20), (20, 40), (40, 1000))  # of letters' sizes, in pixels of the whole picture
LARGE = 0.02  # lines so high, as a share of the longest side, are large ones
SURE = 0.9
SHAPES = ((1500, 2000), (2000, 1333), (1080, 1920))
SMALLER = ((700, 700), (1000, 1500), (1080, 1350), (1280, 960))


class Taken(NamedTuple):
    """A picture read at a side: processor seconds, and what was found."""

    picture: str
    seconds: float
    found: Lettering


def made_pages(count: int, shapes: Sequence[tuple[int, int]], seed: int) -> list[Page]:
    """Photo-like pictures with texts of 12 to 100 pixels, of the shapes in turn."""
    pages = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        pages.append(poster(shapes[number % len(shapes)], lambda rng: drawn_texts("mixed", 1, rng)[0], rng))
    return pages


def read_at_sides(pictures: Sequence[tuple[str, Image.Image]], seed: int) -> dict[int, list[Taken]]:
    """Each picture at each side."""
    engines = {side: open_engine(Reading(longest_side=side)) for side in SIDES}
    for engine in engines.values():  # opens its models
        engine.read(page(["warm"], Look(), np.random.default_rng(0)).picture)
    taken: dict[int, list[Taken]] = {side: [] for side in SIDES}
    rng = np.random.default_rng(seed)
    for name, picture in pictures:
        for side in rng.permutation(SIDES).tolist():
            began = time.process_time()
            found = engines[side].read(picture)
            taken[side].append(Taken(name, time.process_time() - began, found))
    return taken


def sides(made: int, folder: Path | None, limit: int, seed: int) -> None:
    """A row for each side: made pictures, whose words are known, and real ones, beside their reading at the largest."""
    pages = made_pages(made, SHAPES, seed)
    taken = read_at_sides([(str(number), one.picture) for number, one in enumerate(pages)], seed)
    print(f"{made} made pictures of {SHAPES[0][1]} pixels (a third {SHAPES[2][1]}), texts of 12 to 100 pixels\n")
    heads = " | ".join(f"words right % in letters of {low} to {high}" for low, high in GROUPS)
    print(f"| longest side | CPU s a picture | of 2000's | CER % | {heads} |\n|---:|---:|---:|---:|---:|---:|---:|")
    for side in SIDES:
        read = [
            (truth.size, one)
            for number, (drawn, each) in enumerate(zip(pages, taken[side], strict=True))
            for truth, one in zip(drawn.truths, outcomes(drawn, each.found, str(number)), strict=True)
        ]
        print(f"| {side} | {_seconds(taken, side)} | {_cells(_errors(read))} |", flush=True)
    if folder:
        tell_real(read_at_sides(real_pictures(folder, limit, seed), seed))


def real_pictures(folder: Path, limit: int, seed: int) -> list[tuple[str, Image.Image]]:
    """So many pictures of a folder, drawn, with their names."""
    paths = picture_files([folder])
    drawn = np.random.default_rng(seed).permutation(len(paths))[:limit]
    return [(paths[at].name, Image.open(paths[at]).convert("RGB")) for at in drawn]


def _errors(read: Sequence[tuple[int, Outcome]]) -> list[Measure]:
    found = [one for _, one in read]
    units = [one.unit for one in found]
    measures = [share_measure("CER", units, [one.errors for one in found], [len(one.text) for one in found])]
    for low, high in GROUPS:
        here = [one for size, one in read if low <= size < high]
        rights, words = [one.words_right for one in here], [one.words for one in here]
        measures.append(share_measure("words", [one.unit for one in here], rights, words))
    return measures


def tell_real(taken: dict[int, list[Taken]]) -> None:
    most = max(SIDES)
    print(f"\n{len(taken[most])} real pictures; of the words read at {most} with confidence {SURE} and more, how many")
    print(f"are read at other sides, of all and of lines higher than {LARGE:.0%} of the longest side\n")
    print("| longest side | CPU s a picture | of 2000's | all words % | of large lines % | new, as sure |")
    print("|---:|---:|---:|---:|---:|---:|")
    for side in SIDES:
        rows = []
        for there, here in zip(taken[most], taken[side], strict=True):
            all_here = _words(here.found.lines)
            sure, large = _words(_sure(there.found)), _words(_large(there.found))
            more = (_words(_sure(here.found)) - _words(there.found.lines)).total()
            rows.append([(sure & all_here).total(), sure.total(), (large & all_here).total(), large.total(), more])
        columns = np.array(rows, float).T
        units = [one.picture for one in taken[side]]
        measures = [share_measure("kept", units, columns[at], columns[at + 1]) for at in (0, 2)]
        print(f"| {side} | {_seconds(taken, side)} | {_cells(measures)} | {columns[4].sum():.0f} |", flush=True)


def _sure(found: Lettering) -> list[Line]:
    return [line for line in found.lines if line.confidence >= SURE]


def _large(found: Lettering) -> list[Line]:
    least = LARGE * max(found.size)
    return [line for line in _sure(found) if min(line.box[2] - line.box[0], line.box[3] - line.box[1]) >= least]


def _words(lines: Sequence[Line]) -> Counter[str]:
    return Counter(word.casefold() for line in lines for word in line.text.split())


def _seconds(taken: dict[int, list[Taken]], side: int) -> str:
    """Of a picture, and as a share of the largest side's (with an interval over pictures)."""
    own, most = ([one.seconds for one in taken[at]] for at in (side, max(SIDES)))
    share = share_measure("time", [one.picture for one in taken[side]], own, most)
    return f"{np.mean(own):.2f} | {_cells([share])} %" if side != max(SIDES) else f"{np.mean(own):.2f} | 100 %"


def _cells(measures: Sequence[Measure]) -> str:
    return " | ".join(with_interval(one) for one in measures)


def with_interval(measure: Measure) -> str:
    """A value and its interval; none where all units are alike, of which no draws can tell how sure it is."""
    (between,) = bca_intervals([measure])
    apart = between is not None and between[0] < between[1]
    return f"{measure.value:.1f}" + (f" [{between[0]:.1f}, {between[1]:.1f}]" if between and apart else "")


def speed(made: int, folder: Path | None, side: int, seed: int) -> None:
    """``trifacet read`` with one process and with two, each from nothing; and again, when all is kept."""
    with tempfile.TemporaryDirectory() as work:
        for number, drawn in enumerate(made_pages(made, SMALLER + SHAPES, seed)):
            drawn.picture.save(Path(work) / f"{number:03d}.jpg", quality=90)
        sets = {f"{made} made pictures of 700 to 2000 pixels": Path(work)}
        if folder:
            sets[f"{len(picture_files([folder]))} real pictures"] = folder
        print(f"longest side {side}; {os.cpu_count()} cores, {os.getloadavg()[0]:.0f} processes that wanted them\n")
        print("| pictures | processes | pictures a second | CPU s a picture | cores busy |\n|---|---:|---:|---:|---:|")
        for name, pictures in sets.items():
            count = len(picture_files([pictures]))
            for workers in (1, 2):
                cache = Path(work) / f"kept {workers} {name}"
                for kept in ("", ", all kept") if workers == 1 else ("",):
                    wall, busy = _read_by_command(pictures, workers, side, cache)
                    line = f"{name}{kept} | {workers} | {count / wall:.2f} | {busy / count:.2f} | {busy / wall:.2f}"
                    print(f"| {line} |", flush=True)


def _read_by_command(pictures: Path, workers: int, side: int, cache: Path) -> tuple[float, float]:
    """Seconds on the clock, and of processors, its start and all its processes among them."""
    command = [
        sys.executable,
        "-m",
        "trifacet",
        "read",
        str(pictures),
        "--workers",
        str(workers),
        "--cache",
        str(cache),
    ]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, "--longest-side", str(side)], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def memory(reads: int, seed: int) -> None:
    """What this process holds while it reads ever new small pictures and keeps their readings."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as work:
        readings, path = Readings(Reading(), Path(work)), Path(work) / "one.png"
        print("| pictures read | resident MB | peak MB |\n|---:|---:|---:|")
        for number in range(1, reads + 1):
            size = (int(rng.integers(200, 400)), int(rng.integers(100, 200)))
            drawn = page(drawn_texts("mixed", 1, rng), Look(int(rng.integers(12, 40))), rng).picture
            drawn.resize(size).save(path)
            readings.of(path)
            if number % max(reads // 10, 1) == 0:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(f"| {number} | {_resident():.0f} | {peak:.0f} |", flush=True)


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
