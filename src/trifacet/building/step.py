"""What a step of a build is: its name, its parameters, and one function over batches of rows.

Invariant: what a step decides about a row depends on the row, the parameters, the seed and, for steps that look at
all rows, on all rows; never on where or in which order batches are handled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from trifacet.base.images import MAX_PIXELS, load_image, resolve_inside
from trifacet.building.rows import Post, RowBatch
from trifacet.settings.section import Section

if TYPE_CHECKING:
    from trifacet.llm.model import LanguageModel

READ, WRITE = "read", "write"  # the first stage and the last, beside the recipe's
DOWNLOADED, MADE = "downloaded", "made"  # roots of the build's own images, beside the sources' ("0", "1", ...)


@dataclass(frozen=True)
class Tools:
    """What a step may use besides its rows; it travels to worker processes and machines.

    ``roots`` maps a root's name to its folder: "0", "1", ... are the image folders of the recipe's sources,
    ``DOWNLOADED`` and ``MADE`` lie in the build's output. ``workers`` is how many processes work at the same time:
    limits that hold for the whole build (requests per host) are divided by it.
    """

    seed: int
    folder: Path
    roots: dict[str, Path]
    workers: int = 1
    max_pixels: int = MAX_PIXELS
    network: Any = None  # the recipe's ``network`` section

    def path(self, file: str) -> Path:
        """The file that "ROOT:path" names; raises DataError where it leaves its root or does not exist."""
        root, _, name = file.partition(":")
        return resolve_inside(self.roots[root], name)

    def image(self, file: str) -> Image.Image:
        """The picture of "ROOT:path": RGB, upright, decoded. Raises DataError as ``images.load_image`` does."""
        root, _, name = file.partition(":")
        return load_image(self.roots[root], name, max_pixels=self.max_pixels, allow_animated=True)


@dataclass(frozen=True)
class _Step:
    """``needs`` and ``gives`` are facts about rows, such as "files" or "split": what is needed must have been given.

    ``outside``: versions of what the step reads besides rows and parameters (prompts, lists, models), by what it is.
    ``packages`` of an extra that it always needs, as they are imported: looked for before the first row is read.
    """

    name: str
    parameters: type[Section]


@dataclass(frozen=True)
class MapStep(_Step):
    """A step that looks at each row by itself. Runs in worker processes, over one part at a time."""

    apply: Callable[[RowBatch, Any, Tools], None]
    needs: Callable[[Any], frozenset[str]] = field(default=lambda parameters: frozenset())
    gives: frozenset[str] = frozenset()
    outside: Callable[[Any], dict[str, str]] = field(default=lambda parameters: {})
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class GlobalStep(_Step):
    """A step that has to look at all rows: it signs each row, decides over the signatures, then applies.

    sign: (rows of a part, parameters, tools) -> table with a column ``row`` and whatever ``decide`` needs; in workers.
    decide: (signatures, parameters, tools) -> table, or batches in turn, with a column ``row``, sorted and unique, for
        the rows that something was decided about, and whatever ``apply`` needs; once, on the head. Its memory may grow
        by a few bytes a row, not by rows.
    apply: (batch, decisions about rows of this batch, parameters, tools); in workers.
    """

    sign: Callable[[pa.Table, Any, Tools], pa.Table]
    decide: Callable[[Signatures, Any, Tools], pa.Table | pa.RecordBatchReader]
    apply: Callable[[RowBatch, pa.Table, Any, Tools], None]
    needs: Callable[[Any], frozenset[str]] = field(default=lambda parameters: frozenset())
    gives: frozenset[str] = frozenset()
    outside: Callable[[Any], dict[str, str]] = field(default=lambda parameters: {})
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class AskStep(_Step):
    """A step that asks a language model about each row; rows are asked about at the same time, on the head.

    ask: (post, parameters, the model, tools); ``estimate`` lists the calls that a row will probably cost.
    ``parameters`` has a key ``model``, the name of one of the recipe's models, or None for the only one.
    """

    ask: Callable[[Post, Any, LanguageModel, Tools], Awaitable[None]]
    needs: Callable[[Any], frozenset[str]] = field(default=lambda parameters: frozenset())
    gives: frozenset[str] = frozenset()
    outside: Callable[[Any], dict[str, str]] = field(default=lambda parameters: {})
    packages: tuple[str, ...] = ()


Step = MapStep | GlobalStep | AskStep


@dataclass(frozen=True)
class Signatures:
    """The signatures of all rows that reached a global step, part by part in the rows' order; read from disk."""

    files: tuple[Path, ...]  # one Parquet file a part

    def parts(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The tables that ``sign`` returned, with these columns only."""
        import pyarrow.parquet as pq

        for file in self.files:
            yield pq.read_table(file, columns=columns)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column of all parts: keep it narrow."""
        chunks = [chunk for table in self.parts([name]) for chunk in table.column(name).chunks]
        return pa.chunked_array(chunks) if chunks else pa.chunked_array([[]], pa.int64())
