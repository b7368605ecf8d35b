"""How many bytes change outside the alt-texts of real files: ``python bench/packed_bytes.py FOLDER...``.

Every picture of every Word, PowerPoint, EPUB, feed and export file below the folders gets a text. Members of archives
without one must keep their bytes with their headers, in their order; of all others, what stands between the new texts
(with the attribute or element, where a picture had none) must be the old bytes. Then each file goes through
``patching`` in a folder of its own: applied, and given back by ``undo``. The files themselves are not written.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

from trifacet.base.errors import DataError
from trifacet.describing.formats import START, format_of
from trifacet.describing.patching import apply, undo
from trifacet.describing.place import Edit, Format

FORMATS = ("word", "slides", "epub", "feed", "wordpress", "mastodon", "bluesky")
MARK = re.compile(rb"A dog number \d+ runs")
ATTRIBUTE = re.compile(rb"\s(?:descr|alt|\"alt\"|\"name\")\s*[=:]\s*(?:\"|&quot;|&#34;|')?$")
ELEMENT = re.compile(rb"(?:<!\[CDATA\[|<[\w:]+>|\s|_wp_attachment_image_alt|\]\]>|</[\w:]+>)*$")


def outside(before: bytes, after: bytes) -> int:
    """Bytes of ``after`` that are neither new texts nor the old bytes in their order."""
    pieces, at, wrong = MARK.split(after), 0, 0
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        if not before.startswith(piece, at):
            bare = next((piece[: found.start()] for how in (ATTRIBUTE, ELEMENT) if (found := how.search(piece))), piece)
            if not before.startswith(bare, at):
                return len(after)
            at += len(bare)
        else:
            at += len(piece)
        if not last:
            at, pieces[number + 1] = behind(before, at, pieces[number + 1])
    return wrong + (len(before) - at)


def behind(before: bytes, at: int, piece: bytes) -> tuple[int, bytes]:
    """Where the old text ends, and the next piece without what closes a new attribute or element."""
    if (end := before.find(piece[:20], at, at + 10_000)) >= 0 and b"<" not in before[at:end].replace(b"<![CDATA[", b""):
        return end, piece
    for closing in re.finditer(rb"\"|&quot;|&#34;|\]\]>|</[\w:]+>|\s", piece[:400]):
        if before.startswith(piece[closing.end() : closing.end() + 20], at):
            return at, piece[closing.end() :]
    return at, piece


def measured(format: Format, before: bytes, after: bytes) -> int:
    """The same for a document of any kind."""
    if not before.startswith(b"PK"):
        return outside(before, after)
    (old, first), (new, second) = members(before), members(after)
    if list(old) != list(new):
        return len(after)
    changed = [name for name in old if old[name] != new[name]]
    return (
        sum(outside(first.read(name), second.read(name)) for name in changed)
        + len(tail(first, before))
        - len(tail(second, after))
    )


def members(data: bytes) -> tuple[dict[str, bytes], zipfile.ZipFile]:
    archive = zipfile.ZipFile(io.BytesIO(data))
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    ends = [*(info.header_offset for info in infos[1:]), archive.start_dir]
    return {info.filename: data[info.header_offset : end] for info, end in zip(infos, ends, strict=True)}, archive


def tail(archive: zipfile.ZipFile, data: bytes) -> bytes:
    return data[archive.start_dir :]


def restored(name: str, before: bytes, format: Format, edits: dict[str, Edit]) -> bool:
    """Whether ``apply`` and ``undo`` give back the bytes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, name)
        file.write_bytes(before)
        digest = hashlib.sha256(before).hexdigest()
        (told,) = apply(Path(folder), {name: (digest, edits)}, lambda path, data: format)
        changed = file.read_bytes() != before
        undo(Path(folder))
        return told.told == "applied" and changed and file.read_bytes() == before


def main(folders: list[str]) -> None:
    counts: dict[str, Counter[str]] = {name: Counter() for name in FORMATS}
    began = time.monotonic()
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*") if path.is_file()):
        data = path.read_bytes()
        format = format_of(path.name, data[:START], found=True)
        if format is None or format.name not in counts:
            continue
        count = counts[format.name]
        try:
            places = list(format.places(data, path.name))
        except DataError as error:
            count["not read"] += 1
            print(f"{path.name}: {error.problem[:100]}", file=sys.stderr)
            continue
        count["documents"] += 1
        count["places"] += len(places)
        free = [place for place in places if not place.fixed]
        if not free:
            continue
        edits = {place.key: Edit(f"A dog number {number} runs") for number, place in enumerate(free)}
        try:
            after = format.edited(data, path.name, edits)
        except DataError as error:
            count["refused"] += 1
            print(f"{path.name}: {error.problem[:100]}", file=sys.stderr)
            continue
        count["edited"] += 1
        count["texts"] += len(edits)
        if wrong := measured(format, data, after):
            print(f"{path}: {wrong} bytes outside", file=sys.stderr)
        count["bytes outside"] += wrong
        count["given back"] += restored(path.name, data, format, edits)
    columns = ("documents", "not read", "places", "edited", "texts", "refused", "bytes outside", "given back")
    print("format", *columns, sep=" | ")
    for name, count in counts.items():
        print(name, *(count[column] for column in columns), sep=" | ")
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
