"""Whether a benchmark's files and pictures are there, and of which release they are.

Invariant: a release is told by the bytes of the files, never by their names; nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trifacet.base.digests import file_digest
from trifacet.base.embedded import plain_name
from trifacet.base.errors import DataError
from trifacet.base.images import image_facts, resolve_inside
from trifacet.benchmarks.benchmark import Benchmark, Item, Need
from trifacet.benchmarks.provenance import read_record

_State = Literal["known", "other", "unknown", "made", "own", "unread", "missing", "left out"]
Reasons = Mapping[str, Sequence[str]]  # why numbers are not official, by what their names begin with; "": all


@dataclass(frozen=True)
class FileFound:
    """A needed file as it was found. ``release`` is the one that its hash belongs to; empty where none is known for it.

    ``state``: of a known release; of another one than those that are known; of a file for which none is known; made by
    ``prepare``, with what keeps it from being the official one in ``problems``; the user's own choice; not read, since
    another file holds the same; missing; left out, which an optional file may be.
    """

    need: Need
    state: _State
    sha256: str = ""
    release: str = ""
    problems: tuple[str, ...] = ()


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
    return [_file(need, data) for need in benchmark.needs]


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


def why_not_official(found: Sequence[FileFound], items: Sequence[Item], answered: Sequence[Item]) -> Reasons:
    """A reason for each file that is not of a known release, and for items that were not answered.

    Args:
        found: the benchmark's files.
        items: all its questions.
        answered: those among them that have an answer.
    """
    reasons: dict[str, list[str]] = {"": []}
    parts = list(dict.fromkeys(one.need.part for one in found if one.state not in ("missing", "left out", "unread")))
    for one in found:
        reasons.setdefault(one.need.part, []).extend(_problems(one))
    for part in parts if any(parts) else [""]:
        of = sum(item.id.startswith(part) for item in items)
        count = sum(item.id.startswith(part) for item in answered)
        if count < of:
            among = f" of {part.removesuffix('/')}" if part else ""
            reasons[part].append(f"{count} of {of} items{among} were answered")
    return {part: told for part, told in reasons.items() if told or not part}


def _problems(one: FileFound) -> list[str]:
    if one.state == "other":
        return [f"{one.need.path} is of another release than {_releases(one.need)}"]
    if one.state == "unknown" and one.need.made:
        return [f"{one.need.path} has no record of what it was made of; make it with 'trifacet benchmarks prepare'"]
    if one.state == "unknown":
        return [f"no release of {one.need.path} is known, so it cannot be told whether it is the official one"]
    return [f"{one.need.path}: {problem}" for problem in one.problems]


def check_item_images(items: Iterable[Item], root: Path) -> ImagesFound:
    """Look at the header of every picture that ``items`` show."""
    names = list(dict.fromkeys(name for item in items for name in item.images))
    missing: list[str] = []
    unreadable: list[tuple[str, str]] = []
    for name in names:
        try:
            path = resolve_inside(root, name)
        except DataError:
            missing.append(plain_name(name))
            continue
        try:
            image_facts(path)
        except DataError as error:
            unreadable.append((plain_name(name), error.problem))
    return ImagesFound(len(names), missing, unreadable)


def _file(need: Need, data: Path) -> FileFound:
    path = data / need.path
    if not path.is_file():
        missing = need.required and not any((data / other).is_file() for other in need.instead)
        return FileFound(need, "missing" if missing else "left out")
    if any((data / other).is_file() for other in need.unread_beside):
        return FileFound(need, "unread")
    try:
        digest = file_digest(path)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", fix="give a readable file", file=path) from None
    if digest in need.known:
        return FileFound(need, "known", digest, need.known[digest])
    if need.made and (record := read_record(path, digest)) is not None:
        return FileFound(need, "made", digest, record.release, tuple(record.problems))
    if need.own:
        return FileFound(need, "own", digest)
    return FileFound(need, "other" if need.known else "unknown", digest)


def _releases(need: Need) -> str:
    return " and ".join(dict.fromkeys(need.known.values()))
