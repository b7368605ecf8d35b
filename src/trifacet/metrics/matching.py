"""Whether texts and samples belong together: by their ids, and by what the generation noted of its data.

Invariant: what does not match is an error or a note that names ids or files; no sample and no text is dropped unasked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from trifacet.base.errors import DataError
from trifacet.base.json_text import read_json
from trifacet.base.words import listed
from trifacet.data.records import TestSample
from trifacet.generation.settings import MAX_SETTINGS, data_digest, settings_path
from trifacet.metrics.target import Target

_FEW = 0.5  # of the ids in both files: below this share they hardly belong together
_ROW_NUMBER = re.compile(r"row-\d+")  # what a row without an id gets as its id


def match_ids(
    hypotheses: Mapping[str, str],
    samples: Sequence[Target],
    file: Path | None = None,
    way_out: str = "--subset scores only the samples that have one",
) -> None:
    """Refuse texts that are not one for each sample; ``file`` is where they come from.

    ``way_out`` is the option of the command for texts of a part of the samples.

    Raises:
        DataError: naming the ids that are doubled, missing or too many.
    """
    if not samples:
        raise DataError("there is no sample to score", fix="give a test set of at least one sample")
    counts = Counter(sample.id for sample in samples)
    problems = {
        "the references have twice": [name for name, count in counts.items() if count > 1],
        "the predictions lack": [name for name in counts if name not in hypotheses],
        "the references do not have": [name for name in hypotheses if name not in counts],
    }
    found = [f"{what} {_named(ids)}" for what, ids in problems.items() if ids]
    if not found:
        return
    common, larger = len(counts.keys() & hypotheses.keys()), max(len(counts), len(hypotheses))
    fix = "give one text for each sample of the test set, and no other"
    if all(name in counts for name in hypotheses) and hypotheses:
        fix += f" ({way_out})"
    if common < _FEW * larger:
        fix = f"only {common} of {larger} ids are in both: is this file of another run? {fix}"
    raise DataError("; ".join(found), fix=fix, file=file)


def predicted_only(
    samples: Sequence[Target], hypotheses: Mapping[str, str], file: Path | None = None
) -> tuple[list[Target], str | None]:
    """The samples that have a text, and a note on those that have none; ``file`` is where the texts come from.

    Raises:
        DataError: no sample has one.
    """
    kept = [sample for sample in samples if sample.id in hypotheses]
    if not kept:
        match_ids(hypotheses, samples, file)
    left = len(samples) - len(kept)
    note = f"{left} of {len(samples)} samples have no text and are left out, as asked" if left else None
    return kept, note


def other_data(predictions: Path, hypotheses: Collection[str], samples: Sequence[Target]) -> str | None:
    """A note where the settings beside ``predictions`` name other data than ``samples``, or more texts than there are.

    ``trifacet generate`` writes such settings. Where there are none, where they cannot be read, or where the references
    are no test set (and have no posts to compare), nothing is said.
    """
    sidecar = settings_path(predictions)
    try:
        settings = read_json(sidecar, MAX_SETTINGS)
        noted, count = settings["data"], settings["samples"]
    except (DataError, KeyError, TypeError):
        return None
    if isinstance(count, int) and len(hypotheses) < count:
        return f"{sidecar.name} speaks of {count} texts, of which {len(hypotheses)} are there: generation was stopped"
    posts = [sample for sample in samples if isinstance(sample, TestSample)]
    if not posts or not isinstance(count, int) or data_digest(posts[:count]) == noted:
        return None
    note = (
        f"{sidecar.name} names other data: the texts were written for other posts, images or requests than the "
        "references hold, or for the same in another order or format; is this file of another run?"
    )
    if all(_ROW_NUMBER.fullmatch(name) for name in hypotheses):
        note += " The ids are numbers of rows, so that they match proves nothing"
    return note


def _named(ids: list[str]) -> str:
    return f"{len(ids)} id{'s' if len(ids) > 1 else ''}: {listed([repr(name) for name in ids])}"
