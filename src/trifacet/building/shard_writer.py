"""Writing the rows of one set to Parquet shards, and their images beside them.

Invariant: an image has the name of its content; what a shard holds depends on the rows and the recipe alone.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trifacet.base.digests import sha256_of
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import replacing
from trifacet.building.recipe import BuildRecipe
from trifacet.building.step import Tools
from trifacet.data.records import SCHEMAS
from trifacet.data.shards import EMBEDDED

GROUP_ROWS, GROUP_BYTES = 1000, 64_000_000  # a row group ends at either
_CURE = "put it back, or --overwrite to begin anew (answers that were paid for are kept)"


class ShardWriter:
    """Writes the rows of one kind to one shard after another.

    Args:
        recipe: the build's.
        kind: "sft", "preference" or "test".
    """

    def __init__(self, recipe: BuildRecipe, kind: str) -> None:
        self.folder, self.kind, self.settings = recipe.folder, kind, recipe.write
        self.embedded = self.settings.images == "embedded"
        self.schema = SCHEMAS[kind]
        if self.embedded:
            self.schema = self.schema.append(pa.field(EMBEDDED, pa.binary()))
        shutil.rmtree(self.folder / kind, ignore_errors=True)
        self.shards: list[dict[str, Any]] = []
        self._rows: list[dict[str, Any]] = []
        self._bytes = self._in_shard = 0
        self._open: tuple[Any, Path, pq.ParquetWriter] | None = None

    def add(self, row: dict[str, Any], tools: Tools, kept: Mapping[str, str]) -> None:
        """Take one more row; ``kept`` has the SHA-256 of the pictures that steps made or fetched, by "ROOT:path"."""
        row["extra"] = _kept(row["extra"], self.settings.extra)
        sample = _sample(self.kind, row, self._placed(row, tools, kept))
        if self.embedded and sample["image"] is not None:
            sample[EMBEDDED] = tools.path(row["file"]).read_bytes()
            self._bytes += len(sample[EMBEDDED])
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

    def _placed(self, row: dict[str, Any], tools: Tools, kept: Mapping[str, str]) -> dict[str, str]:
        """Names in the output of the row's images, by "ROOT:path"; linked or copied there by their content."""
        names: dict[str, str] = {}
        known = {row["file"]: row["sha256"]} if row["file"] else {}
        for file in [*known, *(row["more_files"] or ()), *(row["rejected_images"] or ())]:
            path = _still_there(file, tools)
            digest = sha256_of(path) or ""
            if kept.get(file, digest) != digest:
                raise TrifacetError(f"{path} is not as it was written; delete it, and the same command makes it again")
            if (known.get(file) or digest) != digest:
                raise TrifacetError(f"{path} is another image than when the build read it; {_CURE}")
            ending = path.suffix.lower() if len(path.suffix) <= 5 else ""
            names[file] = name = f"images/{digest[:2]}/{digest}{ending}"
            if not self.embedded or file != row["file"]:
                _link(path, self.folder / name, digest)
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


def _kept(extra: str | None, names: list[str] | None) -> str | None:
    """Of a row's other fields (JSON) those that the recipe lets through; None lets all."""
    if extra is None or names is None:
        return extra
    fields = {name: value for name, value in json.loads(extra).items() if name in names}
    return json.dumps(fields, ensure_ascii=False) if fields else None


def _link(path: Path, target: Path, digest: str) -> None:
    """The file under another name, without using room where the disk allows; not through links that a user set."""
    if target.exists() and (target.samefile(path) or sha256_of(target) == digest):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    linked = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        os.link(path.resolve(), linked)
    except OSError:  # another disk, or one that has no links
        with replacing(target) as temporary:
            shutil.copyfile(path, temporary)
    else:
        linked.replace(target)
        linked.unlink(missing_ok=True)  # a rename onto another name of the same file does nothing
