"""Who owns an output folder: it is marked, belongs to one piece of work, and to one process at a time.

A mark is a JSON file. Its name says what kind of thing the folder holds, its facts what that was made of, by which
version, how long it took, and the seals of the files that are kept. Invariants: what was not written by such a command
is never touched; nothing is continued with other settings than it was begun with; a kill while a folder is cleared
leaves one that says it is being cleared, and whoever claims it next ends that.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, NamedTuple

from trifacet.base import seals, system
from trifacet.base.errors import DataError, TrifacetError, cure_of, disk_is_full
from trifacet.base.files import write_atomically

CURE = "choose another output, or --overwrite to begin anew"
CLEARING = "clearing"  # the fact that a mark has while its folder is cleared
_LOCK = ".lock"
_HALF = ".*.????????.tmp"  # as ``files.replacing`` names what it has not finished
_CLEARED = ".{}.{}.cleared"  # a folder on its way out


@contextlib.contextmanager
def claimed(folder: Path, mark: str) -> Iterator[Claim]:
    """``folder``, made if need be, for this process alone; ``mark`` is the file that tells such a folder from others.

    Raises:
        TrifacetError: it holds files but no ``mark``, or another process works in it; and later, when the disk is full
            or the folder was removed.
    """
    try:
        _refuse_foreign(folder, mark)
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("w")
        system.after_fork(lock.close)  # else the workers of a killed process would keep its folder
    except OSError as error:
        cure = cure_of(error, "choose another output")
        raise TrifacetError(f"cannot write to {folder}: {error.strerror}; {cure}") from None
    with lock:
        try:
            system.lock(lock)
        except OSError:
            raise TrifacetError(
                f"another process is running in {folder}; wait for it or choose another output"
            ) from None
        _refuse_foreign(folder, mark)  # again: another kind of work may have had the lock in between
        for torn in folder.glob(f".{mark}.*.tmp"):  # of a process that was killed
            torn.unlink(missing_ok=True)
        try:
            yield Claim(folder, mark, lock)
        except Exception as error:
            _refuse_removed(folder, lock)
            if not isinstance(error, TrifacetError) and disk_is_full(error):
                raise TrifacetError(
                    f"the disk of {folder} is full; free some space, then the same command continues from what is "
                    "finished"
                ) from None
            raise


class Claim:
    """What a folder's mark says, and the ways in which that may change.

    Args:
        folder: the folder, which the caller has claimed, or in which it owns a file that the mark stands beside.
        mark: the mark's name.
        lock: the file by which the folder is claimed, if it is.
    """

    def __init__(self, folder: Path, mark: str, lock: IO[str] | None = None) -> None:
        self.folder, self.path, self._lock = folder, folder / mark, lock
        self.facts: dict[str, Any] = {}

    def clear(self, written: Iterable[Path], *, asked: bool) -> None:
        """Remove what was written, if that is asked for, or was begun and did not come to its end.

        The mark stays, as that of a folder that is being cleared, until the next work begins. ``written`` starts with
        what says that something is finished.

        Raises:
            TrifacetError: something cannot be removed.
        """
        facts = self._read()
        if not asked and CLEARING not in facts:
            return
        there = [path for path in written if os.path.lexists(path)]
        there += self.folder.glob(_CLEARED.format("*", "?" * 8))
        if there or self.path.exists():
            self.begin(facts | {"finished": None, CLEARING: True})
        for path in there:
            try:
                _remove(path)
            except OSError as error:  # what stays would pass for the new work's
                raise TrifacetError(
                    f"cannot remove {path}: {error.strerror or error}; remove it, or choose another output"
                ) from None

    def held(self, **shape: type) -> dict[str, Any] | None:
        """The facts of what may go on; None where nothing was begun, or all was cleared.

        Args:
            shape: facts that must be there, with their types.

        Raises:
            TrifacetError: the mark is damaged.
        """
        if not self.path.exists():
            return None
        facts = self._read()
        if CLEARING in facts:
            return None
        if not facts or not all(isinstance(facts.get(name), kind) for name, kind in shape.items()):
            raise self.damaged()
        self.facts = facts
        return facts

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Mark the folder; on disk when this returns."""
        self.facts = dict(facts)
        self._write()

    def set(self, name: str, value: Any) -> None:
        """Note a fact; on disk when this returns."""
        self.facts[name] = value
        self._write()

    def took(self, stage: str, seconds: float, kind: str = "seconds") -> None:
        """Add seconds to those that a stage took in other sittings, among the facts called ``kind``."""
        known = self.facts.get(kind, {})
        self.set(kind, known | {stage: round(known.get(stage, 0.0) + seconds, 2)})

    @contextlib.contextmanager
    def timed(self, stage: str, kind: str = "seconds") -> Iterator[None]:
        """Add the seconds that the block takes, also when it ends early."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.took(stage, time.monotonic() - began, kind)

    def finish(self) -> None:
        """Note that all is done, and when."""
        self.set("finished", moment())

    def damaged(self) -> TrifacetError:
        """The error to end with where the mark cannot be used."""
        return TrifacetError(f"{self.path} is damaged; {CURE}")

    def seal(self, *paths: Path) -> None:
        """Note the seals of files, and of a folder's files that have none yet; what is not there has none."""
        noted = {name: seal for name, seal in self.sealed.items() if (self.folder / name).exists()}
        for path in paths:
            within = {path.name: path} if path.is_file() else seals.files_of(path)
            for file in within.values():
                name = file.relative_to(self.folder).as_posix()
                if path.is_file() or name not in noted:
                    noted[name] = seals.seal_of(file)
        if noted != self.sealed:
            self.set("sealed", noted)

    @property
    def sealed(self) -> dict[str, seals.Seal]:
        """The seals that are noted, by the files' names in the folder."""
        noted = self.facts.get("sealed")
        return noted if isinstance(noted, dict) else {}

    def _write(self) -> None:
        if self._lock is not None:
            _refuse_removed(self.folder, self._lock)
        write_atomically(self.path, json.dumps(seals.sealed(self.facts), indent=2, ensure_ascii=False) + "\n")

    def _read(self) -> dict[str, Any]:
        """The facts; none where the mark is missing or damaged."""
        try:
            return seals.read_document(self.path, CURE)
        except DataError:
            return {}


