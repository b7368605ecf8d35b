"""What a reference pass has scored so far, on disk, so that a kill after hours costs one batch.

Invariant: a batch's scores are used again only under the fingerprint that they were made under, and only if their
checksum holds; a batch is scored whole or again, so that what is resumed ends with the bytes of what was not.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from trifacet.files import append_durably, cannot_write


class ReferenceParts:
    """A folder with one file per process that scores; each appends to its own, all read those of all.

    Args:
        folder: beside the cache that the pass is making.
        fingerprint: what the scores depend on, how the samples are grouped into batches included.
        writer: names this process's file (its rank).
    """

    def __init__(self, folder: Path, fingerprint: Mapping[str, object], writer: int = 0) -> None:
        self.folder, self.path = folder, folder / f"{writer}.jsonl"
        self._head = json.dumps(fingerprint, sort_keys=True) + "\n"
        self._ready = False
        self.done: dict[int, Tensor] = {}
        self.read()

    def read(self) -> None:
        """Fill ``done`` from all files of the folder, lines that are torn or of another pass left out."""
        self.done = {}
        for path in sorted(self.folder.glob("*.jsonl")):
            head, *lines = path.read_bytes().split(b"\n")
            if head.decode("utf-8", "replace") + "\n" == self._head:
                self.done.update(known for line in lines if (known := _parsed(line)) is not None)

    def add(self, number: int, logps_C: Tensor) -> None:
        """Keep the scores (float32, one per cell) of batch ``number``: on disk when this returns.

        Raises:
            TrifacetError: it cannot be written.
        """
        try:
            if not self._ready:
                self._make_ready()
        except OSError as error:
            raise cannot_write(self.path, error) from None
        append_durably(self.path, _line(number, logps_C))
        self.done[number] = logps_C

    def remove(self) -> None:
        """The pass is finished, and its cache is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_ready(self) -> None:
        """Let the own file begin with the fingerprint of this pass and end with a whole line."""
        self.folder.mkdir(parents=True, exist_ok=True)
        head = self._head.encode()
        content = self.path.read_bytes() if self.path.is_file() else b""
        if content.startswith(head):
            os.truncate(self.path, content.rfind(b"\n") + 1)  # a kill may have left the last line without its end
        else:
            self.path.write_bytes(head)  # new, or of a pass with other settings
        self._ready = True


def _line(number: int, logps_C: Tensor) -> bytes:
    # JSON's shortest form of a double gives a float32 back exactly
    body = json.dumps([number, logps_C.tolist()])
    return f"{zlib.crc32(body.encode()):08x} {body}\n".encode()


def _parsed(line: bytes) -> tuple[int, Tensor] | None:
    checksum, _, body = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body) or not body:
        return None
    number, values = json.loads(body)
    return number, torch.tensor(values, dtype=torch.float32)
