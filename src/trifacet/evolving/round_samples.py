"""The samples of a round on the disk: read from the recipe's file, cut into parts, looked at before they are used.

Invariant: parts hold the samples in their order, as they were read once; what is not as it was written is written
again. Memory holds a part at most.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError, of_sample
from trifacet.base.files import write_atomically
from trifacet.base.images import prove_image, resolve_inside
from trifacet.base.opening import opened
from trifacet.base.progress import console
from trifacet.base.seals import first_damage, read_document, seal_of, sealed
from trifacet.data.formats import iter_samples
from trifacet.data.formats.trifacet import to_row
from trifacet.data.records import TestSample, make_sample
from trifacet.data.settings import Data
from trifacet.evolving.parts import Part
from trifacet.evolving.records import Fate
from trifacet.evolving.settings import EvolveRecipe

SAMPLES = "samples"
NO_REFERENCE = "no reference"
UNSEEN = "picture cannot be used"
LISTED = 100  # unread rows that are named
AGAIN = "delete it, and the same command makes it again"


def images_root(data: Data) -> Path:
    """The folder of the samples' pictures."""
    images = data.images.get("test", "") if isinstance(data.images, dict) else data.images or ""
    return Path(data.root) / images


def first_samples(recipe: EvolveRecipe) -> tuple[Iterator[TestSample], list[DataError]]:
    """The samples of the recipe's file, one at a time, and the rows that cannot be read, which grow meanwhile.

    Raises:
        DataError: for the first such row, unless ``data.on_bad_row`` says skip.
    """
    unread: list[DataError] = []
    data = recipe.data
    file = Path(data.root) / recipe.samples

    def on_problem(problem: DataError) -> None:
        if data.on_bad_row == "stop" or problem.row is None:
            raise problem
        unread.append(problem)

    def read() -> Iterator[TestSample]:
        rows = iter_samples(file, "test", data.format, label=data.context_label, on_problem=on_problem)
        for _, sample in islice(rows, recipe.limit):  # what is behind the limit is not read
            assert isinstance(sample, TestSample)
            yield sample

    return read(), unread


def write_parts(
    samples: Iterable[TestSample], unread: Sequence[DataError], folder: Path, size: int, *, of: int | None = None
) -> dict[str, Any]:
    """Write a round's samples, so many to a part, unless they are there; their index: rows, parts, unread.

    ``of``: they were drawn from so many.
    """
    index = folder / f"{SAMPLES}.json"
    if (known := _sound_index(folder)) is not None:
        return known
    rows, number, part = 0, 0, list[TestSample]()
    files: dict[str, Any] = {}

    def write() -> None:
        nonlocal number, part
        file = Part(folder, number, 0).file(SAMPLES)
        write_rows(file, (to_row(one, "") for one in part))
        files[file.relative_to(folder).as_posix()] = seal_of(file)
        number, part = number + 1, []

    for sample in samples:
        part.append(sample)
        rows += 1
        if len(part) == size:
            write()
    if part:
        write()
    listed = [{"row": one.row, "problem": one.problem} for one in unread[:LISTED]]
    document = {"rows": rows, "parts": number, "unread": len(unread), "problems": listed, "files": files}
    document |= {} if of is None else {"of": of}
    write_atomically(index, json.dumps(sealed(document), indent=1) + "\n")
    return document


def _sound_index(folder: Path) -> dict[str, Any] | None:
    """The index of samples that are there as they were written; what is damaged is said."""
    path = folder / f"{SAMPLES}.json"
    if not path.exists():
        return None
    try:
        index = read_index(folder)
        damage = first_damage(folder, index["files"])
    except (DataError, KeyError, TypeError, ValueError, AttributeError):
        console.print(f"{path} is damaged: made again", soft_wrap=True)
        return None
    if damage is not None:
        console.print(f"{folder / damage.name} {damage.problem}: made again", soft_wrap=True)
    return index if damage is None else None


def read_index(folder: Path) -> dict[str, Any]:
    """What ``write_parts`` has noted. Raises DataError where it is damaged."""
    return read_document(folder / f"{SAMPLES}.json", AGAIN)


def read_samples(part: Part) -> list[TestSample]:
    """The samples of a part. Raises DataError where the file is damaged."""
    file = part.file(SAMPLES)
    found = []
    for number, row in enumerate(_json_rows(file), start=1):
        sample = make_sample("test", row, file=file, row=number)
        assert isinstance(sample, TestSample)
        found.append(sample)
    return found


def usable(
    samples: Sequence[TestSample], recipe: EvolveRecipe, *, by_reference: bool
) -> tuple[list[TestSample], list[Fate]]:
    """The samples that can be answered and judged, and the fates of the others.

    Raises:
        DataError: a picture cannot be used, and ``data.on_bad_row`` does not say skip.
    """
    fine, gone = [], []
    for sample in samples:
        if by_reference and not any(one.strip() for one in sample.references):
            gone.append(Fate(sample.id, "refused", NO_REFERENCE))
            continue
        try:
            for name in sample.pictures:
                prove_image(resolve_inside(images_root(recipe.data), name), name, max_pixels=recipe.data.max_pixels)
        except DataError as error:
            if recipe.data.on_bad_row == "stop":
                raise of_sample(sample.id, error, "image") from None
            gone.append(Fate(sample.id, "refused", f"{UNSEEN}: {error.problem}"))
            continue
        fine.append(sample)
    return fine, gone


def write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON lines, whole or not at all."""
    write_atomically(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _json_rows(file: Path) -> Iterator[dict[str, Any]]:
    with opened(file) as source:
        for number, line in enumerate(source, start=1):
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                raise DataError("is damaged", fix=AGAIN, file=file, row=number) from None
