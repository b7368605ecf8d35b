"""The end of a build: Parquet shards of samples, their images, the side table of failures, the manifest.

Invariant: shards hold the rows in the build's order, in the columns of ``records.SCHEMAS``; the manifest holds nothing
that differs between two builds of the same recipe and sources.
"""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trifacet.base import claims
from trifacet.base.digests import sha256_of
from trifacet.base.errors import DataError
from trifacet.base.files import replacing, write_atomically
from trifacet.base.progress import console
from trifacet.base.seals import Damage, first_damage, read_document, sealed
from trifacet.building.counts import BuildProgress
from trifacet.building.losses import refuse_loss
from trifacet.building.recipe import BuildRecipe
from trifacet.building.rows import RowBatch
from trifacet.building.shard_writer import GROUP_ROWS, ShardWriter
from trifacet.building.stage_folder import StageFolder, events_of
from trifacet.building.step import WRITE, Tools
from trifacet.building.workers import step_record

SET_KINDS = ("sft", "preference", "test")
MANIFEST = "manifest.json"
FAILED = "failed.parquet"
_PACKAGES = (
    *("trifacet", "numpy", "pyarrow", "pillow", "lingua-language-detector", "rensa", "scipy", "httpx2"),
    *("regex", "spacy", "transformers", "torch"),
)
CARRIERS = {"httpx2"}  # hands questions on; what comes of them does not depend on its version
FAILURES = pa.schema(
    [(name, pa.string()) for name in ("id", "source", "reason", "step", "field", "detail")]
    + [("row", pa.int64()), ("source_row", pa.int64())]
)


def write_output(
    recipe: BuildRecipe,
    source: StageFolder,
    parts: Sequence[int],
    tools: Tools,
    read: dict[str, list[dict[str, Any]]],
    stages: list[StageFolder],
    progress: BuildProgress,
) -> dict[str, Any]:
    """Write shards, images, ``failed.parquet`` and, last, ``manifest.json``; returns the manifest.

    ``read``: the sources' files as ``inputs``, and as ``outside`` what else steps read, for the manifest.
    """
    (recipe.folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(stages[-1].folder, ignore_errors=True)
    written: dict[str, list[dict[str, Any]]] = {}
    writers = {kind: ShardWriter(recipe, kind) for kind in SET_KINDS}
    index = len(recipe.steps) + 1
    progress.begin([index], "running", len(parts))
    for part in parts:
        started, batch = time.monotonic(), RowBatch(source.read("rows", part), index, WRITE)
        for post in batch.posts():
            if not post["alt"].strip() and kind_of(post.values) != "test":
                post.drop("no alt-text to learn from")
        table, events = batch.result()
        name, digest = stages[-1].write("events", part, events)
        kept = {file: digest for stage in stages for file, (_, digest) in stage.pictures(part).items()}
        for row in table.to_pylist():
            writers[kind_of(row)].add(row, tools, kept)
        told = step_record(index, len(batch), table, events, time.monotonic() - started)
        stages[-1].add("parts", record := {"part": part, "files": {name: digest}, "steps": [told]})
        progress.add(record)
    for kind, writer in writers.items():
        written[kind] = writer.close()
    progress.end([index])
    refuse_loss(recipe, progress.steps[index])
    failed = _write_failed(recipe, stages)
    manifest = {
        "name": recipe.name,
        "recipe": recipe.model_dump(mode="json", exclude={"output", "answers", "budget", "network", "max_dropped"})
        | {"network": recipe.network.decides()},
        "seed": recipe.seed,
        "versions": step_versions(),
        **read,
        "steps": [
            {"name": step.name, "rows_in": step.rows_in, "rows_out": step.rows_out, "counts": dict(step.counts)}
            for step in progress.steps
        ],
        "rows": {kind: sum(shard["rows"] for shard in shards) for kind, shards in written.items()},
        "failed": failed,
        "shards": [shard for shards in written.values() for shard in shards],
    }
    text = json.dumps(sealed(manifest), indent=1, ensure_ascii=False, sort_keys=True)
    write_atomically(recipe.folder / MANIFEST, text + "\n")
    return manifest


def finished(folder: Path) -> dict[str, Any] | None:
    """The manifest of a build that is finished and whole: every shard there, byte for byte; else None.

    A line names the first file that is damaged.
    """
    if not (folder / MANIFEST).exists():
        return None
    manifest = read_manifest(folder)
    damage = Damage(MANIFEST, "is damaged") if manifest is None else first_damage(folder, seals_of(manifest))
    if damage:
        tell(folder, damage)
        return None
    return manifest


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest; None where there is none, or where it is damaged."""
    try:
        manifest = read_document(folder / MANIFEST, "")
        seals_of(manifest)
        return manifest
    except (DataError, KeyError, TypeError):
        return None


def seals_of(manifest: dict[str, Any]) -> dict[str, str]:
    """The hashes of shards and failures, by the files' names."""
    return {file["file"]: file["sha256"] for file in (*manifest["shards"], manifest["failed"])}


def tell(folder: Path, damage: Damage) -> None:
    """Say that a file of a finished build is damaged, and that the build goes on."""
    console.print(f"{folder / damage.name} {damage.problem}: made again", soft_wrap=True)


def kind_of(row: dict[str, Any]) -> str:
    """Which set a row belongs to: its split; without one, what has a rejected version is a preference."""
    rejected = any(row[f"rejected_{facet}"] for facet in ("images", "contexts", "responses"))
    return row["split"] or ("preference" if rejected else "sft")


def _write_failed(recipe: BuildRecipe, stages: list[StageFolder]) -> dict[str, Any]:
    """The side table of rows that failed for reasons of their own; returns its name, rows and hash."""
    path, rows = recipe.folder / FAILED, 0
    with replacing(path) as temporary, pq.ParquetWriter(temporary, FAILURES, compression="zstd") as writer:
        for events in _batched(events_of(stages, verdict="fail"), GROUP_ROWS):
            writer.write_table(pa.Table.from_pylist([_failure(event, recipe) for event in events], schema=FAILURES))
            rows += len(events)
    return {"file": FAILED, "rows": rows, "sha256": sha256_of(path)}


def _batched(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(itertools.islice(items, size)):
        yield batch


def _failure(event: dict[str, Any], recipe: BuildRecipe) -> dict[str, Any]:
    detail = json.loads(event["detail"])
    source, source_row = detail.pop("source"), detail.pop("source_row")
    told = {name: event[name] for name in ("id", "row", "reason", "field")}
    cause = json.dumps(detail, ensure_ascii=False, sort_keys=True)
    return told | {
        "source": recipe.sources[source].path,
        "source_row": source_row,
        "step": event["name"],
        "detail": cause,
    }


def step_versions() -> dict[str, str]:
    """The step_versions of the packages that the steps are made of, as far as they are installed."""
    return claims.versions(_PACKAGES)
