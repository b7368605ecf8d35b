"""Object HalBench: which of the objects that a model lists out of a response are not in the image (Yu et al., 2023).

Invariant: a response whose list could not be read is left out of every number, and counted.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from trifacet.base.errors import DataError
from trifacet.base.files import replacing
from trifacet.base.images import image_facts
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Judge, Need, Outcome, Preparation
from trifacet.benchmarks.objects.coco_objects import CocoObjects, read_synonyms
from trifacet.benchmarks.objects.ground_truth import annotation_files, build_ground_truth, read_objects, write_objects
from trifacet.benchmarks.objects.named_objects import OFFICIAL_LEMMAS, ToWords, mentions, name_reader
from trifacet.benchmarks.objects.records import check_answers, number_of, once, read_benchmark_rows, text_of
from trifacet.benchmarks.objects.words import Sentences
from trifacet.data.rows import iter_rows
from trifacet.llm.parsing import parse_object
from trifacet.settings.section import Section
from trifacet.statistics.measures import share_measure

FILE = "obj_halbench_300_with_image.jsonl"
SYNONYMS = "synonyms_refine.txt"
SHORT = 3  # words: an answer that is no longer names no object, and no model is asked
MAX_IMAGE_BYTES = 20_000_000
_OUR_PROMPT = "the language model is asked in our words, not in the original's"


class Options(Section):
    """How listed names are reduced to base forms."""

    lemmas: str = Field(
        OFFICIAL_LEMMAS, description="spacy:MODEL, en_core_web_trf in the original, or wordnet, which knows no tags"
    )


class Captions(Section):
    """How COCO's captions are read when objects.json is made."""

    sentences: Sentences = Field(
        "rule", description="how captions are split into sentences: a rule, or punkt, NLTK's corpus, as the original"
    )


class Counts(NamedTuple):
    """Of one response: objects named, those not in the image, objects in the image, those named (each class once)."""

    named: int
    hallucinated: int
    truth: int
    recalled: int


def read(folder: Path) -> list[Item]:
    """The questions in the file's order; an item's id is COCO's number of the image."""
    table = read_synonyms(folder / SYNONYMS, "object-halbench")
    objects = read_objects(folder / "objects.json", set(table.names.values()))
    path = folder / FILE
    items: dict[str, Item] = {}
    for row in read_benchmark_rows(path):
        image = str(number_of(row, "image_id", path))
        if image not in objects:
            raise DataError(
                f"image {image} is not in objects.json", fix="build that file again", file=path, row=row.number,
                field="image_id",
            )  # fmt: skip
        extra = {"image_id": image, "objects": tuple(objects[image]), "synonyms": table}
        item = Item(image, text_of(row, "question", path), _image(int(image)), extra)
        items[item.id] = once(item, items, path, row.number, "image_id")
    return list(items.values())


def fields(item: Item, answer: str) -> dict[str, str] | None:
    """What the language model is shown; None for an answer of three words or fewer."""
    return None if len(answer.split()) <= SHORT else {"question": item.question, "answer": answer}


def parse(text: str) -> dict[str, list[str]]:
    """The language model's answer {"objects": [...]}; anything else raises UnparsedError."""
    return {"objects": parse_object(text, {"objects": list})["objects"]}


def count(names: Sequence[str], truth: Sequence[str], table: CocoObjects, words: ToWords) -> Counts:
    """The counts of one response from the names that the language model listed."""
    objects = [mention.object for mention in mentions(names, table, words)]
    there = set(truth)
    return Counts(len(objects), sum(name not in there for name in objects), len(there), len(there & set(objects)))


def score(answered: Sequence[Answered], options: Options | None = None) -> Outcome:
    """CHAIRs over the responses that name an object, CHAIRi over objects, recall of objects, in per cent."""
    options = options or Options()
    check_answers(answered)
    read_ = [one for one in answered if one.verdict is not None]
    unread = len(answered) - len(read_)
    notes = [f"an answer of {SHORT} words or fewer, or an empty one, names no object"]
    if unread:
        notes.append(f"{unread} responses without a list of objects are left out; the original asks until it has one")
    if not read_:
        return Outcome([], {"responses": 0, "without_list": unread}, notes)
    table: CocoObjects = read_[0].item.extra["synonyms"]
    words = name_reader(options.lemmas, table)
    rows = [count(_names(one), one.item.extra["objects"], table, words) for one in read_]
    units = [one.item.id for one in read_]
    why = _OUR_PROMPT
    if options.lemmas != OFFICIAL_LEMMAS:
        why += f"; base forms are found by {options.lemmas}, not by {OFFICIAL_LEMMAS}"
    wrong, named = [row.hallucinated for row in rows], [row.named for row in rows]
    any_wrong, any_named = [int(n > 0) for n in wrong], [int(n > 0) for n in named]
    recalled, truth = [row.recalled for row in rows], [row.truth for row in rows]
    return Outcome(
        [
            share_measure("chair_s", units, any_wrong, any_named, better="lower", unofficial=why),
            share_measure("chair_i", units, wrong, named, better="lower", unofficial=why),
            share_measure("recall", units, recalled, truth, unofficial=why),
        ],
        {
            "responses": len(rows),
            "responses_with_objects": sum(any_named),
            "hallucinated_responses": sum(any_wrong),
            "objects": sum(named),
            "hallucinated": sum(wrong),
            "truth": sum(truth),
            "recalled": sum(recalled),
            "without_list": unread,
        },
        notes,
        {unit: {"hallucinated": float(number)} for unit, number in zip(units, wrong, strict=True)},
    )


