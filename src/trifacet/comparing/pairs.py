"""Models' texts judged in pairs by a language model: from two models' texts to counts and what they cost.

Invariant: every answer is kept before it is used, so that the same command continues after a stop and pays nothing
twice; two texts that are the same are a tie, and nobody is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trifacet.base.errors import TrifacetError
from trifacet.base.images import resolve_inside
from trifacet.base.words import listed
from trifacet.comparing.comparison import ComparisonSettings, compared_pairs
from trifacet.comparing.contestants import Entered
from trifacet.llm.asking import Asked, AskedModel, Progress, ask_all
from trifacet.llm.judging import JudgedSummary, Judgement, judge_pair, summarise_judged
from trifacet.llm.model import LanguageModel
from trifacet.llm.prompts import Prompt
from trifacet.statistics.effects import Correction, corrected, sign_test


@dataclass(frozen=True)
class _Question:
    """Two texts of one sample; ``fields`` is what else the judge reads, ``images`` what it sees."""

    id: str
    fields: Mapping[str, str]
    images: Sequence[Path]
    first: str
    second: str


_Pairs = Mapping[tuple[str, str], Sequence[_Question]]  # by (model, other)


@dataclass(frozen=True)
class JudgedPair:
    """``model`` (whose wins are told) against ``other``.

    ``summary`` counts all samples; ``same`` of them have the same text twice. Consistency and first-position rate are
    those of the samples that were asked about (None: none was). ``p`` is that of the sign test, wins against losses,
    and ``p_corrected`` the same for the number of pairs.
    """

    model: str
    other: str
    summary: JudgedSummary
    same: int
    consistency: float | None
    first_position: float | None
    p: float
    p_corrected: float
    judgements: Mapping[str, Judgement]


@dataclass(frozen=True)
class JudgedPairs:
    """All pairs, by whom they were judged, and what asking came to."""

    prompt: str
    pairs: Sequence[JudgedPair]
    saw_images: bool
    asked: Asked


def text_pairs(entered: Entered, settings: ComparisonSettings, images: Path | None) -> _Pairs:
    """A question for every sample of every pair that ``settings`` compare, with post and pictures where they are known.

    Args:
        entered: the models and the samples.
        settings: which pairs.
        images: folder of the pictures; None: the judge sees none.

    Raises:
        TrifacetError: a model has no texts.
        DataError: a picture is missing or lies outside ``images``.
    """
    texts = {one.name: one.texts for one in entered.contestants}
    silent = [name for name, known in texts.items() if not known]
    if silent:
        raise TrifacetError(f"the texts of {listed(silent)} are not known; judging takes files of texts, or runs")
    seen: dict[str, list[Path]] = {}
    for name, sample in entered.samples.items():
        pictures = getattr(sample, "pictures", (sample.image,) if sample.image else ()) if images is not None else ()
        seen[name] = [resolve_inside(images, picture) for picture in pictures] if images is not None else []
    return {
        (model, other): [
            _Question(
                name,
                {"context": str(getattr(sample, "context", ""))},
                seen[name],
                texts[model][name],
                texts[other][name],
            )
            for name, sample in entered.samples.items()
        ]
        for model, other in compared_pairs(tuple(texts), settings)
    }


def judge_pairs(
    spec: AskedModel,
    prompt: Prompt,
    answers: Path,
    pairs: _Pairs,
    *,
    seed: int = 17,
    level: float = 0.95,
    draws: int = 10_000,
    correction: Correction = "holm",
    on_progress: Progress | None = None,
    first_pause: float = 1.0,
) -> JudgedPairs:
    """Ask about every sample of every (model, other) pair, in both orders.

    Args:
        spec: the judge.
        prompt: see ``judging.judge_pair``; its further field is {context}.
        answers: the file that keeps the judge's answers.
        pairs: questions in which ``first`` is the model's text and ``second`` the other's.
        seed: of the bootstrap.
        level: of the intervals.
        draws: of the bootstrap.
        correction: of the sign tests, for the number of pairs.
        on_progress: called with (samples judged, samples).
        first_pause: see ``Endpoint``.

    Raises:
        TrifacetError: the endpoint fails or the budget is reached; the same command continues.
    """
    found, asked = _ask(spec, prompt, answers, pairs, on_progress, first_pause)
    summed = [_summed(*names, pairs[names], found, seed, level, draws) for names in pairs]
    p_values = corrected([pair.p for pair in summed], correction)
    return JudgedPairs(
        prompt=prompt.version,
        pairs=[replace(pair, p_corrected=p or 0.0) for pair, p in zip(summed, p_values, strict=True)],
        saw_images=spec.image_side is not None and any(one.images for many in pairs.values() for one in many),
        asked=asked,
    )


def estimate(spec: AskedModel, prompt: Prompt, answers: Path, pairs: _Pairs) -> Asked:
    """What judging would still cost: questions not answered yet, with answers as long as they may be."""
    return _ask(spec, prompt, answers, pairs, None, 1.0, counting=True)[1]


def _ask(
    spec: AskedModel,
    prompt: Prompt,
    answers: Path,
    pairs: _Pairs,
    on_progress: Progress | None,
    first_pause: float,
    *,
    counting: bool = False,
) -> tuple[dict[tuple[str, str, str], Judgement], Asked]:
    """Judgements by (model, other, sample), of those that had to be asked about."""
    questions = {(*names, one.id): one for names, many in pairs.items() for one in many if one.first != one.second}
    found: dict[tuple[str, str, str], Judgement] = {}

    async def one(model: LanguageModel, key: tuple[str, str, str]) -> None:
        asked = questions[key]
        found[key] = await judge_pair(model, prompt, asked.fields, asked.images, asked.first, asked.second)

    return found, ask_all(
        one,
        list(questions),
        spec,
        answers,
        "compare",
        on_progress=on_progress,
        first_pause=first_pause,
        counting=counting,
    )


def _summed(
    model: str,
    other: str,
    questions: Sequence[_Question],
    found: Mapping[tuple[str, str, str], Judgement],
    seed: int,
    level: float,
    draws: int,
) -> JudgedPair:
    same = Judgement(("tie", "tie"))
    judgements = {one.id: found.get((model, other, one.id), same) for one in questions}
    summary = summarise_judged(list(judgements.values()), seed=seed, level=level, draws=draws)
    different = [judgements[one.id] for one in questions if one.first != one.second]
    asked = summarise_judged(different, draws=1) if different else None
    p = sign_test(summary.counts["win"], summary.counts["lose"])
    return JudgedPair(
        model,
        other,
        summary,
        same=len(questions) - len(different),
        consistency=asked.consistency if asked else None,
        first_position=asked.first_position if asked else None,
        p=p,
        p_corrected=p,
        judgements=judgements,
    )
