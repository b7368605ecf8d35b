"""Zip archives with some members replaced: EPUB, Word and PowerPoint.

Invariant: but for the content, sizes and checksum of those members, and the offsets behind them, every byte stays: the
order, time stamps, extra fields, comments, and the compressed bytes of all others, which are never unpacked. Nothing is
written to a disk by a member's name.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from trifacet.base.errors import DataError

MAX_ARCHIVE = 512_000_000  # bytes
MAX_MEMBERS = 50_000
MAX_MEMBER = 64_000_000  # bytes of a member that is read
MAX_READ = 512_000_000  # of all that are read
MAX_RATIO, _SMALL = 300, 1_000_000  # how often its size a member of more than so many bytes may have
_LOCAL, _CENTRAL, _END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_STREAMED = 8  # flag: sizes and checksum stand behind the data
_ZIP64 = 0xFFFFFFFF


@dataclass
class _Entry:
    """A member: where its parts are in the archive, and what the central directory says of it."""

    central: int
    local: int
    data: int
    size: int
    end: int
    info: zipfile.ZipInfo


class Archive:
    """A zip archive in memory.

    Args:
        data: its bytes.
        path: its name, for errors.

    Raises:
        DataError: it is damaged or truncated, larger than ZIP's first version can be, or holds names that leave the
            archive, links, or two members of one name.
    """

    def __init__(self, data: bytes, path: str) -> None:
        self.bytes, self.path, self._read = data, path, 0
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            self.entries = self._entries()
        except (
            zipfile.BadZipFile,
            struct.error,
            UnicodeDecodeError,
            NotImplementedError,
            ValueError,
            OSError,
        ) as error:
            raise self._error(f"is no sound zip archive ({error})", "make it anew") from None

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    @property
    def names(self) -> list[str]:
        """The members in the order of the directory."""
        return list(self.entries)

    def read(self, name: str) -> bytes:
        """A member's content.

        Raises:
            DataError: it is encrypted, damaged, packed in a way that is not known, or swells beyond the bounds.
        """
        info = self.entries[name].info
        if info.flag_bits & 1:
            raise self._error(f"its member {name!r} is encrypted", "unlock it first")
        try:
            with self._zip.open(info) as file:
                data = file.read(MAX_MEMBER + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise self._error(f"its member {name!r} can't be unpacked ({error})", "make it anew") from None
        self._read += len(data)
        swollen = len(data) > max(_SMALL, MAX_RATIO * info.compress_size)
        if len(data) > MAX_MEMBER or self._read > MAX_READ or swollen:
            raise self._error(f"its member {name!r} swells beyond what is read", "make it anew, with less in it")
        return data

    def replaced(self, contents: Mapping[str, bytes]) -> bytes:
        """The archive with other contents of some members. Raises DataError where one can't be replaced."""
        parts, at, shifts = [], 0, list[tuple[int, int]]()
        central = bytearray(self.bytes[self._zip.start_dir :])
        changed = [self.entries[name] for name in contents]
        for entry in sorted(changed, key=lambda entry: entry.local):
            content = contents[entry.info.filename]
            packed = self._packed(entry, content)
            numbers = struct.pack("<LLL", zlib.crc32(content), len(packed), len(content))
            header = bytearray(self.bytes[entry.local : entry.data])
            if not entry.info.flag_bits & _STREAMED or header[14:26] != bytes(12):
                header[14:26] = numbers
            behind = self.bytes[entry.data + entry.size : entry.end]
            if entry.info.flag_bits & _STREAMED:
                behind = behind[:-12] + numbers
            parts += [self.bytes[at : entry.local], bytes(header), packed, behind]
            at = entry.end
            shifts.append((entry.local, len(packed) - entry.size))
            place = entry.central - self._zip.start_dir
            central[place + 16 : place + 28] = numbers
        parts.append(self.bytes[at : self._zip.start_dir])
        for entry in self.entries.values():
            moved = entry.local + sum(shift for start, shift in shifts if start < entry.local)
            struct.pack_into("<L", central, entry.central - self._zip.start_dir + 42, moved)
        start = self._zip.start_dir + sum(shift for _, shift in shifts)
        struct.pack_into("<L", central, self._end - self._zip.start_dir + 16, start)
        return b"".join(parts) + bytes(central)

    def _packed(self, entry: _Entry, content: bytes) -> bytes:
        """The content packed as the old one was: by the level that gives the old bytes from the old content, if any."""
        if entry.info.compress_type == zipfile.ZIP_STORED:
            return content
        if entry.info.compress_type != zipfile.ZIP_DEFLATED:
            raise self._error(f"its member {entry.info.filename!r} is packed in a way that isn't written", "repack it")
        old, packed = self.read(entry.info.filename), self.bytes[entry.data : entry.data + entry.size]
        level = next((level for level in (6, 9, 1, 5, 8, 7, 4, 3, 2) if _deflated(old, level) == packed), 6)
        return _deflated(content, level)

    def _entries(self) -> dict[str, _Entry]:
        infos = self._zip.infolist()
        if len(infos) > MAX_MEMBERS:
            raise self._error(f"holds more than {MAX_MEMBERS} members", "split it")
        self._end = self.bytes.rindex(_END, max(len(self.bytes) - 65_557, 0))
        _, _, number, size, start = struct.unpack_from("<HHxxHLL", self.bytes, self._end + 4)
        if number != len(infos) or start != self._zip.start_dir or start + size != self._end:
            raise self._error("is ZIP64, or has bytes before its first member", "make it anew, without")
        entries: dict[str, _Entry] = {}
        at = start
        for info in infos:
            if info.orig_filename in entries or info.filename in entries:
                raise self._error(f"holds {info.filename!r} twice", "make it anew")
            if not self.bytes.startswith(_CENTRAL, at) or _ZIP64 in (info.header_offset, info.compress_size):
                raise self._error("has a damaged directory", "make it anew")
            self._refuse_hostile(info)
            entries[info.filename] = self._entry(at, info)
            at += 46 + sum(struct.unpack_from("<HHH", self.bytes, at + 28))
        self._refuse_overlap(entries)
        return entries

    def _entry(self, central: int, info: zipfile.ZipInfo) -> _Entry:
        local = info.header_offset
        if not self.bytes.startswith(_LOCAL, local):
            raise self._error(f"its member {info.filename!r} is not where the directory says", "make it anew")
        data = local + 30 + sum(struct.unpack_from("<HH", self.bytes, local + 26))
        end = data + info.compress_size
        if info.flag_bits & _STREAMED:
            numbers = struct.pack("<LLL", info.CRC, info.compress_size, info.file_size)
            found = self.bytes.find(numbers, end, end + 16)
            if found not in (end, end + 4):
                raise self._error(f"its member {info.filename!r} has sizes that differ", "make it anew")
            end = found + 12
        return _Entry(central, local, data, info.compress_size, end, info)

    def _refuse_hostile(self, info: zipfile.ZipInfo) -> None:
        name = info.orig_filename
        if name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/") or name[1:2] == ":":
            raise self._error(f"its member {name!r} would lie outside it", "make it anew")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise self._error(f"its member {name!r} is a link", "put the file itself into it")

    def _refuse_overlap(self, entries: Mapping[str, _Entry]) -> None:
        at = 0
        for entry in sorted(entries.values(), key=lambda entry: entry.local):
            if entry.local < at:
                raise self._error(f"its member {entry.info.filename!r} overlaps another", "make it anew")
            at = entry.end
        if at > self._zip.start_dir:
            raise self._error("its last member overlaps the directory", "make it anew")

    def _error(self, problem: str, fix: str) -> DataError:
        return DataError(problem, fix=fix, file=self.path)


def _deflated(data: bytes, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()
