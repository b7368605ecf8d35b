"""AMBER: descriptions and yes-no questions about the same images (Wang et al., 2023).

Invariant: the generative numbers say "official" only with the tools of AMBER's own program; the discriminative ones
need none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from trifacet.base.errors import DataError, TrifacetError
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Need, Outcome
from trifacet.benchmarks.objects import amber_counts as amber
from trifacet.benchmarks.objects.amber_counts import WordList
from trifacet.benchmarks.objects.nouns import OFFICIAL_SIMILARITY, OFFICIAL_TAGGER, noun_tagger, similarity
from trifacet.benchmarks.objects.records import (
    check_answers,
    choice_of,
    number_of,
    once,
    read_benchmark_rows,
    read_lines,
    read_object,
    text_of,
    texts_of,
)
from trifacet.benchmarks.objects.yes_no import first_word
from trifacet.data.rows import Row
from trifacet.settings.section import Section
from trifacet.statistics.measures import Better, Formula, Measure, grouped_measure

# Type in annotations.json -> the parts of the numbers that the question belongs to.
TYPES: dict[str, tuple[str, ...]] = {
    "discriminative-hallucination": ("existence",),
    "discriminative-attribute-state": ("attribute", "state"),
    "discriminative-attribute-number": ("attribute", "number"),
    "discriminative-attribute-action": ("attribute", "action"),
    "discriminative-relation": ("relation",),
    "relation": ("relation",),
}
PARTS = ("all", "existence", "attribute", "state", "number", "action", "relation")
QUERIES = (
    ("query/query_all.json",),
    ("query/query_generative.json", "query/query_discriminative.json"),
    (
        "query/query_generative.json",
        *(f"query/query_discriminative-{part}.json" for part in ("existence", "attribute", "relation")),
    ),
)
_RELEASE = "junyangwang0410/AMBER 534babf"
_KNOWN = {
    "annotations.json": "db22a436c4836fbb295e60b4e80d519573077579fb7032f01b193c1bd022b797",
    "relation.json": "c4c1491e9bbc3209abc1888c12a1bf8413bdbab8a0d8be04b990a2e7680cf23e",
    "safe_words.txt": "f92cf1123f4578a2630832fac3e6ac4de36212ea55859d3bed4fd233723f4043",
    "query/query_all.json": "127680ae61f7d4a92d2f7f07a8deaec07f0689b194d2c7c0f41ead7bd2c5bcf5",
}


class Options(Section):
    """The tools for descriptions, and how an answer to a yes-no question is read."""

    tagger: str = Field(
        OFFICIAL_TAGGER, description="finds nouns: nltk as the original, spacy:MODEL, or words (each word is a noun)"
    )
    similarity: str = Field(
        OFFICIAL_SIMILARITY, description="says that words are alike: spacy:MODEL with word vectors, or equal"
    )
    answers: Literal["exact", "first_word"] = Field(
        "exact", description='yes-no answers: exactly "Yes" or "No" as the original, or the first word in any case'
    )


def read(folder: Path) -> list[Item]:
    """The questions of query_all.json, or of the files by task that are there, with their annotations."""
    relation = _relation(folder / "relation.json")
    shared = {
        "vocabulary": frozenset(relation) | {text for texts in relation.values() for text in texts},
        "ignored": frozenset(read_lines(folder / "safe_words.txt")),
    }
    notes_path = folder / "annotations.json"
    notes = {number_of(row, "id", notes_path): row for row in read_benchmark_rows(notes_path)}
    items: dict[str, Item] = {}
    for path in _query_files(folder):
        for row in read_benchmark_rows(path):
            number = number_of(row, "id", path)
            if number not in notes:
                raise DataError(
                    f"{number} is not in annotations.json", fix="take both of one release", file=path, row=row.number,
                    field="id",
                )  # fmt: skip
            extra = _extra(notes[number], notes_path, relation)
            item = Item(
                str(number),
                text_of(row, "query", path),
                text_of(row, "image", path),
                extra | shared if "truth_words" in extra else extra,
            )
            items[item.id] = once(item, items, path, row.number, "id")
    return list(items.values())


def score(answered: Sequence[Answered], options: Options | None = None) -> Outcome:
    """CHAIR, Cover, Hal, Cog of descriptions; accuracy, P, R, F1 of yes-no questions; the AMBER score of both.

    What is resampled is the image with all that was asked about it.
    """
    options = options or Options()
    check_answers(answered)
    described = [one for one in answered if "truth_words" in one.item.extra]
    asked = [one for one in answered if "label" in one.item.extra]
    notes = ["an empty or other answer to a yes-no question is wrong, and an empty description has no hallucination"]
    counts: dict[str, int] = {}
    measures: list[Measure] = []
    of_items: dict[str, dict[str, float]] = {}
    generative: tuple[list[str], list[list[float]]] = ([], [])
    if described:
        try:
            rows = _generative_counts(described, options)
        except TrifacetError as error:
            notes.append(f"CHAIR, Cover, Hal, Cog and the AMBER score are not computed: {error}")
        else:
            units = [str(one.item.image) for one in described]
            of_items |= {
                one.item.id: {"hallucinated": float(row.hallucinated)} for one, row in zip(described, rows, strict=True)
            }
            measures += _generative(units, rows, options)
            generative = (units, [[row.hallucinated, row.nouns] for row in rows])
            totals = np.array(rows).sum(axis=0).tolist()
            counts |= {f"generative/{name}": n for name, n in zip(amber.AmberCounts._fields, totals, strict=True)}
    discriminative = _discriminative(asked, options, measures, counts)
    if generative[0] and asked:
        blank = [0.0] * len(amber.DISCRIMINATIVE)
        rows_N7 = [[*row, *blank] for row in generative[1]] + [[0.0, 0.0, *row] for row in discriminative[1]]
        why = "; ".join(filter(None, (_tools(options), _reading(options))))
        measures.append(
            grouped_measure("amber", generative[0] + discriminative[0], rows_N7, amber.amber_score, unofficial=why)
        )
    of_items |= {
        one.item.id: {"correct": float(_said(one.answer, options) == one.item.extra["label"])} for one in asked
    }
    return Outcome(measures, counts, notes, of_items)


def expected(item: Item) -> str:
    """The label of a yes-no question, or what is in the picture."""
    return str(item.extra["label"]) if "label" in item.extra else ", ".join(item.extra["truth_words"].words)


def _generative_counts(described: Sequence[Answered], options: Options) -> list[amber.AmberCounts]:
    nouns, alike = noun_tagger(options.tagger), similarity(options.similarity)
    return [
        amber.count_nouns(
            nouns(one.answer),
            one.item.extra["truth_words"],
            one.item.extra["tempting_words"],
            one.item.extra["vocabulary"],
            one.item.extra["ignored"],
            alike,
        )
        for one in described
    ]


def _generative(units: list[str], rows: list[amber.AmberCounts], options: Options) -> list[Measure]:
    table: list[tuple[str, Formula, Better, list[list[float]]]] = [
        ("chair", amber.rate, "lower", [[row.hallucinated, row.nouns] for row in rows]),
        ("cover", amber.rate, "higher", [[row.covered, row.truth] for row in rows]),
        ("hal", amber.without, "lower", [[row.hallucinated == 0, 1] for row in rows]),
        ("cog", amber.rate, "lower", [[row.mentioned, row.tempting] for row in rows]),
    ]
    return [
        grouped_measure(name, units, sums, formula, better=better, unofficial=_tools(options))
        for name, formula, better, sums in table
    ]


def _discriminative(
    asked: Sequence[Answered], options: Options, measures: list[Measure], counts: dict[str, int]
) -> tuple[list[str], list[list[float]]]:
    """Adds the parts' measures and counts; gives units and statistics of all questions."""
    units, rows = [], []
    for one in asked:
        said, label = _said(one.answer, options), one.item.extra["label"]
        is_no, no = label == "no", said == "no"
        units.append(str(one.item.image))
        rows.append([float(value) for value in (said == label, True, no and is_no, no, is_no)])
    for part in PARTS if asked else ():
        chosen = [at for at, one in enumerate(asked) if part == "all" or part in one.item.extra["parts"]]
        if not chosen:
            continue
        sums_N5 = np.array([rows[at] for at in chosen])
        named = [units[at] for at in chosen]
        f1 = amber.amber_f1(0.001 if part == "existence" else 0.0001)
        for name, formula in (
            ("accuracy", amber.amber_accuracy),
            ("precision", amber.amber_precision),
            ("recall", amber.amber_recall),
            ("f1", f1),
        ):
            measures.append(grouped_measure(f"{part}/{name}", named, sums_N5, formula, unofficial=_reading(options)))
        totals = sums_N5.sum(axis=0).astype(int).tolist()
        counts |= {f"{part}/{name}": n for name, n in zip(amber.DISCRIMINATIVE, totals, strict=True)}
    return units, rows


