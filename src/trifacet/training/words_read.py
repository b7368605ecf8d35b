"""The words of a recipe's pictures: read before the first step that asks a model with them, never while it trains.

Invariant: what a run has read once is what it asks with ever after, whatever becomes of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trifacet.base.errors import DataError, of_sample
from trifacet.base.files import write_atomically
from trifacet.base.progress import Bar, console
from trifacet.data.settings import Split
from trifacet.data.source import FilesRead, Source, has_split, source_of
from trifacet.data.words_read import RECORD, Counted, counted, is_unread, read_named, read_record, record_lines
from trifacet.lettering.request import stated
from trifacet.lettering.settings import COLUMN
from trifacet.training.outcome import SCORED
from trifacet.training.recipe import Recipe
from trifacet.training.stage import WATCHED


def read_words(
    recipe: Recipe, splits: Mapping[Split, int | None], files: FilesRead, *, keep: bool = True
) -> dict[Split, Counted]:
    """Read the pictures of these splits that nobody has read yet, the first so many rows of each (None: all).

    Args:
        recipe: the whole recipe, which asks with words.
        splits: what is read.
        files: what the run has read already; it gets what is read now.
        keep: put it into the run's folder too.

    Returns:
        what came of it, by split.

    Raises:
        TrifacetError: the engine is not there.
        DataError: a picture that cannot be used, unless such rows are left out.
    """
    path = recipe.folder / RECORD
    before = read_record(path)
    files.words = before | files.words
    told: dict[Split, Counted] = {}
    for split, limit in splits.items():
        source = source_of(recipe.data, recipe.folder, split, files=files)
        own = _stating(source, limit)
        _read(recipe, split, source, limit)
        told[split] = counted(source.read()[:limit], recipe.data.lettering_characters, own)
        console.print(f"{split}: {told[split]}", soft_wrap=True)
    if keep and files.words != before:
        write_atomically(path, record_lines(files.words))
    return told


def splits_asked(recipe: Recipe, *, texts: bool) -> dict[Split, int | None]:
    """The splits of which a recipe's stages ask a model, and how many rows of each; ``texts``: its last step too."""
    data, stages = recipe.data, [recipe.sft, *recipe.align.values()]
    found: dict[Split, int | None] = {}

    def add(splits: Sequence[Split], rows: int | None) -> None:
        split = next((split for split in splits if has_split(data, split)), None)
        if split is not None:
            before = found.get(split, 0)
            found[split] = None if rows is None or before is None else max(rows, before)

    if recipe.sft:
        add(["sft", "preference"], None)
    for align in recipe.align.values():
        add(["preference"], align.limit and max(align.limit, SCORED))
    for stage in stages:
        if stage is not None and stage.eval_every:
            add(WATCHED, stage.eval_samples)
    if texts:
        add(["validation" if recipe.sweep else "test"], recipe.generate.limit)
    return found


def _stating(source: Source, limit: int | None) -> int:
    """How many rows state themselves what stands in their pictures. Raises DataError for one that does so wrongly."""
    count = 0
    for row, one in replace(source, words=None).rows(lambda problem: None)[:limit]:
        if one.image is not None and not is_unread(one):
            try:
                stated(one.extra[COLUMN])
            except DataError as error:
                raise of_sample(one.id, error, error.field, file=source.file, row=row) from None
            count += 1
    return count


def _read(recipe: Recipe, split: Split, source: Source, limit: int | None) -> None:
    """Into ``source.files``; a picture that cannot be used is told with its row, or its row is one to be left out."""
    rows = [(row, one) for row, one in source.rows(lambda problem: None)[:limit] if is_unread(one)]
    if not rows:
        return
    data = recipe.data
    shown: dict[str, tuple[int, Any]] = {}
    for row, one in rows:
        shown.setdefault(one.image or "", (row, one))
    with Bar(f"{split}: words in pictures") as bar:
        for name, found in read_named(
            shown,
            source.images,
            data.reading,
            max_pixels=data.max_pixels,
            workers=data.workers or 1,
            on_progress=bar.update,
        ):
            if not isinstance(found, DataError):
                if (digest := source.digest_of(name)) is not None:
                    source.files.words[digest] = found
            elif not source.skip or data.reading.engine == "given":
                row, one = shown[name]
                raise of_sample(one.id, found, found.field or "image", file=source.file, row=row)
