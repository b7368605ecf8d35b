"""The end of a build: Parquet shards of samples, their images, the side table of failures, the manifest.

Invariant: shards hold the rows in the build's order, in the columns of ``records.SCHEMAS``; the manifest holds nothing
that differs between two builds of the same recipe and sources.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trifacet.building.parts import Stage, events_of, sha256_of
from trifacet.building.plan import WRITE
from trifacet.building.progress import Progress
from trifacet.building.recipe import BuildRecipe
from trifacet.building.rows import Batch
from trifacet.building.step import Tools
from trifacet.building.workers import step_record
from trifacet.errors import DataError, TrifacetError
from trifacet.files import replacing, write_atomically
from trifacet.records import SCHEMAS

KINDS = ("sft", "preference", "test")
MANIFEST = "manifest.json"
FAILED = "failed.parquet"
GROUP_ROWS, GROUP_BYTES = 1000, 64_000_000  # a row group ends at either
PACKAGES = (
    *("trifacet", "numpy", "pyarrow", "pillow", "daft", "lingua-language-detector", "rensa", "scipy", "openai"),
    *("regex", "spacy", "transformers", "torch"),
)
_CURE = "put it back, or --overwrite to begin anew (answers that were paid for are kept)"
_HALF = ".*.????????.tmp"  # as ``files.replacing`` names what it has not finished
CARRIERS = {"daft", "openai"}  # hand parts and questions on; what comes of them does not depend on their versions
FAILURES = pa.schema(
    [(name, pa.string()) for name in ("id", "source", "reason", "step", "field", "detail")]
    + [("row", pa.int64()), ("source_row", pa.int64())]
)


def write_output(
    recipe: BuildRecipe,
    source: Stage,
    parts: Sequence[int],
    tools: Tools,
    read: dict[str, list[dict[str, Any]]],
    stages: list[Stage],
    progress: Progress,
) -> dict[str, Any]:
    """Write shards, images, ``failed.parquet`` and, last, ``manifest.json``; returns the manifest.

    ``read``: the sources' files as ``inputs``, and as ``outside`` what else steps read, for the manifest.
    """
    shutil.rmtree(stages[-1].folder, ignore_errors=True)
    for half in itertools.chain(recipe.folder.glob(_HALF), recipe.folder.glob(f"images/*/{_HALF}")):
        half.unlink()  # a kill left it
    written: dict[str, list[dict[str, Any]]] = {}
    writers = {kind: _Shards(recipe, kind) for kind in KINDS}
    index = len(recipe.steps) + 1
    progress.begin([index], "running", len(parts))
    for part in parts:
        batch = Batch(source.read("rows", part), index, WRITE)
        for post in batch.posts():
            if not post["alt"].strip() and kind_of(post.values) != "test":
                post.drop("no alt-text to learn from")
        table, events = batch.result()
        name, digest = stages[-1].write("events", part, events)
        told = step_record(index, len(batch), table, events, 0.0)
        stages[-1].add("parts", record := {"part": part, "files": {name: digest}, "steps": [told]})
        for row in table.to_pylist():
            writers[kind_of(row)].add(row, tools)
        progress.add(record)
    for kind, writer in writers.items():
        written[kind] = writer.close()
    progress.end([index])
    failed = _write_failed(recipe, stages)
    manifest = {
        "name": recipe.name,
        "recipe": recipe.model_dump(mode="json", exclude={"output", "answers", "budget", "network"})
        | {"network": recipe.network.decides()},
        "seed": recipe.seed,
        "versions": versions(),
        **read,
        "steps": [
            {"name": step.name, "rows_in": step.rows_in, "rows_out": step.rows_out, "counts": dict(step.counts)}
            for step in progress.steps
        ],
        "rows": {kind: sum(shard["rows"] for shard in shards) for kind, shards in written.items()},
        "failed": failed,
        "shards": [shard for shards in written.values() for shard in shards],
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True)
    write_atomically(recipe.folder / MANIFEST, text + "\n")
    return manifest


def finished(folder: Path) -> dict[str, Any] | None:
    """The manifest of a build that is finished and whole: every shard there, byte for byte; else None."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = [*manifest["shards"], manifest["failed"]]
        return manifest if all(sha256_of(folder / file["file"]) == file["sha256"] for file in files) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def kind_of(row: dict[str, Any]) -> str:
    """Which set a row belongs to: its split; without one, what has a rejected version is a preference."""
    rejected = any(row[f"rejected_{facet}"] for facet in ("images", "contexts", "responses"))
    return row["split"] or ("preference" if rejected else "sft")


