"""What may go wrong when a model verifies itself, measured after each round.

Invariant: an answer counts by its own verdict; what could not be read is a class of its own and never counts as
refused. No text is kept: memory grows with the samples by a few numbers each.

``RoundBiases.document`` (``measured.Number``: {"value", "interval", "count"}; shares, not per cent):
    samples, answers, verdicts, feedback: counts
    accept_rate: {"all", "origins": {NAME}, "tasks": {NAME}}: accepted of those with a verdict that could be read
    malformed: the same keys: verdicts that could not be read of all
    auc: {"longer", "list_mark", "full_stop", "sentences", "lines", "digits"}: of an accepted and a refused answer of
        one sample, the chance that the accepted one has more of it; .5: no bias
    overlap: {"1".."4": {"normal", "revised", "difference"}}: share of an answer's n-grams that the reference has
    copies: {ORIGIN}: answers that are the reference, but for case and punctuation
    saw_reference: share of the feedback texts whose writer was shown the reference
    variety: {"sampled", "distinct", "distinct_share", "self_bleu"} of the normal answers of a sample, mean over samples
    yes_share: {"normal", "accepted", "references"}: share of yes among the texts that begin with yes or no
    log_prob: {ORIGIN}: mean nats per token of accepted answers under the generator; {} where it plays no part
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trifacet.base.journal import Journal
from trifacet.data.records import TestSample
from trifacet.evolving.cast import Cast
from trifacet.evolving.exchanges import polarity
from trifacet.evolving.measured import DIFFERENCE, MEAN, SHARE, Names, Number, Numbers, below, missing
from trifacet.evolving.parts import Part
from trifacet.evolving.probes import task_of
from trifacet.evolving.records import NORMAL, REVISED, Answer, Feedback, Verdict
from trifacet.metrics.bleu import bleu, bleu_statistics
from trifacet.metrics.ngrams import ORDERS, index
from trifacet.metrics.texts import unspaced, words
from trifacet.statistics.measures import Array

LogProbs = Mapping[tuple[str, int], float]
"""Nats per token by sample and answer."""
MOST_COMPARED = 16  # answers of a sample for self-BLEU, which compares each with all others
_LIST = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,3}[.)])\s", re.MULTILINE)
_SENTENCE = re.compile(r"[.!?。！？]+(?=\s|$|[\"'”’)])|[。！？]")
_STOPS = (".", "。", "।")

FEATURES: dict[str, Callable[[str], float]] = {
    "longer": len,
    "list_mark": lambda text: _LIST.match(text) is not None,
    "full_stop": lambda text: text.rstrip().endswith(_STOPS),
    "sentences": lambda text: max(len(_SENTENCE.findall(_LIST.sub("", text))), 1),
    "lines": lambda text: sum(1 for line in text.splitlines() if line.strip()),
    "digits": lambda text: any(map(str.isdecimal, text)),
}


class RoundBiases:
    """The numbers of a round; ``add`` takes its parts in any order.

    Args:
        task: the field of a sample's ``extra`` that names its task.
    """

    def __init__(self, task: str = "task") -> None:
        self._task = task
        self._numbers = Numbers()
        self._origins, self._tasks = Names(), Names()
        self._counts = dict.fromkeys(("samples", "answers", "verdicts", "feedback"), 0)

    def add(
        self,
        samples: Sequence[TestSample],
        answers: Sequence[Answer],
        feedback: Sequence[Feedback] = (),
        verdicts: Sequence[Verdict] = (),
        log_probs: LogProbs | None = None,
    ) -> None:
        """Take up the rows of a part.

        Args:
            samples: those of the part.
            answers: theirs, those that are no candidates too.
            feedback: what the reviser said.
            verdicts: what the verifier said.
            log_probs: of accepted answers, from ``accepted_log_probs``.
        """
        of_sample: dict[str, list[Answer]] = defaultdict(list)
        for answer in answers:
            of_sample[answer.sample].append(answer)
        said = {(one.sample, one.answer): one for one in verdicts}
        for sample in samples:
            some = of_sample[sample.id]
            self._verdicts(sample, some, said)
            self._features(sample.id, some, said)
            self._yes(sample, some, said)
            for answer in some:
                value = (log_probs or {}).get((answer.sample, answer.answer), math.nan)
                if math.isfinite(value):
                    self._numbers.add(MEAN, ("log_prob", self._origins(answer.origin)), sample.id, value, 1)
        self._variety(samples, of_sample)
        self._overlap(samples, of_sample)
        for one in feedback:
            self._numbers.add(SHARE, ("saw_reference",), one.sample, one.saw_reference, 1)
        counted = {"samples": samples, "answers": answers, "verdicts": verdicts, "feedback": feedback}
        for name, rows in counted.items():
            self._counts[name] += len(rows)

    def document(self) -> dict[str, Any]:
        """The document that this module describes."""
        told = self._numbers.told()

        def at(*key: str) -> Number:
            return told.get(key) or missing()

        def by(name: str) -> dict[str, Any]:
            return {"all": at(name), "origins": below(told, name, "origins"), "tasks": below(told, name, "tasks")}

        overlap = ("normal", "revised", "difference")
        return {
            **self._counts,
            "accept_rate": by("accept_rate"),
            "malformed": by("malformed"),
            "auc": {name: at("auc", name) for name in FEATURES},
            "overlap": {
                str(order): {name: at("overlap", str(order), name) for name in overlap}
                for order in range(1, ORDERS + 1)
            },
            "copies": below(told, "copies"),
            "saw_reference": at("saw_reference"),
            "variety": {name: at("variety", name) for name in ("sampled", "distinct", "distinct_share", "self_bleu")},
            "yes_share": {name: at("yes_share", name) for name in ("normal", "accepted", "references")},
            "log_prob": below(told, "log_prob"),
        }

    # --- what is counted of a sample --------------------------------------------------------------------------------

    def _verdicts(self, sample: TestSample, answers: Sequence[Answer], said: Mapping[tuple[str, int], Verdict]) -> None:
        task = self._tasks(task_of(sample, self._task))
        for answer in answers:
            verdict = said.get((answer.sample, answer.answer))
            if verdict is None:
                continue
            for where in ((), ("origins", self._origins(answer.origin)), ("tasks", task)):
                malformed = verdict.outcome == "malformed"
                self._numbers.add(SHARE, ("malformed", *where), sample.id, malformed, 1)
                if not malformed:
                    accepted = verdict.outcome == "accepted"
                    self._numbers.add(SHARE, ("accept_rate", *where), sample.id, accepted, 1)

    def _features(self, unit: str, answers: Sequence[Answer], said: Mapping[tuple[str, int], Verdict]) -> None:
        """Pairs of an accepted and a refused answer, and in how many the accepted one has more; a tie is half a one."""
        texts: dict[str, list[str]] = {"accepted": [], "refused": [], "malformed": []}
        for answer in answers:
            verdict = said.get((answer.sample, answer.answer))
            if verdict is not None:
                texts[verdict.outcome].append(answer.text)
        pairs = len(texts["accepted"]) * len(texts["refused"])
        for name, feature in FEATURES.items() if pairs else ():
            chosen = np.array([float(feature(text)) for text in texts["accepted"]])[:, None]
            others = np.array([float(feature(text)) for text in texts["refused"]])
            wins = (chosen > others).sum() + (chosen == others).sum() / 2
            self._numbers.add(SHARE, ("auc", name), unit, float(wins), pairs)

    def _yes(self, sample: TestSample, answers: Sequence[Answer], said: Mapping[tuple[str, int], Verdict]) -> None:
        for answer in answers:
            verdict = said.get((answer.sample, answer.answer))
            if (yes := polarity(answer.text)) is None:
                continue
            if answer.origin == NORMAL:
                self._numbers.add(SHARE, ("yes_share", "normal"), sample.id, yes, 1)
            if verdict is not None and verdict.outcome == "accepted":
                self._numbers.add(SHARE, ("yes_share", "accepted"), sample.id, yes, 1)
        if sample.references and (yes := polarity(sample.references[0])) is not None:
            self._numbers.add(SHARE, ("yes_share", "references"), sample.id, yes, 1)

    def _variety(self, samples: Sequence[TestSample], of_sample: Mapping[str, Sequence[Answer]]) -> None:
        said = {
            sample.id: [one.text for one in of_sample[sample.id] if one.origin == NORMAL and one.text.strip()]
            for sample in samples
        }
        for (unit, texts), alike in zip(said.items(), self_bleu(list(said.values())), strict=True):
            if not texts:
                continue
            distinct = len({" ".join(_words(text)) or text for text in texts})
            self._numbers.add(MEAN, ("variety", "sampled"), unit, len(texts), 1)
            self._numbers.add(MEAN, ("variety", "distinct"), unit, distinct, 1)
            self._numbers.add(MEAN, ("variety", "distinct_share"), unit, distinct / len(texts), 1)
            if alike is not None:
                self._numbers.add(MEAN, ("variety", "self_bleu"), unit, alike, 1)

    def _overlap(self, samples: Sequence[TestSample], of_sample: Mapping[str, Sequence[Answer]]) -> None:
        """N-grams of normal and revised answers, and those among them that the reference has: BLEU's own counts."""
        rows: list[tuple[str, str]] = []
        texts: list[list[str]] = []
        references: list[list[list[str]]] = []
        for sample in samples:
            reference = [found for one in sample.references if (found := _words(one))]
            for answer in of_sample[sample.id] if reference else ():
                said = _words(answer.text)
                if not said:
                    continue
                copies = ("copies", self._origins(answer.origin))
                self._numbers.add(SHARE, copies, sample.id, said in reference, 1)
                if answer.origin in (NORMAL, REVISED):
                    rows.append((sample.id, answer.origin))
                    texts.append(said)
                    references.append(reference)
        if not rows:
            return
        counts: dict[str, Array] = defaultdict(lambda: np.zeros((2, ORDERS, 2)))
        statistics = bleu_statistics(index(texts, references))
        for (unit, origin), row in zip(rows, statistics, strict=True):
            guess, correct = row[2 : 2 + ORDERS], row[2 + ORDERS :]
            counts[unit][int(origin == REVISED)] += np.column_stack([correct, guess])
        for unit, (normal, revised) in counts.items():
            for order in range(ORDERS):
                key = ("overlap", str(order + 1))
                self._numbers.add(SHARE, (*key, "normal"), unit, *normal[order])
                self._numbers.add(SHARE, (*key, "revised"), unit, *revised[order])
                self._numbers.add(DIFFERENCE, (*key, "difference"), unit, *revised[order], *normal[order])


