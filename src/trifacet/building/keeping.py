"""What a build has kept is as it was written: looked at when a finished build is asked for again, or by --verify.

Invariant: the manifest holds the hashes of the sets, a part's record those of its files, a picture's name its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from trifacet.base import seals
from trifacet.base.claims import CURE
from trifacet.base.digests import file_digest
from trifacet.base.errors import TrifacetError
from trifacet.base.seals import Damage
from trifacet.building.folder import STATE_FILE
from trifacet.building.output import MANIFEST, read_manifest, seals_of
from trifacet.building.plan import stages_of
from trifacet.building.recipe import BuildRecipe
from trifacet.building.stage_folder import DECISIONS, DECISIONS_SEAL, StageFolder
from trifacet.data.shards import EMBEDDED

_PICTURE = re.compile(r"images/([0-9a-f]{2})/(\1[0-9a-f]{62})(?:\..*)?")


def tally(folder: Path) -> list[int]:
    """How many pictures a build has written, their bytes, and when the last of them was changed."""
    stats = [path.stat() for _, path in _pictures(folder)]
    return [len(stats), sum(one.st_size for one in stats), max((one.st_mtime_ns for one in stats), default=0)]


def damages(
    recipe: BuildRecipe,
    facts: Mapping[str, Any],
    manifest: Mapping[str, Any] | None,
    *,
    whole: bool,
    unsound: Collection[str] = (),
) -> Iterator[Damage]:
    """What of stages and pictures is not as it was written, by names in the build's folder.

    Args:
        recipe: the build's.
        facts: what ``build.json`` says.
        manifest: what ``manifest.json`` says; None while the build is not finished.
        unsound: files of the sets that are known to be damaged; no reader takes them.
        whole: look at every byte; else at what is missing, at sizes, and at pictures only where ``tally`` has changed.
    """
    if (recipe.folder / "stages").exists():  # a user may do without them
        stages = stages_of(recipe)
        parts = stages[0].records().keys() if manifest else None
        if parts is not None and len(parts) != facts.get("parts"):
            yield Damage(f"stages/{stages[0].folder.name}/parts.jsonl", "lacks the record of a part")
        for stage in stages:
            for name, problem in _of_stage(stage, parts, whole=whole):
                yield Damage(os.path.normpath(f"stages/{stage.folder.name}/{name}"), problem)
    if manifest and (whole or facts.get("pictures") != tally(recipe.folder)):
        yield from _of_pictures(recipe.folder, manifest, unsound)


def verify(recipe: BuildRecipe) -> list[tuple[Path, str]]:
    """Look at every file that a build has kept; those that are damaged, with what is wrong.

    Raises:
        TrifacetError: there is no build, or its mark is damaged.
    """
    folder = recipe.folder
    if not (folder / STATE_FILE).exists():
        raise TrifacetError(f"{folder} holds no build; begin it without --verify")
    facts = seals.read_document(folder / STATE_FILE, CURE)
    found = list(seals.damages(folder, facts.get("sealed", {})))
    manifest, unsound = None, list[Damage]()
    if (folder / MANIFEST).exists():
        if manifest := read_manifest(folder):
            unsound = list(seals.damages(folder, seals_of(manifest)))
        else:
            found.append(Damage(MANIFEST, "is damaged"))
    found += unsound
    found += damages(recipe, facts, manifest, whole=True, unsound={damage.name for damage in unsound})
    return [(folder / name, problem) for name, problem in dict.fromkeys(found)]


def _of_stage(stage: StageFolder, parts: Any, *, whole: bool) -> Iterator[Damage]:
    signed = (stage.folder / "signatures.jsonl").exists()
    for log in ("parts", "signatures") if signed else ("parts",):
        records = stage.records(log)
        if parts is not None and records.keys() != parts:
            yield Damage(f"{log}.jsonl", "lacks the record of a part")
        for record in records.values():
            try:
                yield from stage.damages(record, whole=whole, pictures=whole)
            except TrifacetError as error:
                yield Damage(f"pictures of part {record['part']}", str(error))
    if (stage.folder / DECISIONS_SEAL).exists():
        digest = (stage.folder / DECISIONS_SEAL).read_bytes().decode("utf-8", "replace")
        yield from seals.damages(stage.folder, {DECISIONS: digest}, whole=whole)


def _of_pictures(folder: Path, manifest: Mapping[str, Any], unsound: Collection[str]) -> Iterator[Damage]:
    for digest, path in _pictures(folder):
        if file_digest(path) != digest:
            yield Damage(path.relative_to(folder).as_posix(), "is not as it was written")
    for shard in manifest["shards"]:
        if shard["file"] in unsound:
            continue
        with pq.ParquetFile(folder / shard["file"]) as file:
            there = file.schema_arrow.names
            lists = [name for name in ("more_images", "rejected_images") if name in there]
            columns = lists if EMBEDDED in there else ["image", *lists]
            for batch in file.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    names = [row.get("image"), *(name for column in lists for name in row[column] or ())]
                    for name in names:
                        if name and _PICTURE.fullmatch(name) and not (folder / name).is_file():
                            yield Damage(name, "is missing")


def _pictures(folder: Path) -> Iterator[tuple[str, Path]]:
    """The pictures below ``images``, each with the hash that its name tells."""
    for path in sorted(folder.glob("images/??/*")):
        if told := _PICTURE.fullmatch(path.relative_to(folder).as_posix()):
            yield told[2], path
