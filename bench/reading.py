"""How far readings of words in pictures can be trusted, and what they cost.

    python bench/reading.py errors --plot reading-confidence.png   # rendered words: errors, confidence; 5 CPU minutes
    python bench/reading.py errors --only letters,size --pages 4
    python bench/reading.py sides --pictures ../shared/data/pinterest/image   # what reducing pictures costs and saves
    python bench/reading.py speed --pictures ../shared/data/pinterest/image   # one process and two
    python bench/reading.py memory --reads 10000

``errors``: pages of 800 pixels with ``--lines`` texts each, of 24 pixels, dark on a plain pale ground, in three faces
of DejaVu and seven languages; each row of the table changes one of these. CER is the Levenshtein distance over
characters of the truth (case and marks count); "cannot read" are lines where nothing was read and letters were seen.
Chinese and Japanese need ``--font-cjk FILE``. Intervals are BCa, 95 %, over pages.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
from lettered.costs import SURE, memory, sides, speed, with_interval
from lettered.pictures import FACES, Look, page
from lettered.scoring import (
    EDGES,
    Outcome,
    calibration_error,
    error_measures,
    judged,
    outcomes,
    reliability,
)
from lettered.texts import NUMBERS, READABLE, UNREADABLE, drawn_texts

from trifacet.lettering.engine import Engine, open_engine
from trifacet.lettering.settings import Reading
from trifacet.statistics.measures import Measure, share_measure
from trifacet.statistics.significance import bca_intervals

SEED = 20
BASE = Look()
CJK = ("Chinese", "Japanese")
APART = ("Vietnamese", "letters stacked")
FEWEST = 10  # judgements of a bin that is told
LOOKS: dict[str, dict[str, Look]] = {
    "size": {f"{size} px": Look(size) for size in (8, 10, 12, 16, 24, 32, 48)},
    "contrast": {f"{grey} grey levels": Look(contrast=grey) for grey in (100, 50, 25, 12)}
    | {"light on dark": Look(contrast=-210)},
    "turned": {f"{angle} degrees": Look(turned=angle) for angle in (5, 10, 20, 45, 90, 180)},
    "ground": {name: Look(ground=name) for name in ("gradient", "noise", "photo")},
    "way": {"letters stacked": Look(way="stacked")}
    | {f"arc of {a} degrees": Look(way="arc", bent=a) for a in (45, 90, 150)},
}
Found = dict[tuple[str, str], list[Outcome]]


def conditions(only: Sequence[str], cjk: str | None) -> list[tuple[str, str, str, Look]]:
    """(group, row, letters, look) of each row of the table."""
    rows = [("letters", name, name, BASE) for name in (*READABLE, NUMBERS) if name not in CJK]
    if cjk:
        rows += [("letters", name, name, replace(BASE, faces=(cjk,))) for name in CJK]
    rows += [(group, name, "mixed", look) for group, looks in LOOKS.items() for name, look in looks.items()]
    # Hebrew and Arabic are in one face of the three only
    rows += [("other letters", name, name, replace(BASE, faces=FACES[:1])) for name in UNREADABLE]
    return [row for row in rows if not only or row[0] in only]


def read_all(engine: Engine, rows: Sequence[tuple[str, str, str, Look]], *, pages: int, lines: int) -> Found:
    """The outcomes of each row; a page's pixels depend on its own row and number alone."""
    found: Found = {}
    for group, name, letters, look in rows:
        for number in range(pages):
            rng = np.random.default_rng([SEED, crc32(f"{group} {name}".encode()), number])
            ground = "photo" if group == "other letters" and number % 2 else look.ground
            drawn = page(drawn_texts(letters, lines, rng), replace(look, ground=ground), rng)
            read = outcomes(drawn, engine.read(drawn.picture), f"{group} {name} {number}")
            found.setdefault((group, name), []).extend(read)
    return found


def cells(measures: Sequence[Measure]) -> str:
    """Values with their intervals, as cells of a table."""
    return " | ".join(with_interval(one) for one in measures)


def tell_errors(found: Found) -> None:
    """The tables of errors: of letters that the engine knows, and of those that it does not."""
    print("| | lines | CER % | words right % | cannot read % | not seen % |\n|---|---:|---:|---:|---:|---:|")
    for (group, name), here in found.items():
        if group != "other letters":
            print(f"| {group}: {name} | {len(here)} | {cells(error_measures(here)[:4])} |")
    print(
        "\n| letters | lines | cannot read % | not seen % | given as words % | such as |\n|---|---:|---:|---:|---:|---|"
    )
    for (group, name), here in found.items():
        if group == "other letters":
            nonsense = ", ".join([one.read for one in here if one.read][:3])
            print(f"| {name} | {len(here)} | {cells(error_measures(here)[2:])} | {nonsense} |")


