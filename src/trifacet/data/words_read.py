"""The words read in the pictures of samples: put into ``extra.lettering``, and what a run keeps of them.

Invariant: what a row says stands in its picture is never replaced by what a program reads there; a picture is read
once, whichever rows show it; and what is attached is the same wherever it comes from, so that a model is asked alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from trifacet.base.errors import DataError, of_sample
from trifacet.base.images import MAX_PIXELS, resolve_inside
from trifacet.base.opening import open_regular
from trifacet.base.seals import sealed, unsealed
from trifacet.data.records import Sample
from trifacet.lettering.lines import Lettering
from trifacet.lettering.reading import read_pictures
from trifacet.lettering.request import FIELD, Quoting, quoted, stated
from trifacet.lettering.settings import COLUMN, Reading

AnySample = TypeVar("AnySample", bound=Sample)
Progress = Callable[[int, int], None]
RECORD = Path("lettering") / "readings.jsonl"  # in a run's folder: what was read, by the picture's SHA-256
COUNTS = Path("lettering") / "counts.json"  # what came of it


@dataclass(frozen=True)
class Counted:
    """What came of reading: samples with a picture, and of these those with words, with words that are left out of the
    request for its length, with letters of which none could be read, and with words that their rows state.
    """

    samples: int
    words: int
    cut: int
    unreadable: int
    stated: int

    def __str__(self) -> str:
        told = f"{self.words} of {self.samples} pictures have words"
        for count, what in (
            (self.cut, "more words than the request takes"),
            (self.unreadable, "letters that cannot be read"),
            (self.stated, "words stated by their rows"),
        ):
            told += f", {count} {what}" if count else ""
        return told

    def as_dict(self) -> dict[str, int]:
        """As JSON has it."""
        return asdict(self)


def is_unread(sample: Sample) -> bool:
    """Whether it shows a picture and nothing says what stands in it."""
    return sample.image is not None and sample.extra.get(COLUMN) is None


def with_words(
    samples: Sequence[AnySample],
    images: str | Path,
    quoting: Quoting | None,
    *,
    max_pixels: int = MAX_PIXELS,
    workers: int = 1,
    on_progress: Progress = lambda done, total: None,
) -> list[AnySample]:
    """The samples with what stands in their pictures; those of which it is known, and all without ``quoting``, as is.

    Args:
        samples: of any kind.
        images: the folder that their pictures are relative to.
        quoting: how the words are put to the model (None: they are not, and nothing is read).
        max_pixels: largest picture.
        workers: processes that read.
        on_progress: told (pictures done, pictures in all).

    Raises:
        TrifacetError: the engine is not there.
        DataError: a picture that cannot be used; a row without words where only rows state them.
    """
    if quoting is None or not any(map(is_unread, samples)):
        return list(samples)
    names = [one.image for one in samples if is_unread(one) and one.image is not None]
    known: dict[str, Any] = {}
    told = read_named(names, images, quoting.reading, max_pixels=max_pixels, workers=workers, on_progress=on_progress)
    for name, found in told:
        if isinstance(found, DataError):
            raise of_sample(next(one.id for one in samples if one.image == name), found)
        known[name] = found
    return attached(samples, known)


def read_named(
    names: Iterable[str],
    images: str | Path,
    reading: Reading,
    *,
    max_pixels: int = MAX_PIXELS,
    workers: int = 1,
    on_progress: Progress = lambda done, total: None,
) -> Iterator[tuple[str, dict[str, Any] | DataError]]:
    """What stands in each picture, by its name and once; an error for one that cannot be used.

    Raises:
        TrifacetError: the engine is not there.
    """
    once = list(dict.fromkeys(names))
    if reading.engine == "given":
        fix = "give the row its words ([] for none), or choose an engine"
        yield from ((name, DataError("is missing, and the engine is 'given'", fix=fix, field=FIELD)) for name in once)
        return
    paths: dict[str, Path] = {}
    for name in once:
        try:
            paths[name] = resolve_inside(images, name)
        except DataError as error:
            yield name, error
    found = read_pictures(
        list(paths.values()), reading, workers=workers, max_pixels=max_pixels, on_progress=on_progress
    )
    for name, one in zip(paths, found, strict=True):
        yield name, one if isinstance(one, DataError) else asked_form(one)


def asked_form(lettering: Lettering) -> dict[str, Any]:
    """What is attached of a reading: all but the places of single words, of which a set of pictures has too many."""
    return lettering.model_dump(mode="json", exclude_defaults=True, exclude={"lines": {"__all__": {"words"}}})


def attached(samples: Sequence[AnySample], known: Mapping[str, Any]) -> list[AnySample]:
    """The samples with what is known of their pictures, by name; a row's own words stay."""
    found: list[Any] = []
    for one in samples:
        words = known.get(one.image) if one.image is not None and is_unread(one) else None
        found.append(one if words is None else one.model_copy(update={"extra": {**one.extra, COLUMN: words}}))
    return found


def counted(samples: Iterable[Sample], characters: int, own: int = 0) -> Counted:
    """What came of reading ``samples``, those without a picture left out; ``own`` of them say themselves what stands
    there.
    """
    total = words = cut = unreadable = 0
    for sample in samples:
        if sample.image is None or sample.extra.get(COLUMN) is None:
            continue
        lettering = stated(sample.extra[COLUMN])
        lines, shortened = quoted(lettering, characters)
        total, words, cut = total + 1, words + bool(lines), cut + shortened
        unreadable += lettering.status == "cannot read"
    return Counted(total, words, cut, unreadable, own)


# --- what a run keeps -------------------------------------------------------------------------------------------


def record_lines(known: Mapping[str, Any]) -> str:
    """The content of ``RECORD``: a line for each picture, with its own seal, in the order of their digests."""
    lines = (sealed({"picture": digest, COLUMN: known[digest]}) for digest in sorted(known))
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_record(path: Path) -> dict[str, Any]:
    """What was read, by the picture's SHA-256; a line that is not as it was written counts as not there."""
    if not path.is_file():
        return {}
    known = {}
    with open_regular(path) as file:
        for line in file:
            try:
                row = unsealed(json.loads(line))
                if row is not None:
                    known[str(row["picture"])] = row[COLUMN]
            except (ValueError, KeyError, RecursionError):
                continue
    return known
