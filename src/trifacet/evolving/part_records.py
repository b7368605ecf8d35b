"""The records by which finished parts of a round are sealed: what came of their samples, and what their files are.

Invariant: a part has a record if and only if it is finished; a file that is not as its record says is made again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.base.files import write_atomically
from trifacet.base.progress import console
from trifacet.base.seals import first_damage, read_document, seal_of, sealed
from trifacet.evolving.parts import Part
from trifacet.evolving.records import Fate
from trifacet.evolving.round_samples import LISTED

RECORDS = "parts"
LOG_PROBS = "log-probs"
STEPS = ("answers", "feedback", "verdicts", LOG_PROBS, "judgements", "pairs", "feedback-pairs", "fates")


def record_of(part: Part) -> dict[str, Any] | None:
    """The record of a part that is finished and as it was written; one that is not is said and done again."""
    path = _file(part)
    if not path.exists():
        return None
    try:
        record = read_document(path, "")
        damage = first_damage(part.folder, record["files"])
    except (DataError, KeyError, TypeError, ValueError, AttributeError):
        console.print(f"{path} is damaged: the part is done again", soft_wrap=True)
        path.unlink()
        return None
    if damage is None:
        return record
    console.print(f"{part.folder / damage.name} {damage.problem}: made again", soft_wrap=True)
    path.unlink()
    (part.folder / damage.name).unlink(missing_ok=True)
    return None


def _file(part: Part) -> Path:
    return part.folder / RECORDS / f"{part.number:05d}.json"


def is_done(part: Part) -> bool:
    """Whether a part has a record; whether its files are as they were written is another question."""
    return _file(part).exists()


def write_record(part: Part, fates: Sequence[Fate]) -> dict[str, Any]:
    """Seal a part that is finished; its record."""
    files = [part.file(step) for step in STEPS]
    record = {
        "part": part.number,
        **counted(fates),
        "files": {
            file.relative_to(part.folder).as_posix(): seal_of(file, sync=True) for file in files if file.exists()
        },
    }
    write_atomically(_file(part), json.dumps(sealed(record), indent=1) + "\n")
    return record


def counted(fates: Iterable[Fate]) -> dict[str, Any]:
    """What samples came to: rows, kinds of fate with reasons, answers and accepted ones by origin, pairs."""
    rows, malformed, pairs, about = 0, 0, 0, 0
    kinds, why, answers, accepted = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for fate in fates:
        rows += 1
        kinds[fate.what] += 1
        if fate.why:
            why[f"{fate.what}: {fate.why}"] += 1
        answers.update(fate.answers)
        accepted.update(fate.accepted)
        malformed += fate.malformed
        pairs += fate.pairs
        about += fate.feedback_pairs
    return {
        "rows": rows,
        "fates": dict(kinds),
        "why": dict(why.most_common(LISTED)),
        "answers": dict(answers),
        "accepted": dict(accepted),
        "malformed": malformed,
        "pairs": pairs,
        "feedback_pairs": about,
    }


def summed(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of many parts together."""
    total = counted(())
    sums: dict[str, Any] = {key: Counter(one) if isinstance(one, dict) else one for key, one in total.items()}
    for record in records:
        for key, so_far in sums.items():
            if isinstance(so_far, Counter):
                so_far.update(record[key])
            else:
                sums[key] = so_far + record[key]
    return {
        key: dict(sorted(one.items(), key=_most_first)[:LISTED]) if isinstance(one, Counter) else one
        for key, one in sums.items()
    }


def _most_first(count: tuple[str, int]) -> tuple[int, str]:
    return -count[1], count[0]
