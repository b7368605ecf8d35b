"""Whether a benchmark's files and pictures are there, and of which release they are.

Invariant: a release is told by the bytes of the files, never by their names; nothing is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trifacet.errors import DataError
from trifacet.evaluation.benchmarks.benchmark import Benchmark, Item, Need
from trifacet.images import image_facts, resolve_inside

State = Literal["known", "other", "unknown", "missing", "left out"]


@dataclass(frozen=True)
class FileFound:
    """A needed file as it was found. ``release`` is the one that its hash belongs to; empty where none is known for it.

    ``state``: of a known release; of another one than those that are known; of a file for which none is known; missing;
    left out, which an optional file may be.
    """

    need: Need
    state: State
    sha256: str = ""
    release: str = ""


@dataclass(frozen=True)
class ImagesFound:
    """How many pictures the questions show, and which of them are missing or can't be read (with the reason)."""

    wanted: int
    missing: Sequence[str]
    unreadable: Sequence[tuple[str, str]]

    @property
    def usable(self) -> int:
        """Pictures that are there and whose header can be read."""
        return self.wanted - len(self.missing) - len(self.unreadable)


def check_files(benchmark: Benchmark, data: Path) -> list[FileFound]:
    """Every needed file, in the benchmark's order."""
    return [_file(need, data / need.path) for need in benchmark.needs]


def require_files(benchmark: Benchmark, data: Path) -> list[FileFound]:
    """The same, where all that is required has to be there.

    Raises:
        DataError: naming the first file that is missing and where it comes from.
    """
    found = check_files(benchmark, data)
    for one in found:
        if one.state == "missing":
            source = f"get it from {one.need.source}" if one.need.source else "put it there"
            raise DataError("no such file", fix=f"{source} ({one.need.what})", file=data / one.need.path)
    return found


def why_not_official(found: Iterable[FileFound]) -> list[str]:
    """A reason for each file that is not of a known release."""
    reasons = []
    for one in found:
        if one.state == "other":
            reasons.append(f"{one.need.path} is of another release than {_releases(one.need)}")
        elif one.state == "unknown":
            reasons.append(
                f"no release of {one.need.path} is known, so it cannot be told whether it is the official one"
            )
    return reasons


def check_images(items: Iterable[Item], root: Path) -> ImagesFound:
    """Look at the header of every picture that ``items`` show."""
    names = list(dict.fromkeys(item.image for item in items if item.image is not None))
    missing: list[str] = []
    unreadable: list[tuple[str, str]] = []
    for name in names:
        try:
            path = resolve_inside(root, name)
        except DataError:
            missing.append(name)
            continue
        try:
            image_facts(path)
        except DataError as error:
            unreadable.append((name, error.problem))
    return ImagesFound(len(names), missing, unreadable)


def _file(need: Need, path: Path) -> FileFound:
    if not path.is_file():
        return FileFound(need, "missing" if need.required else "left out")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", fix="give a readable file", file=path) from None
    if digest in need.known:
        return FileFound(need, "known", digest, need.known[digest])
    return FileFound(need, "other" if need.known else "unknown", digest)


def _releases(need: Need) -> str:
    return " and ".join(dict.fromkeys(need.known.values()))
