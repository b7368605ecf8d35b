"""The words of a recipe's pictures: read before the first step that asks a model with them, never while it trains.

Invariant: what a run has read once is what it asks with ever after, whatever becomes of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trifacet.base.errors import DataError, of_sample
from trifacet.base.files import write_atomically
from trifacet.base.progress import Bar, console
from trifacet.data.settings import Split
from trifacet.data.source import FilesRead, Source, has_split, source_of
from trifacet.data.words_read import RECORD, Counted, counted, is_unread, read_named, read_record, record_lines
from trifacet.training.recipe import Recipe


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
        own = [one for one in replace(source, words=None).read()[:limit] if one.image and not is_unread(one)]
        _read(recipe, split, source, limit)
        told[split] = counted(source.read()[:limit], recipe.data.lettering_characters, len(own))
        console.print(f"{split}: {told[split]}", soft_wrap=True)
    if keep and files.words != before:
        write_atomically(path, record_lines(files.words))
    return told


def splits_asked(recipe: Recipe, *, texts: bool) -> dict[Split, int | None]:
    """The splits of which a recipe's stages ask a model, and how many rows of each; ``texts``: its last step too."""
    found: dict[Split, int | None] = {}
    if recipe.sft:
        found["sft" if has_split(recipe.data, "sft") else "preference"] = None
    if recipe.align:
        limits = [stage.limit for stage in recipe.align.values()]
        rows = None if None in limits else max(one for one in limits if one is not None)
        found.setdefault("preference", rows)
    watched = [stage.eval_samples for stage in (recipe.sft, *recipe.align.values()) if stage and stage.eval_every]
    if watched and has_split(recipe.data, "validation"):
        found["validation"] = max(watched)
    last: Split = "validation" if recipe.sweep else "test"
    if texts and has_split(recipe.data, last):
        limit = recipe.generate.limit
        found[last] = limit if limit is None else max(limit, found.get(last) or 0)
    return {split: limit for split, limit in found.items() if has_split(recipe.data, split)}


def _read(recipe: Recipe, split: Split, source: Source, limit: int | None) -> None:
    """Into ``source.files``; a picture that cannot be used is told with its row, or its row has no words."""
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
                source.files.words[source.digest_of(name) or ""] = found
            elif not source.skip or data.reading.engine == "given":
                row, one = shown[name]
                raise of_sample(one.id, found, found.field or "image", file=source.file, row=row)