def _said(answer: str, options: Options) -> str | None:
    return {"Yes": "yes", "No": "no"}.get(answer) if options.answers == "exact" else first_word(answer)


def _tools(options: Options) -> str:
    wrong = []
    if options.tagger != OFFICIAL_TAGGER:
        wrong.append(f"nouns are found by {options.tagger}, not by {OFFICIAL_TAGGER}")
    if options.similarity != OFFICIAL_SIMILARITY:
        wrong.append(f"words are compared by {options.similarity}, not by {OFFICIAL_SIMILARITY}")
    return " and ".join(wrong)


def _reading(options: Options) -> str:
    return "" if options.answers == "exact" else 'answers are read by their first word; AMBER wants "Yes" or "No" alone'


def _extra(note: Row, path: Path, relation: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    kind = choice_of(note, "type", path, ("generative", *TYPES))
    if kind != "generative":
        return {"label": choice_of(note, "truth", path, ("yes", "no")), "parts": TYPES[kind]}
    words = {}
    for field, name in (("truth", "truth_words"), ("hallu", "tempting_words")):
        texts = texts_of(note, field, path)
        for text in texts:
            if text not in relation:
                raise DataError(
                    f"{text!r} is not in relation.json", fix="take both of one release", file=path, row=note.number,
                    field=field,
                )  # fmt: skip
        words[name] = WordList(tuple(texts), tuple(relation[text] for text in texts))
    return words


def _relation(path: Path) -> dict[str, tuple[str, ...]]:
    relation = {}
    for word, texts in read_object(path).items():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise DataError("is no list of words", fix='give ["...", "..."]', file=path, field=word)
        relation[word] = tuple(texts)
    return relation


def _query_files(folder: Path) -> list[Path]:
    for names in QUERIES:
        if all((folder / name).is_file() for name in names):
            return [folder / name for name in names]
    there = [folder / name for name in dict.fromkeys(sum(QUERIES, ())) if (folder / name).is_file()]
    if not there:
        raise DataError("no such file", fix="get data/query of the AMBER repository", file=folder / QUERIES[0][0])
    if folder / QUERIES[1][1] in there:  # it holds the three others
        return [path for path in there if "discriminative-" not in path.name]
    return there


def _read_instead(name: str) -> tuple[str, ...]:
    """The files that hold the questions of ``name`` too: where one is there, ``_query_files`` takes that."""
    return (*QUERIES[0], *(QUERIES[1][1:] if "discriminative-" in name else ()))


_BY_TASK = tuple(dict.fromkeys(sum(QUERIES[1:], ())))
_WHAT = {
    "annotations.json": "labels and words of the images",
    "relation.json": "the vocabulary, and the words associated with each word",
    "safe_words.txt": "words that are never a hallucination",
    "query/query_all.json": "all 15,220 questions; or the files by task beside it",
}

BENCHMARK = Benchmark(
    name="amber",
    title="AMBER",
    paper="Wang et al., AMBER: An LLM-free Multi-dimensional Benchmark for MLLMs Hallucination Evaluation, 2023 "
    "(arXiv:2311.07397)",
    licence="Apache-2.0",
    needs=[
        *(
            Need(name, what, f"github.com/junyangwang0410/AMBER, data/{name}", {_KNOWN[name]: _RELEASE},
                 instead=_BY_TASK if name in QUERIES[0] else ())
            for name, what in _WHAT.items()
        ),
        *(
            Need(name, "questions of one task, where query_all.json is left out",
                 f"github.com/junyangwang0410/AMBER, data/{name}", required=False,
                 unread_beside=_read_instead(name))
            for name in _BY_TASK
        ),
    ],
    images="AMBER's own 1,004 images (linked in its README), AMBER_1.jpg to AMBER_1004.jpg",
    read=read,
    score=score,
    options=Options,
    expected=expected,
)  # fmt: skip