def build(source: Path, data: Path, options: Captions) -> str:
    """Make objects.json for the file's images from COCO's annotations in ``source``, and unpack its pictures.

    The pictures stand in the file as base64. Each is written to images/ under its COCO number, if it is an image and no
    larger than ``MAX_IMAGE_BYTES``; nothing in the file decides where it is written.
    """
    instances, captions = annotation_files(source)
    path, wanted = data / FILE, set()
    for row in iter_rows(path):
        number = number_of(row, "image_id", path)
        wanted.add(number)
        if "image" in row.values:
            text = text_of(row, "image", path)
            _unpack(text, data / _image(number), path, row.number)
    truth = build_ground_truth(instances, captions, data / SYNONYMS, rules="object-halbench",
                               sentences=options.sentences, only=wanted)  # fmt: skip
    objects = {str(number): truth.objects.get(str(number), []) for number in sorted(wanted)}
    files = [*instances, *captions, data / SYNONYMS]
    told = write_objects(data / "objects.json", objects, truth, files, sentences=options.sentences)
    return f"{told}; pictures in images/"


def _unpack(text: str, target: Path, path: Path, row: int) -> None:
    if len(text) > MAX_IMAGE_BYTES * 4 // 3:
        raise DataError(
            f"is larger than {MAX_IMAGE_BYTES} bytes", fix="take the released file", file=path, row=row, field="image"
        )
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DataError("is no base64", fix="take the released file", file=path, row=row, field="image") from None
    with replacing(target) as temporary:
        temporary.write_bytes(content)
        try:
            image_facts(temporary)
        except DataError as error:
            raise DataError(
                f"holds no picture ({error.problem})", fix="take the released file", file=path, row=row, field="image"
            ) from None


def _names(one: Answered) -> list[str]:
    verdict: Any = one.verdict
    names = verdict.get("objects") if isinstance(verdict, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"the verdict on {one.item.id!r} is no list of names", fix='give {"objects": ["..."]}')
    return names


def _image(number: int) -> str:
    return f"images/{number:012d}.jpg"


BENCHMARK = Benchmark(
    name="object-halbench",
    title="Object HalBench",
    paper="Yu et al., RLHF-V: Towards Trustworthy MLLMs via Behavior Alignment from Fine-grained Correctional Human "
    "Feedback, 2023 (arXiv:2312.00849)",
    licence="the questions: see github.com/RLHF-V/RLAIF-V; COCO annotations CC BY 4.0, images under their own terms",
    needs=[
        Need(FILE, "300 questions with their pictures as base64", f"github.com/RLHF-V/RLAIF-V, eval/data/{FILE}"),
        Need(SYNONYMS, "80 objects of COCO, with their synonyms", f"github.com/RLHF-V/RLHF-V, eval/data/{SYNONYMS}"),
        Need(
            "objects.json",
            'the objects of each image, {"image id": ["object", ...]}',
            "built from COCO's instances_*.json and captions_*.json (cocodataset.org, annotations_trainval2014.zip)",
            made=True,
        ),
    ],
    images="unpacked from the file into images/, or COCO's val2014 there as <12 digits>.jpg",
    read=read,
    score=score,
    judge=Judge(
        "object-halbench",
        fields,
        parse,
        otherwise=lambda item, answer: {"objects": []},
        official="gpt-3.5-turbo-0613",
    ),
    options=Options,
    prepare=Preparation("the folder of COCO's instances_*.json and captions_*.json", build, Captions),
    tools=lambda options: name_reader(options.lemmas, CocoObjects({}, {})),
    expected=lambda item: ", ".join(item.extra["objects"]),
)
