"""Whether texts say the words that stand in their pictures, and no words that do not; no reference is needed.

What stands there is the sample's ``extra.lettering``: read by a program (``with_lettering``), or stated by its row.

Invariant: words are counted, so that each value is one of sums over samples; a sample of whose picture nothing is
known, or whose letters cannot be read, counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from trifacet.base.errors import DataError, TrifacetError, of_sample
from trifacet.data.records import TestSample
from trifacet.data.words_read import read_named
from trifacet.lettering.claims import checked
from trifacet.lettering.lines import Lettering
from trifacet.lettering.matching import asked_words, left_out
from trifacet.lettering.prominent import Prominence, prominent
from trifacet.lettering.request import stated
from trifacet.lettering.settings import COLUMN, Reading
from trifacet.metrics.target import Reference, Target
from trifacet.statistics.measures import Measure, share_measure

LETTERING = RECALL, RECALL_ALONE, PRECISION = ("lettering/recall", "lettering/recall_alone", "lettering/precision")
UNOFFICIAL = "Trifacet's own definition, on words that a program read or rows state"
Progress = Callable[[int, int], None]


class Words(NamedTuple):
    """Counts of one text.

    ``asked``: prominent words of the picture, ``said``: those that the text has. ``asked_alone``, ``said_alone``: the
    same of the words that the post does not have. ``claimed``: words that the text says are lettered, ``held``: those
    that are.
    """

    asked: int
    said: int
    asked_alone: int
    said_alone: int
    claimed: int
    held: int


def count_words(text: str, lettering: Lettering, beside: str = "", rule: Prominence | None = None) -> Words:
    """What a text says of the words in its picture.

    Args:
        text: what is said.
        lettering: what stands in the picture; where its letters cannot be read nothing is counted.
        beside: the post, from which a model may have a word without having read it.
        rule: what counts as prominent.
    """
    lines = prominent(lettering, rule)
    asked = asked_words(lines)
    unsaid = set(left_out(lines, text))
    alone = set(left_out(lines, beside)) if beside else set(asked)
    claims = checked(lettering, text, beside)
    claimed = sum(one.words for one in claims)
    return Words(
        asked=len(asked),
        said=len(asked) - len(unsaid),
        asked_alone=len(alone),
        said_alone=len(alone - unsaid),
        claimed=claimed,
        held=claimed - sum(len(one.missing) for one in claims),
    )


def lettering_measures(
    written: Sequence[str], samples: Sequence[Target], rule: Prominence | None = None
) -> tuple[dict[str, Measure | None], list[str]]:
    """The measures of the samples of whose pictures the words are known, and notes; nothing where none are.

    ``lettering/recall``: of the prominent words the share that the texts have. ``lettering/recall_alone``: the same of
    words that the posts do not have. ``lettering/precision``: of the words that the texts claim to stand there the
    share that does. All x 100. Units of the first two are the samples with such words, of the third all whose letters
    can be read: which of them claim something differs between models.

    Args:
        written: the texts.
        samples: theirs, in the same order.
        rule: what counts as prominent.
    """
    known, notes = _known(samples)
    if not known:
        return {}, notes
    counts: dict[str, Words] = {}
    for text, sample in zip(written, samples, strict=True):
        if sample.id in known and known[sample.id].status != "cannot read":
            beside = sample.context if isinstance(sample, TestSample) else ""
            counts[sample.id] = count_words(text, known[sample.id], beside, rule)
    unknown = len(samples) - len(known)
    if unknown:
        notes.append(f"{unknown} of {len(samples)} samples have no words read in a picture, and no lettering metric")
    if unreadable := len(known) - len(counts):
        notes.append(
            f"{unreadable} of {len(samples)} pictures have letters that cannot be read: their samples have no "
            "lettering metric"
        )
    shares = {
        RECALL: {name: (one.said, one.asked) for name, one in counts.items() if one.asked},
        RECALL_ALONE: {name: (one.said_alone, one.asked_alone) for name, one in counts.items() if one.asked_alone},
        PRECISION: {name: (one.held, one.claimed) for name, one in counts.items()},
    }
    return {name: _share(name, parts) for name, parts in shares.items()}, notes


def _known(samples: Sequence[Target]) -> tuple[dict[str, Lettering], list[str]]:
    """What stands in the pictures by sample; a note where rows say what cannot be used, since models may have been
    trained for hours before they are scored.
    """
    known: dict[str, Lettering] = {}
    problems: list[DataError] = []
    for sample in samples:
        try:
            found = lettering_of(sample)
        except DataError as problem:
            problems.append(problem)
        else:
            if found is not None:
                known[sample.id] = found
    more = f"; and {len(problems) - 1} more such samples" if len(problems) > 1 else ""
    return known, [f"no lettering metric has {problems[0]}{more}"] if problems else []


def lettering_of(sample: Target) -> Lettering | None:
    """What stands in a sample's picture, None where it is not known.

    All lines that a row lists count, with or without boxes, since how large they are in the picture is not known there.

    Raises:
        DataError: naming the sample, for a malformed ``extra.lettering``.
    """
    value = sample.extra.get(COLUMN)
    if value is None:
        return None
    try:
        found = stated(value)
    except DataError as error:
        problem = f"sample {sample.id!r}: {error.problem}"
        raise DataError(problem, fix=error.fix, field=error.field) from None
    if isinstance(value, list):
        lines = tuple(line.model_copy(update={"placed": False}) for line in found.lines)
        return found.model_copy(update={"lines": lines})
    return found


def with_lettering(
    samples: Sequence[Target],
    images: Path,
    reading: Reading | None = None,
    *,
    on_progress: Progress = lambda done, total: None,
) -> list[Target]:
    """The samples with what stands in their pictures; what a row states, and a sample without a picture, stays as is.

    Readings are kept on disk: the same pictures are read once, whatever asks for them.

    Args:
        samples: of a test set.
        images: the folder that their image paths start from.
        reading: how pictures are read.
        on_progress: told (pictures done, pictures in all).

    Raises:
        TrifacetError: no sample has a picture or states its words; the engine is not there.
        DataError: naming the sample, for a picture that cannot be used.
    """
    unread = {one.image: one.id for one in samples if one.image and one.extra.get(COLUMN) is None}
    if not unread:
        if samples and all(one.extra.get(COLUMN) is None for one in samples):
            raise TrifacetError("there are no pictures to read: the references name none; give a test set that does")
        return list(samples)
    known: dict[str | None, Mapping[str, Any]] = {}
    for name, found in read_named(
        [one for one in unread if one], images, reading or Reading(), on_progress=on_progress
    ):
        if isinstance(found, DataError):
            raise of_sample(unread[name], found)
        known[name] = found
    return [
        _with(one, known[one.image]) if one.extra.get(COLUMN) is None and one.image in known else one for one in samples
    ]


def _with(sample: Target, words: Mapping[str, Any]) -> Target:
    extra = {**sample.extra, COLUMN: words}
    if isinstance(sample, TestSample):
        return sample.model_copy(update={"extra": extra})
    return replace(sample, extra=extra) if isinstance(sample, Reference) else sample


def _share(name: str, parts: Mapping[str, tuple[int, int]]) -> Measure | None:
    """None where no sample counts."""
    if not parts:
        return None
    these, whole = zip(*parts.values(), strict=True)
    return share_measure(name, list(parts), these, whole, unofficial=UNOFFICIAL)
