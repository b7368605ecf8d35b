"""From a recipe's section ``data`` to samples: the file of each split, read once in a run.

Invariant: training, scores, previews and reports read a split through here, so that all see the same samples; the
demo's own world and a user's files look the same from here on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from trifacet.base.digests import file_digest
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.images import resolve_inside
from trifacet.base.opening import is_file, is_folder
from trifacet.data.formats import iter_samples
from trifacet.data.hub import is_hub
from trifacet.data.records import Sample
from trifacet.data.rows import OnProblem
from trifacet.data.settings import Data, Split
from trifacet.data.words_read import RECORD, attached, is_unread, read_record

Value = TypeVar("Value")
_Parsed = tuple[list[tuple[int, Sample]], list[DataError], Counter[str]]


class FilesRead:
    """What a run has read of its files and need not read again: samples, digests of images.

    ``words`` is what stands in pictures, by their SHA-256, beyond what the run keeps of that.

    A file whose size or time of change is another since then is read anew.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[object, Any]] = {}
        self.words: dict[str, Any] = {}

    def once(self, file: Path, purpose: tuple[object, ...], read: Callable[[], Value]) -> Value:
        """What ``read`` makes of ``file`` for this ``purpose``; what it raises is not kept."""
        state = _state(file)
        key = (file.absolute(), *purpose)
        if key not in self._known or self._known[key][0] != state:
            self._known[key] = (state, read())
        value: Value = self._known[key][1]
        return value

    def digest(self, file: Path) -> str:
        """SHA-256 of a file's bytes."""
        return self.once(file, ("digest",), lambda: file_digest(file))


def _state(file: Path) -> object:
    """Size and time of change: of a folder of shards, those of each file."""
    parts = sorted(file.rglob("*")) if file.is_dir() else [file]
    return [(part, stat.st_size, stat.st_mtime_ns) for part in parts if part.exists() for stat in [part.stat()]]


@dataclass(frozen=True)
class Source:
    """A data file, its format, the records to make of it, the folder of its images, and the label before a post.

    ``skip``: rows that cannot be read are left out instead of ending the run. ``files``: what is read already.
    ``words``: the run's record of what stands in the pictures, which its samples get (None: they get nothing).
    """

    file: Path
    format: str
    kind: str
    images: Path
    label: str
    skip: bool = False
    files: FilesRead = field(default_factory=FilesRead, repr=False, compare=False)
    words: Path | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is such a file; a data set of the hub is taken to be there."""
        return is_hub(self.file) or self.file.exists()

    def read(self) -> list[Sample]:
        """All samples. Raises DataError for the first bad row, or with ``skip`` where none is good."""
        return [sample for _, sample in self.rows(lambda problem: None)]

    def rows(self, on_bad_row: OnProblem) -> list[tuple[int, Sample]]:
        """All samples with their row numbers; ``on_bad_row`` is told what ``skip`` leaves out. Raises as ``read``."""
        rows, problems, _ = self._once()
        for problem in problems:
            on_bad_row(problem)
        return self._with_words(rows) if self.words else list(rows)

    def lost(self) -> dict[str, int]:
        """What rows say and no sample holds, with the number of rows. Raises as ``read``."""
        return dict(self._once()[2].most_common())

    def _with_words(self, rows: list[tuple[int, Sample]]) -> list[tuple[int, Sample]]:
        """The rows with what is known of the pictures of those that do not say it themselves."""
        assert self.words is not None
        record = self.words
        known = self.files.once(record, ("words",), lambda: read_record(record)) | self.files.words
        if not known:
            return list(rows)

        def attach() -> list[tuple[int, Sample]]:
            names = {one.image for _, one in rows if is_unread(one) and one.image is not None}
            found = {name: known[digest] for name in names if (digest := self.digest_of(name)) in known}
            return list(zip((row for row, _ in rows), attached([one for _, one in rows], found), strict=True))

        state = (str(_state(record)), len(self.files.words))
        return list(self.files.once(self.file, (*self._purpose, "words", *state), attach))

    def digest_of(self, image: str) -> str | None:
        """SHA-256 of a picture's bytes, None where there is no such file."""
        try:
            return self.files.digest(resolve_inside(self.images, image))
        except (DataError, OSError):
            return None

    @property
    def _purpose(self) -> tuple[object, ...]:
        return self.format, self.kind, self.label, self.skip

    def _once(self) -> _Parsed:
        return self.files.once(self.file, self._purpose, self._parsed)

    def _parsed(self) -> _Parsed:
        problems: list[DataError] = []
        lost: Counter[str] = Counter()

        def on_problem(problem: DataError) -> None:
            if not self.skip or problem.row is None:  # without a row it is the file that is damaged
                raise problem
            problems.append(problem)

        rows = list(
            iter_samples(
                self.file,
                self.kind,
                self.format,
                label=self.label,
                on_problem=on_problem,
                on_lost=lambda row, what: lost.update((what,)),
            )
        )
        if not rows:
            raise DataError("has no rows that can be used", fix="give a file with at least one sample", file=self.file)
        return rows, problems, lost


def source_of(
    data: Data, run: Path, split: Split, kind: str | None = None, *, files: FilesRead | None = None
) -> Source:
    """The file of ``split`` (sft, preference, validation or test).

    Args:
        data: says where it is.
        run: the run's folder, which holds the demo's world.
        split: which one.
        kind: the records to make of it (None: the split's own).
        files: what the run has read already (None: nothing).

    Raises:
        TrifacetError: ``data`` names none, or it is not there.
    """
    kind, files = kind or ("test" if split == "validation" else split), files or FilesRead()
    words = run / RECORD if data.lettering == "prompt" else None
    if data.world is not None:
        folder = run / "data"
        return Source(folder / f"{split}.jsonl", "trifacet", kind, folder, data.context_label, files=files, words=words)
    name = getattr(data, split)
    if name is None:
        raise TrifacetError(f"the recipe has no data.{split}; set it to a file below data.root")
    root = Path(data.root)
    file = Path(name) if is_hub(Path(name)) else root / name
    if not (is_hub(file) or is_file(file) or is_folder(file)):
        raise TrifacetError(f"data.{split}: no file {file}; set data.root to the folder that holds {name}")
    images = data.images.get(split, "") if isinstance(data.images, dict) else data.images or ""
    return Source(file, data.format, kind, root / images, data.context_label, data.on_bad_row == "skip", files, words)


def has_split(data: Data, split: Split) -> bool:
    """Whether ``data`` says where ``split`` comes from."""
    return data.world is not None or getattr(data, split) is not None
