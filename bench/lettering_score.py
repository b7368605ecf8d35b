"""The metrics of lettering on real posts: chosen against rejected texts, and against copies with one word misread.

    python bench/lettering_score.py             # the data at ../shared/data, or $TRIFACET_PARITY_DATA
    python bench/lettering_score.py --each      # and every text with what it counts

A copy is the chosen text with one number, day, price or name that stands in the picture exchanged for another of its
kind (``building/steps/misread.py``); since few texts have one, also as that step makes them (plain words too, where the
text quotes the picture), and with any word that stands there. No chosen text claims lettering; so that
``lettering/precision`` has something to look at, chosen texts and copies are also held against each other as claims:
'The words read "..."'. The pictures are read by the engine, and nobody corrected it. Exit code 1 where copies do not
score lower than what they are copies of.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from parity.row import DATA

from trifacet.base.progress import Bar
from trifacet.building.steps.misread import exchanges
from trifacet.comparing.comparison import Comparison, ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.data.formats import read_samples
from trifacet.data.records import PreferenceSample, TestSample
from trifacet.metrics.lettering import PRECISION, RECALL, RECALL_ALONE, count_words, lettering_of, with_lettering
from trifacet.metrics.scores import measures_of, score_texts
from trifacet.preferences.rejected.misreading import Exchange
from trifacet.statistics.measures import Measure

SEED = 17


class Text(NamedTuple):
    """A post with what stands in its picture, the chosen text, the rejected one, and the copies: as the building step
    makes it, and with any word of the picture exchanged.
    """

    post: TestSample
    chosen: str
    rejected: str | None
    copy: Exchange | None
    any_copy: Exchange | None


def texts(data: Path) -> list[Text]:
    """Those of the Pinterest posts, their pictures read."""
    pairs: dict[str, PreferenceSample] = {}
    posts: list[TestSample] = []
    for part in ("train", "test"):
        for one in read_samples(data / f"pinterest_{part}.json", "preference"):
            assert isinstance(one, PreferenceSample)
            name = f"{part} {one.id.removeprefix('row-')}"
            pairs[name] = one
            posts.append(TestSample(id=name, image=f"pinterest_{part}/{one.image}", context=one.context))
    with Bar("words in pictures") as bar:
        read = with_lettering(posts, data / "image", on_progress=bar.update)
    found = []
    for post in read:
        assert isinstance(post, TestSample)
        pair, lettering = pairs[post.id], lettering_of(post)
        assert lettering is not None
        named = exchanges(pair.response, [lettering], 1, [SEED, post.id])
        any_word = exchanges(pair.response, [lettering], 1, [SEED, post.id], plain="anywhere")
        rejected = next(iter(pair.rejected_responses), None)
        found.append(Text(post, pair.response, rejected, next(iter(named), None), next(iter(any_word), None)))
    return found


def held(posts: Sequence[TestSample], told: Mapping[str, Sequence[str]]) -> Comparison:
    """The texts of each name against those of the first, in the metrics of lettering that all have."""
    contestants = []
    for name, some in told.items():
        scores = score_texts(dict(zip((post.id for post in posts), some, strict=True)), posts, profiles=())
        measures = {key: one for key, one in measures_of(scores).items() if key[1] in (RECALL, RECALL_ALONE, PRECISION)}
        contestants.append(Contestant(name, name, measures))
    return compare(contestants, ComparisonSettings())


def show(title: str, posts: Sequence[TestSample], compared: Comparison) -> None:
    """A table in Markdown: values with intervals and what they count, then differences with the paired test."""
    print(f"\n{title}, {len(posts)} posts\n")
    print("| texts | " + " | ".join(column.name for column in compared.columns) + " |")
    print("|---" * (len(compared.columns) + 1) + "|")
    for model in compared.models:
        cells = []
        for column in compared.columns:
            cell, measure = compared.cells[model, column.key], compared.measures[model, column.key]
            told = f"{cell.value:.1f}{_between(cell.interval)}, {_counted(measure)}"
            cells.append("no word to count" if math.isnan(cell.value) else told)
        print(f"| {model} | " + " | ".join(cells) + " |")
    for one in compared.differences:
        effect, p = one.effect, one.chance.p
        if math.isnan(one.value):
            continue
        told = f"{one.column.name}: {one.model} less {one.other} {one.value:+.1f}{_between(one.interval)}"
        chance = "no test" if p is None else f"p = {p:.4f}"
        print(f"\n{told}, {chance}; lower in {effect.losses}, equal in {effect.ties}, higher in {effect.wins} posts")


def _between(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.1f} to {interval[1]:.1f})"


def _counted(measure: Measure) -> str:
    these, whole = measure.sums_UK.sum(axis=0)
    return f"{these:g} of {whole:g} words"


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data")
    parser.add_argument("--each", action="store_true", help="also print each text with what it counts")
    options = parser.parse_args()
    found = texts(options.data / "pinterest")
    if options.each:
        for one in found:
            lettering = lettering_of(one.post)
            assert lettering is not None
            named = {"chosen": one.chosen, "rejected": one.rejected, "copy": one.copy and one.copy.text,
                     "copy, any word": one.any_copy and one.any_copy.text}  # fmt: skip
            for name, text in named.items():
                if text is not None:
                    print(f"{one.post.id} {name}: {text}\n    {count_words(text, lettering, one.post.context)}")
    everything = [one.post for one in found]
    show("All chosen texts", everything, held(everything, {"chosen": [one.chosen for one in found]}))
    pairs = [one for one in found if one.rejected is not None]
    told = {"chosen": [one.chosen for one in pairs], "rejected": [one.rejected or "" for one in pairs]}
    show("Chosen and rejected", [one.post for one in pairs], held([one.post for one in pairs], told))
    made = [(one.post, one.chosen, one.copy.text) for one in found if one.copy is not None]
    named = [
        (one.post, one.chosen, one.copy.text)
        for one in found
        if one.copy is not None and one.copy.kind not in ("word", "origin")
    ]
    anywhere = [(one.post, one.chosen, one.any_copy.text) for one in found if one.any_copy is not None]
    lower = [
        _show_copies("Chosen texts, and copies with a number, day, price or name misread", named),
        _show_copies("Chosen texts, and copies as the building step makes them", made),
        _show_copies("Chosen texts, and copies with any word of the picture misread", anywhere),
    ]
    return 0 if all(lower) else 1


def _show_copies(title: str, copied: Sequence[tuple[TestSample, str, str]]) -> bool:
    """Whether copies score lower, in recall and, told as claims, in precision."""
    posts = [post for post, _, _ in copied]
    told = {"chosen": [chosen for _, chosen, _ in copied], "copies": [copy for _, _, copy in copied]}
    plain = held(posts, told)
    show(title, posts, plain)
    quoted = held(posts, {name: [f'The words read "{text}"' for text in some] for name, some in told.items()})
    show("The same as claims", posts, quoted)
    recall = [one.value for one in plain.differences if one.column.name == RECALL]
    precision = [one.value for one in quoted.differences if one.column.name == PRECISION]
    return max(recall) < 0 and max(precision) < 0


if __name__ == "__main__":
    sys.exit(main())
