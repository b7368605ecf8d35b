"""MMHal-Bench: 96 open questions of eight types, rated by a judge from 0 to 6 (Sun et al., 2023).

Invariant: a rating that could not be read is no rating: its question is left out of every number, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Judge, Need, Outcome
from trifacet.benchmarks.objects.records import check_answers, choice_of, once, read_benchmark_rows, text_of, texts_of
from trifacet.data.rows import Row
from trifacet.llm.parsing import UnparsedError, parse_object
from trifacet.statistics.measures import mean_measure, share_measure

FILE = "mmhal-bench_answer_template.json"
ORIGINAL = "response_template.json"  # the original's name for it
TYPES = ("attribute", "adversarial", "comparison", "counting", "relation", "environment", "holistic", "other")
BEST = 6
HALLUCINATED_BELOW = 3  # ratings 0 to 2 say that the answer hallucinates
_OUR_PROMPT = "the judge is asked in our words, without the original's five examples"


def read(folder: Path) -> list[Item]:
    """The questions in the file's order; an item's id is its image_id."""
    path = folder / (ORIGINAL if (folder / ORIGINAL).is_file() and not (folder / FILE).is_file() else FILE)
    items: dict[str, Item] = {}
    for row in read_benchmark_rows(path):
        item = Item(
            text_of(row, "image_id", path),
            text_of(row, "question", path),
            _image(row, path),
            {
                "image_id": row.values["image_id"],
                "question_type": choice_of(row, "question_type", path, TYPES),
                "reference": text_of(row, "gt_answer", path),
                "contents": ", ".join(texts_of(row, "image_content", path)),
            },
        )
        items[item.id] = once(item, items, path, row.number, "image_id")
    return list(items.values())


def fields(item: Item, answer: str) -> dict[str, str]:
    """What the judge is shown; an empty answer too, as in the original."""
    extra = item.extra
    return {
        "contents": extra["contents"],
        "question": item.question,
        "reference": extra["reference"],
        "answer": answer,
    }


def parse(text: str) -> dict[str, int]:
    """The judge's answer {"reason": ..., "rating": 0 to 6}; anything else raises UnparsedError."""
    rating = parse_object(text, {"reason": str, "rating": int})["rating"]
    if not 0 <= rating <= BEST:
        raise UnparsedError(f"rating {rating} is not from 0 to {BEST}")
    return {"rating": rating}


def score(answered: Sequence[Answered], options: Any = None) -> Outcome:
    """Mean rating (0 to 6) and share of answers rated below 3 (in per cent), of all questions and per type."""
    check_answers(answered)
    ratings = {one.item.id: _rating(one) for one in answered if one.verdict is not None}
    kinds = {one.item.id: one.item.extra["question_type"] for one in answered}
    unrated = Counter(one.problem or "not judged" for one in answered if one.verdict is None)
    measures = []
    for kind in ("", *TYPES):
        chosen = {name: float(rating) for name, rating in ratings.items() if kind in ("", kinds[name])}
        if chosen:
            prefix = f"{kind}/" if kind else ""
            below = [rating < HALLUCINATED_BELOW for rating in chosen.values()]
            measures.append(mean_measure(f"{prefix}score", chosen, unofficial=_OUR_PROMPT))
            measures.append(
                share_measure(
                    f"{prefix}hallucination_rate",
                    list(chosen),
                    below,
                    [1] * len(below),
                    better="lower",
                    unofficial=_OUR_PROMPT,
                )
            )
    counts = {f"rated_{rating}": list(ratings.values()).count(rating) for rating in range(BEST + 1)}
    counts |= {"rated": len(ratings), "unrated": sum(unrated.values())}
    counts |= {f"unrated/{problem}": number for problem, number in sorted(unrated.items())}
    notes = []
    if unrated:
        notes.append(f"{sum(unrated.values())} answers without a rating are left out; the original rates them 0")
    return Outcome(measures, counts, notes)


def _rating(one: Answered) -> int:
    verdict: Any = one.verdict
    rating = verdict.get("rating") if isinstance(verdict, dict) else None
    if type(rating) is not int or not 0 <= rating <= BEST:
        raise DataError(f"the verdict on {one.item.id!r} is no rating", fix=f"give a whole number from 0 to {BEST}")
    return rating


def _image(row: Row, path: Path) -> str:
    """The file that the picture's address ends in."""
    name = unquote(urlsplit(text_of(row, "image_src", path)).path).rpartition("/")[2]
    if not name or name.startswith("."):
        raise DataError(
            "ends in no file name", fix="give the picture's address", file=path, row=row.number, field="image_src"
        )
    return f"images/{name}"


_KNOWN = {"28ed24e19ffef292597c35f1dad37760b2e0a088b3b40ca3b50f105fc1b951bb": "RLHF-V/RLAIF-V 83d917b"}

BENCHMARK = Benchmark(
    name="mmhal",
    title="MMHal-Bench",
    paper="Sun et al., Aligning Large Multimodal Models with Factually Augmented RLHF, 2023 (arXiv:2309.14525)",
    licence="Apache-2.0; the pictures (OpenImages) under their own terms",
    needs=[
        Need(
            FILE,
            f"96 questions with answers of people, or {ORIGINAL} of the original",
            "github.com/RLHF-V/RLAIF-V, eval/data/mmhal-bench_answer_template.json",
            _KNOWN,
            instead=(ORIGINAL,),
        ),
        Need(
            ORIGINAL,
            "the same under the original's name",
            "huggingface.co/datasets/Shengcao1006/MMHal-Bench",
            _KNOWN,
            required=False,
            unread_beside=(FILE,),
        ),
    ],
    images="the pictures at image_src, in images/ under the file names that the addresses end in",
    read=read,
    score=score,
    judge=Judge("mmhal", fields, parse, official="gpt-4-0314"),
    expected=lambda item: item.extra["reference"],
)