class _Shards:
    """Writes the rows of one kind to one shard after another."""

    def __init__(self, recipe: BuildRecipe, kind: str) -> None:
        self.folder, self.kind, self.settings = recipe.folder, kind, recipe.write
        self.embedded = self.settings.images == "embedded"
        self.schema = SCHEMAS[kind]
        if self.embedded:
            self.schema = self.schema.append(pa.field("image_bytes", pa.binary()))
        shutil.rmtree(self.folder / kind, ignore_errors=True)
        self.shards: list[dict[str, Any]] = []
        self._rows: list[dict[str, Any]] = []
        self._bytes = self._in_shard = 0
        self._open: tuple[Any, Path, pq.ParquetWriter] | None = None

    def add(self, row: dict[str, Any], tools: Tools) -> None:
        """Take one more row."""
        sample = _sample(self.kind, row, self._placed(row, tools))
        if self.embedded and sample["image"] is not None:
            sample["image_bytes"] = tools.path(row["file"]).read_bytes()
            self._bytes += len(sample["image_bytes"])
        self._rows.append(sample)
        full = self._in_shard + len(self._rows) >= self.settings.shard_rows
        if full or len(self._rows) >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._flush()
        if full:
            self._end()

    def close(self) -> list[dict[str, Any]]:
        """Finish; returns file, rows and hash of each shard. A kind without rows has none."""
        self._flush()
        self._end()
        return self.shards

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._open is None:
            path = self.folder / self.kind / f"{self.kind}-{len(self.shards):05d}.parquet"
            temporary = replacing(path)
            place = temporary.__enter__()
            self._open = (temporary, path, pq.ParquetWriter(place, self.schema, compression="zstd"))
        self._open[2].write_table(pa.Table.from_pylist(self._rows, schema=self.schema))
        self._in_shard += len(self._rows)
        self._rows, self._bytes = [], 0

    def _end(self) -> None:
        if self._open is None:
            return
        temporary, path, writer = self._open
        writer.close()
        temporary.__exit__(None, None, None)
        name = path.relative_to(self.folder).as_posix()
        self.shards.append({"file": name, "rows": self._in_shard, "sha256": sha256_of(path)})
        self._open, self._in_shard = None, 0

    def _placed(self, row: dict[str, Any], tools: Tools) -> dict[str, str]:
        """Names in the output of the row's images, by "ROOT:path"; linked or copied there by their content."""
        names: dict[str, str] = {}
        known = {row["file"]: row["sha256"]} if row["file"] else {}
        for file in [*known, *(row["more_files"] or ()), *(row["rejected_images"] or ())]:
            path = _still_there(file, tools)
            digest = sha256_of(path) or ""
            if known.get(file) not in (None, digest):
                raise TrifacetError(f"{path} is another image than when the build read it; {_CURE}")
            ending = path.suffix.lower() if len(path.suffix) <= 5 else ""
            names[file] = name = f"images/{digest[:2]}/{digest}{ending}"
            if not self.embedded or file != row["file"]:
                _link(path, self.folder / name)
        return names


def _sample(kind: str, row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The row as a sample of its kind, its images by the output's names, or the source's where no step opened them."""
    sample = {
        "id": row["id"],
        "image": names[row["file"]] if row["file"] else row["image"],
        "more_images": [names[file] for file in row["more_files"]] if row["more_files"] else row["more_images"],
        "context": row["context"],
        "prompt": row["prompt"],
        "extra": row["extra"],
    }
    if kind == "test":
        return sample | {"references": [row["alt"]] if row["alt"].strip() else []}
    sample["response"] = row["alt"]
    if kind == "preference":
        sample |= {name: row[name] for name in ("rejected_contexts", "rejected_responses")}
        sample["rejected_images"] = [names[file] for file in row["rejected_images"] or ()]
    return sample


def _still_there(file: str, tools: Tools) -> Path:
    try:
        return tools.path(file)
    except DataError as problem:
        raise TrifacetError(f"an image that the build has read is gone ({problem.problem}); {_CURE}") from None


def _link(path: Path, target: Path) -> None:
    """The file under another name, without using room where the disk allows; not through links that a user set."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        try:
            os.link(path.resolve(), temporary)
        except OSError:  # another disk, or one that has no links
            shutil.copyfile(path, temporary)


def _write_failed(recipe: BuildRecipe, stages: list[Stage]) -> dict[str, Any]:
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


def versions() -> dict[str, str]:
    """The versions of the packages that the steps are made of, as far as they are installed."""
    return {name: found for name in PACKAGES if (found := _version(name))}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