def trusted(found: Found) -> list[Outcome]:
    """What confidence is measured on: letters that the engine knows, but for stacked ones, which come singly."""
    rows = [here for (group, name), here in found.items() if group != "other letters" and name not in APART]
    return [one for here in rows for one in here]


def tell_confidence(found: Found) -> None:
    """Whether .9 means .9, for words and whole lines."""
    given = {what: judged(trusted(found), what) for what in ("words", "lines")}
    heads = " | ".join(f"{what} | mean confidence | right %" for what in given)
    print(f"\n| confidence | {heads} |\n|---|---:|---:|---:|---:|---:|---:|")
    binned = {what: {row.begin: row for row in reliability(each)} for what, each in given.items()}
    for begin, end in zip(EDGES, (*EDGES[1:], 1), strict=True):
        here = [rows.get(begin) for rows in binned.values()]
        if any(row and row.count >= FEWEST for row in here):
            shown = [
                f"{row.count} | {100 * row.confidence:.1f} | {cells([row.right])}" if row else "0 | | " for row in here
            ]
            print(f"| {begin:g} to {end:g} | {' | '.join(shown)} |")
    for what, each in given.items():
        sure = [(unit, one.right) for unit, one in each if one.confidence >= SURE]
        rights = share_measure("right", [unit for unit, _ in sure], [one for _, one in sure], [1] * len(sure))
        print(
            f"\n{what}: expected calibration error {cells([calibration_error(each)])} %; of {len(sure)} with "
            f"confidence {SURE} and more {cells([rights])} % are right"
        )
    vietnamese = judged(found.get(("letters", "Vietnamese"), []), "words")
    foreign = [one.right for _, one in vietnamese if one.confidence >= SURE]
    if foreign:
        share = 100 * np.mean(foreign)
        print(f"\nVietnamese: of {len(foreign)} words with confidence {SURE} and more {share:.0f} % are right")


def plot_confidence(found: Found, path: Path) -> None:
    """Share right over confidence, for words and lines, with intervals; the diagonal is what would be right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(5, 4), layout="constrained")
    panel.plot([80, 100], [80, 100], color="grey", linestyle=":", label="as sure as right")
    for what, marker in (("words", "o"), ("lines", "s")):
        rows = [row for row in reliability(judged(trusted(found), what)) if row.count >= FEWEST]
        intervals = bca_intervals([row.right for row in rows], seed=SEED)
        sure, right = [100 * row.confidence for row in rows], [row.right.value for row in rows]
        for at, value, between in zip(sure, right, intervals, strict=True):
            panel.plot([at, at], between or (value, value), color="black", linewidth=0.8)
        panel.plot(sure, right, marker=marker, label=what)
    panel.set_xlabel("mean confidence in the bin, per cent")
    panel.set_ylabel("right, per cent")
    panel.set_ylim(0, 102)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(loc="lower right")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("errors", "sides", "speed", "memory"))
    parser.add_argument("--only", default="", help=f"groups of rows: {','.join(('letters', *LOOKS))},other letters")
    parser.add_argument("--pages", type=int, default=8, help="of each row")
    parser.add_argument("--lines", type=int, default=4, help="of each page")
    parser.add_argument("--font-cjk", metavar="FILE", help="a font with Chinese and Japanese letters")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the reliability plot: PNG or SVG by its name")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="real pictures besides the made ones")
    parser.add_argument("--limit", type=int, default=1000, help="of real pictures whose sides are compared")
    parser.add_argument("--made", type=int, default=12, help="made pictures")
    parser.add_argument("--longest-side", type=int, default=Reading().longest_side)
    parser.add_argument("--reads", type=int, default=1000, help="of memory")
    options = parser.parse_args()
    if options.what == "sides":
        sides(options.made, options.pictures, options.limit, SEED)
    elif options.what == "speed":
        speed(options.made, options.pictures, options.longest_side, SEED)
    elif options.what == "memory":
        memory(options.reads, SEED)
    else:
        rows = conditions([one for one in options.only.split(",") if one], options.font_cjk)
        found = read_all(open_engine(Reading()), rows, pages=options.pages, lines=options.lines)
        tell_errors(found)
        tell_confidence(found)
        if options.plot:
            plot_confidence(found, options.plot)


if __name__ == "__main__":
    main()