def round_biases(
    samples: Sequence[TestSample],
    answers: Sequence[Answer],
    feedback: Sequence[Feedback],
    verdicts: Sequence[Verdict],
    log_probs: LogProbs | None = None,
    *,
    task: str = "task",
) -> dict[str, Any]:
    """The document of a round whose rows are all at hand; ``RoundBiases`` takes them a part at a time."""
    biases = RoundBiases(task)
    biases.add(samples, answers, feedback, verdicts, log_probs)
    return biases.document()


def self_bleu(groups: Sequence[Sequence[str]]) -> list[float | None]:
    """How alike the texts of each group are, 0 to 1: the mean BLEU of each text with all others of its group as
    references (Zhu et al. 2018, Texygen).

    Up to 4-grams, and of a shorter text as many words as it has, so that equal texts are 1 however short; of the first
    ``MOST_COMPARED`` texts. None for fewer than two that have a word.
    """
    found = [[said for text in texts[:MOST_COMPARED] if (said := _words(text))] for texts in groups]
    ours = [(place, said) for place, some in enumerate(found) if len(some) > 1 for said in some]
    if not ours:
        return [None] * len(groups)
    others = [[*some[:place], *some[place + 1 :]] for some in found if len(some) > 1 for place in range(len(some))]
    statistics = bleu_statistics(index([said for _, said in ours], others))
    by_order = np.stack([bleu(order + 1)(statistics) for order in range(ORDERS)]) / 100
    sums = [[0.0, 0.0] for _ in groups]
    for row, (place, said) in enumerate(ours):
        sums[place][0] += float(by_order[min(ORDERS, len(said)) - 1, row])
        sums[place][1] += 1
    return [min(total / count, 1.0) if count else None for total, count in sums]


