"""Which accepted and refused answers of a sample become preference pairs, and which feedback texts.

Invariant: a function of the sample, its answers, the verdicts, the settings and the draw. The picture of a pair is the
sample's own, whatever was shown when an answer was written. An answer without a readable verdict is in no pair, and
every sample has a ``Fate``.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from trifacet.data.records import PreferenceSample, TestSample
from trifacet.evolving.records import Answer, Fate, Feedback, Verdict, What
from trifacet.evolving.settings import Pairs
from trifacet.metrics.texts import unspaced

Asked = Callable[[Answer, bool], tuple[str, str]]
"""System part and request by which the reviser was asked about an answer; the flag: with the reference."""

NO_VERDICT = "no verdict could be read"
CONTAINED = "every refused answer contains the accepted one"
LENGTHS = "lengths differ by more than pairs.length_ratio"
SAME = "refused answers say the same as accepted ones"
_WORD = re.compile(r"\w+|[^\w\s]{2,}")
_WHY = 200  # characters of a reason in a row


class _Pair(NamedTuple):
    chosen: Answer
    rejected: Answer


def pairs_of(
    sample: TestSample,
    answers: Sequence[Answer],
    feedback: Sequence[Feedback],
    verdicts: Sequence[Verdict],
    settings: Pairs,
    draw: np.random.Generator,
    *,
    round: int = 1,
    asked: Asked | None = None,
) -> tuple[list[PreferenceSample], list[PreferenceSample], Fate]:
    """The pairs of a sample, those of the feedback about its answers, and what became of it.

    Args:
        sample: picture, instruction and post.
        answers: all that were written for it in this round.
        feedback: what the reviser said of them.
        verdicts: what the verifier said of them.
        settings: how many pairs, and which.
        draw: decides between pairs that the settings find equally good.
        round: the round's number, which ids and ``extra`` have.
        asked: how the reviser was asked; without it there are no pairs of feedback.
    """
    said = {verdict.answer: verdict for verdict in verdicts}
    fine = [one for one in answers if one.problem is None and one.text]
    judged = [one for one in fine if one.answer in said and said[one.answer].outcome != "malformed"]
    accepted = [one for one in judged if said[one.answer].outcome == "accepted"]
    refused = [one for one in judged if said[one.answer].outcome == "refused"]
    found, why = _chosen_pairs(accepted, refused, settings, draw)
    pairs = [pair_row(sample, pair.chosen, pair.rejected, said, round) for pair in found]
    about: list[PreferenceSample] = []
    if asked is not None and settings.feedback:
        about = _feedback_pairs(sample, answers, feedback, said, settings.feedback, round, asked)
    what: What
    if not judged:
        what, why = "refused", _nothing_judged(answers, bool(fine))
    elif not refused:
        what, why = "all accepted", ""
    elif not accepted:
        what, why = "none accepted", ""
    else:
        what = "pairs" if pairs else "no pair"
    fate = Fate(
        sample.id,
        what,
        "" if pairs else why,
        dict(Counter(one.origin for one in answers)),
        dict(Counter(one.origin for one in accepted)),
        sum(one.answer in said and said[one.answer].outcome == "malformed" for one in fine),
        len(pairs),
        len(about),
    )
    return pairs, about, fate


def _nothing_judged(answers: Sequence[Answer], some_fine: bool) -> str:
    """Why a sample has no answer that counts."""
    if some_fine:
        return NO_VERDICT
    problems = Counter(one.problem or "empty" for one in answers if one.problem != "duplicate")
    return f"no answer can be used: {problems.most_common(1)[0][0]}" if problems else "no answer was written"


def _chosen_pairs(
    accepted: Sequence[Answer], refused: Sequence[Answer], settings: Pairs, draw: np.random.Generator
) -> tuple[list[_Pair], str]:
    """Pairs one after another, each the best of those that are left, and why there is none."""
    left: list[_Pair] = []
    reasons: Counter[str] = Counter()
    right = {_unstopped(one.text) for one in accepted}
    for pair in (_Pair(one, other) for one in accepted for other in refused):
        said_before = SAME if _unstopped(pair.rejected.text) in right else None  # of whichever accepted answer
        if (reason := said_before or barred(pair.chosen.text, pair.rejected.text, settings)) is None:
            left.append(pair)
        else:
            reasons[reason] += 1
    left = [left[place] for place in draw.permutation(len(left))]
    found: list[_Pair] = []
    texts: set[tuple[str, str]] = set()
    answers: Counter[int] = Counter()
    origins: tuple[Counter[str], Counter[str]] = (Counter(), Counter())

    def rank(pair: _Pair) -> tuple[float, ...]:
        turn = origins[0][pair.chosen.origin] + origins[1][pair.rejected.origin] if settings.balanced else 0
        again = answers[pair.chosen.answer] + answers[pair.rejected.answer]
        apart = abs(len(pair.chosen.text) - len(pair.rejected.text)) if settings.length_matched else 0
        return turn, again, apart

    while left and len(found) < settings.most:
        best = min(left, key=rank)
        left.remove(best)
        if (key := (plain(best.chosen.text), plain(best.rejected.text))) in texts:
            continue
        texts.add(key)
        found.append(best)
        answers.update((best.chosen.answer, best.rejected.answer))
        origins[0][best.chosen.origin] += 1
        origins[1][best.rejected.origin] += 1
    return found, "" if found or not reasons else reasons.most_common(1)[0][0]


def barred(chosen_text: str, rejected_text: str, settings: Pairs) -> str | None:
    """Why the rules take no such pair; None where they do."""
    chosen, rejected = plain(chosen_text), plain(rejected_text)
    if chosen == rejected:
        return SAME
    if not settings.contained and _contains(rejected, chosen):
        return CONTAINED
    lengths = sorted((len(chosen_text), len(rejected_text)))
    if settings.length_ratio is not None and lengths[1] > settings.length_ratio * lengths[0]:
        return LENGTHS
    return None


def plain(text: str) -> str:
    """A text as two are compared: one space between words, no capitals."""
    return " ".join(text.casefold().split())


def _unstopped(text: str) -> str:
    """The same without the stop at its end: with it or not, two texts say the same."""
    return plain(text).rstrip(" .!。")


def _contains(text: str, other: str) -> bool:
    """Whether the words of ``other`` stand in ``text``; its letters where its script puts no space between words."""
    if unspaced(other):
        return "".join(_WORD.findall(other)) in "".join(_WORD.findall(text))
    return _words(other) in _words(text)


def _words(text: str) -> str:
    """The words of a text, each between spaces, so that a text that is found in another one is found as words."""
    return f" {' '.join(_WORD.findall(text))} "


def pair_row(
    sample: TestSample, chosen: Answer, rejected: Answer, said: Mapping[int, Verdict], round: int
) -> PreferenceSample:
    """A pair as a row of preference data, with where it comes from in ``extra``."""
    numbers = chosen.answer, rejected.answer
    told = {
        "sample": sample.id,
        "round": round,
        "chosen_origin": chosen.origin,
        "rejected_origin": rejected.origin,
        "answers": list(numbers),
        "verdicts": [shortly(said[number]) for number in numbers],
    }
    return PreferenceSample(
        id=f"{sample.id}#{round}-{numbers[0]}-{numbers[1]}",
        image=sample.image,
        more_images=sample.more_images,
        context=sample.context,
        prompt=sample.prompt,
        extra={**sample.extra, **told},
        response=chosen.text,
        rejected_responses=(rejected.text,),
    )


def shortly(verdict: Verdict) -> str:
    """What the verifier said, in a line: votes, and of a refused answer the condition that fewest votes hold."""
    line = f"{verdict.outcome}, {verdict.accepted} of {verdict.votes}"
    if verdict.outcome != "refused" or not verdict.conditions:
        return line
    worst = min(verdict.conditions, key=lambda name: verdict.conditions[name])
    reason = " ".join(verdict.reasons.get(worst, "").split())[:_WHY]
    return f"{line}; {worst}: {reason}" if reason else f"{line}; {worst}"


# --- feedback ---------------------------------------------------------------------------------------------------


class _Tried(NamedTuple):
    feedback: Feedback
    about: Answer


def _feedback_pairs(
    sample: TestSample,
    answers: Sequence[Answer],
    feedback: Iterable[Feedback],
    said: Mapping[int, Verdict],
    most: int,
    round: int,
    asked: Asked,
) -> list[PreferenceSample]:
    """Feedback whose revision was accepted against feedback whose revision was refused.

    Of the same answer first. Where there is none, of another answer of the sample: the nearest to it in its words, so
    that what is rejected does not only speak of another text.
    """
    known = {one.answer: one for one in answers}
    tried = [_Tried(one, known[one.answer]) for one in feedback if one.revised in said and one.text.strip()]
    good = [one for one in tried if said[one.feedback.revised or 0].outcome == "accepted"]
    bad = [one for one in tried if said[one.feedback.revised or 0].outcome == "refused"]
    used: Counter[tuple[int, int]] = Counter()
    rows: list[PreferenceSample] = []
    texts: set[tuple[str, str]] = set()
    for one in good:
        others = [
            other
            for other in bad
            if other.feedback.saw_reference == one.feedback.saw_reference
            and plain(other.feedback.text) != plain(one.feedback.text)
        ]
        others.sort(key=lambda other, one=one: (used[_key(other)], *_far(one, other)))  # type: ignore[misc]
        other = next((other for other in others if _texts(one, other) not in texts), None)
        if other is None or len(rows) == most:
            continue
        texts.add(_texts(one, other))
        used[_key(other)] += 1
        rows.append(_feedback_row(sample, one, other, said, round, asked))
    return rows


def _key(tried: _Tried) -> tuple[int, int]:
    return tried.feedback.answer, tried.feedback.draw


def _texts(one: _Tried, other: _Tried) -> tuple[str, str]:
    return plain(one.feedback.text), plain(other.feedback.text)


def _far(one: _Tried, other: _Tried) -> tuple[bool, float, int, int]:
    same = one.about.answer == other.about.answer
    alike = 1.0 if same else difflib.SequenceMatcher(None, one.about.text[:1000], other.about.text[:1000]).ratio()
    return (not same, 1 - alike, other.feedback.answer, other.feedback.draw)


def _feedback_row(
    sample: TestSample, one: _Tried, other: _Tried, said: Mapping[int, Verdict], round: int, asked: Asked
) -> PreferenceSample:
    system, request = asked(one.about, one.feedback.saw_reference)
    revised = [tried.feedback.revised or 0 for tried in (one, other)]
    extra = {
        **{key: value for key, value in sample.extra.items() if key != "system"},  # words read in the picture too
        **({"system": system} if system else {}),
        "sample": sample.id,
        "round": round,
        "answers": [one.feedback.answer, other.feedback.answer],
        "revised": revised,
        "saw_reference": one.feedback.saw_reference,
        "verdicts": [shortly(said[number]) for number in revised],
    }
    numbers = f"{one.feedback.answer}.{one.feedback.draw}-{other.feedback.answer}.{other.feedback.draw}"
    return PreferenceSample(
        id=f"{sample.id}#feedback-{round}-{numbers}",
        image=sample.image,
        more_images=sample.more_images,
        prompt=request,
        extra=extra,
        response=one.feedback.text,
        rejected_responses=(other.feedback.text,),
    )
