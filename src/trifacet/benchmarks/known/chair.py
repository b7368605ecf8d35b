"""CHAIR: which of the objects that a caption mentions are not in the image (Rohrbach et al., 2018).

Invariant: a mention counts as often as it stands in the caption; an image's objects count once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from trifacet.base.errors import DataError
from trifacet.base.opening import is_there
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Need, Outcome, Preparation
from trifacet.benchmarks.objects.coco_objects import CocoObjects, ObjectFinder, read_synonyms
from trifacet.benchmarks.objects.ground_truth import annotation_files, build_ground_truth, read_objects, write_objects
from trifacet.benchmarks.objects.records import DIGITS, check_answers, once, read_lines
from trifacet.benchmarks.objects.words import Sentences, word_splitter
from trifacet.settings.section import Section
from trifacet.statistics.measures import share_measure

QUESTION = "Describe this image in detail."
_IMAGE_ID = re.compile(rf"(?<![0-9])([0-9]{{1,{DIGITS}}})\.[A-Za-z]+$")
_SYNONYMS = {"b685537b36fe21b791c87151b96a991ceb582edff19f3da204dcc7a7905502f2": "LisaAnne/Hallucination"}
_BY_RULE = "sentences are split by a rule and not by NLTK's punkt (sentences=punkt)"


class Options(Section):
    """How captions are read."""

    sentences: Sentences = Field(
        "rule", description="how captions are split into sentences: a rule, or punkt, NLTK's corpus, as the original"
    )


class ChairCounts(NamedTuple):
    """Of one caption: mentions of objects, those not in the image, objects in the image, those mentioned."""

    mentions: int
    hallucinated: int
    truth: int
    recalled: int


def count(caption: str, truth: Sequence[str], finder: ObjectFinder) -> ChairCounts:
    """CHAIR's counts of one caption."""
    objects = [mention.object for mention in finder.find(caption)]
    there = set(truth)
    return ChairCounts(len(objects), sum(name not in there for name in objects), len(there), len(there & set(objects)))


def read(folder: Path) -> list[Item]:
    """One item per image: those that images.txt names, else all of objects.json; its id is COCO's number."""
    table = read_synonyms(folder / "synonyms.txt")
    path = folder / "objects.json"
    objects = read_objects(path, set(table.names.values()))
    named = folder / "images.txt"
    if not is_there(named):
        return [_item(f"COCO_val2014_{int(image):012d}.jpg", image, objects, table) for image in objects]
    items: dict[str, Item] = {}
    for number, line in enumerate(read_lines(named), start=1):
        if not line.strip():
            continue
        found = _IMAGE_ID.search(line.strip())
        if not found:
            raise DataError(
                "is no file name of a COCO image", fix="write names such as 000000000139.jpg", file=named, row=number
            )
        image = str(int(found[1]))
        if image not in objects:
            raise DataError(
                f"image {image} is not in {path.name}", fix="build that file for all images", file=named, row=number
            )
        items[image] = once(_item(line.strip(), image, objects, table), items, named, number, "")
    if not items:
        raise DataError("names no image", fix="write one file name a line", file=named)
    return list(items.values())


def build(source: Path, data: Path, options: Options) -> str:
    """Make objects.json in ``data`` from COCO's annotations in ``source``; synonyms.txt has to be in ``data``."""
    instances, captions = annotation_files(source)
    synonyms, sentences = data / "synonyms.txt", options.sentences
    truth = build_ground_truth(instances, captions, synonyms, sentences=sentences)
    files = [*instances, *captions, synonyms]
    return write_objects(data / "objects.json", truth.objects, truth, files, sentences=sentences)


def score(answered: Sequence[Answered], options: Options | None = None) -> Outcome:
    """CHAIRi, CHAIRs and the recall of objects, in per cent; what is resampled is the image."""
    options = options or Options()
    check_answers(answered)
    if not answered:
        return Outcome([])
    finder = ObjectFinder(answered[0].item.extra["synonyms"], sentences=options.sentences)
    counts = [count(one.answer, one.item.extra["objects"], finder) for one in answered]
    units = [one.item.id for one in answered]
    why = _BY_RULE if options.sentences == "rule" else ""
    mentions = [row.mentions for row in counts]
    wrong = [row.hallucinated for row in counts]
    any_wrong = [int(row.hallucinated > 0) for row in counts]
    recalled, truth = [row.recalled for row in counts], [row.truth for row in counts]
    ones = [1] * len(units)
    empty = any(not one.answer.strip() for one in answered)
    return Outcome(
        [
            share_measure("chair_i", units, wrong, mentions, better="lower", unofficial=why),
            share_measure("chair_s", units, any_wrong, ones, better="lower", unofficial=why),
            share_measure("recall", units, recalled, truth, unofficial=why),
        ],
        {
            "captions": len(units),
            "mentions": sum(mentions),
            "hallucinated": sum(wrong),
            "hallucinated_captions": sum(any_wrong),
            "truth": sum(truth),
            "recalled": sum(recalled),
        },
        ["an empty caption counts as one without a hallucination, as in CHAIR's own program"] if empty else [],
        {unit: {"hallucinated": float(number)} for unit, number in zip(units, wrong, strict=True)},
    )


def _item(image: str, number: str, objects: dict[str, list[str]], table: CocoObjects) -> Item:
    return Item(number, QUESTION, image, {"image_id": number, "objects": tuple(objects[number]), "synonyms": table})


BENCHMARK = Benchmark(
    name="chair",
    title="CHAIR",
    paper="Rohrbach et al., Object Hallucination in Image Captioning, 2018 (arXiv:1809.02156)",
    licence="BSD-2-Clause (synonyms); COCO annotations CC BY 4.0, images under their own terms",
    needs=[
        Need(
            "synonyms.txt",
            "80 objects of COCO, one a line, with their synonyms",
            "github.com/LisaAnne/Hallucination, data/synonyms.txt",
            _SYNONYMS,
        ),
        Need(
            "objects.json",
            'the objects of each image, {"image id": ["object", ...]}',
            "built from COCO's instances_*.json and captions_*.json (cocodataset.org, annotations_trainval2014.zip)",
            made=True,
        ),
        Need(
            "images.txt",
            "file names of the images to describe, one a line; left out: all",
            "you",
            required=False,
            own=True,
        ),
    ],
    images="COCO (cocodataset.org), named as in images.txt, else COCO_val2014_<12 digits>.jpg",
    read=read,
    score=score,
    options=Options,
    prepare=Preparation("the folder of COCO's instances_*.json and captions_*.json", build),
    expected=lambda item: ", ".join(item.extra["objects"]),
    tools=lambda options: word_splitter(options.sentences),
    free_prompt=True,
)