def accepted_log_probs(
    samples: Sequence[TestSample], answers: Sequence[Answer], verdicts: Sequence[Verdict], cast: Cast, part: Part
) -> dict[tuple[str, int], float]:
    """Nats per token of the accepted answers under the generator, which was shown the picture as it is.

    They are kept as the rows of the step "log-probs" of the part. None are given where an endpoint writes; an answer
    that does not fit into the model has none.

    Raises:
        TrifacetError: a picture that cannot be read; the file cannot be written.
    """
    if not cast.is_local("generator"):
        return {}
    accepted = {(one.sample, one.answer) for one in verdicts if one.outcome == "accepted"}
    wanted = [one for one in answers if (one.sample, one.answer) in accepted]
    journal = Journal(part.file("log-probs"))
    known = {(row.get("sample"), row.get("answer")): row.get("nats") for row in journal.rows}
    if [(one.sample, one.answer) for one in wanted] != list(known):
        texts: dict[str, list[Answer]] = defaultdict(list)
        for one in wanted:
            texts[one.sample].append(one)
        asked = [sample for sample in samples if sample.id in texts]
        scored = cast.log_probs("generator", asked, [[one.text for one in texts[sample.id]] for sample in asked])
        known = {
            (one.sample, one.answer): value if math.isfinite(value) else None
            for sample, values in zip(asked, scored, strict=True)
            for one, value in zip(texts[sample.id], values, strict=True)
        }
        known = {(one.sample, one.answer): known[one.sample, one.answer] for one in wanted}
        journal.finish({"sample": sample, "answer": answer, "nats": nats} for (sample, answer), nats in known.items())
    return {
        (str(sample), int(answer or 0)): float(nats) for (sample, answer), nats in known.items() if nats is not None
    }


def _words(text: str) -> list[str]:
    """The words of a text in lower case; its letters where its script puts no space between words."""
    if unspaced(text):
        return [char for char in text.lower() if char.isalnum()]
    return words(text)