class Difference(NamedTuple):
    """Two values of one setting: ``key`` is the fingerprint's, ``path`` leads on to what differs within it."""

    key: str
    path: str
    there: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.path} {_short(self.there)} there, {_short(self.now)} now"


def differences(there: Mapping[str, Any], now: Mapping[str, Any], joint: str = " ") -> list[Difference]:
    """Where two fingerprints differ, in the order of ``now``; ``joint`` stands between the keys of a path."""
    found = []
    for key in [*now, *(key for key in there if key not in now)]:
        one, other = _keyed(there.get(key)), _keyed(now.get(key))
        if one != other:
            within = differences(one, other, joint) if isinstance(one, dict) and isinstance(other, dict) else []
            deeper = [Difference(key, f"{key}{joint}{below.path}", below.there, below.now) for below in within]
            found += deeper or [Difference(key, key, one, other)]
    return found


def refused(holds: str) -> TrifacetError:
    """The error for a folder that belongs to other work; ``holds`` says which, and what differs."""
    return TrifacetError(f"{holds}; {CURE} (the same settings go on)")


def told(changed: Sequence[Difference]) -> str:
    """The first differences, with both values."""
    rest = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return ", ".join(map(str, changed[:3])) + rest


def seal_again(mark: Path, *files: Path) -> None:
    """Note the seals of files that were written beside the work that ``mark`` tells of, if it has such at all."""
    claim = Claim(mark.parent, mark.name)
    if claim.held() and claim.sealed:
        claim.seal(*files)


def remove_torn(folder: Path, *places: str) -> None:
    """Remove what a kill left half written in ``folder`` and in the folders that ``places`` match, such as "*/"."""
    for place in ("", *places):
        for torn in folder.glob(f"{place}{_HALF}"):
            torn.unlink(missing_ok=True)


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def moment() -> str:
    """The time, to the second, as marks tell it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _remove(path: Path) -> None:
    """Remove a file, or a folder: out of sight at once, so that a kill leaves no half of it under its name."""
    if path.is_symlink() and path.is_dir():
        raise OSError("it is a link to a folder")
    if path.is_dir():
        shutil.rmtree(path.rename(path.with_name(_CLEARED.format(path.name, secrets.token_hex(4)))))
    else:
        path.unlink(missing_ok=True)


def _keyed(value: Any) -> Any:
    """A list of mappings as a mapping, by number; all else as it is."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return {str(number): one for number, one in enumerate(value, start=1)}
    return value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:16]}...{text[-20:]}"


def _refuse_foreign(folder: Path, mark: str) -> None:
    if not folder.is_dir() or (folder / mark).exists():
        return
    temporary = (_LOCK, f".{mark}.")  # what is left of a process that was killed as it began
    others = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(temporary))
    if others:
        raise TrifacetError(f"{folder} is not empty and holds no {mark} ({others[0]} ...); choose another output")


def _refuse_removed(folder: Path, lock: IO[str]) -> None:
    if not os.fstat(lock.fileno()).st_nlink:
        raise TrifacetError(f"{folder} was removed while the command ran; remove what is left of it to begin anew")
