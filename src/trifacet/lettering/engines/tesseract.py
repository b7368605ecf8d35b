"""Tesseract, the program, for languages that RapidOCR's models cannot read.

Invariant: one thread and a bounded time a picture; the picture goes in by standard input and nothing through a shell;
languages whose data are not installed are refused by name, and nothing is downloaded.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from trifacet.base.digests import file_digest
from trifacet.base.errors import DataError, TrifacetError
from trifacet.lettering.engines.fitting import Fitted, fitted
from trifacet.lettering.lines import Lettering, Line, Word
from trifacet.lettering.settings import Reading

DEFINITION = 1  # raised when the same program gives other lines
PROGRAM = "tesseract"
SECONDS = 120.0  # for a picture; pages of small print take some 20
_SPARSE = "11"  # page segmentation: find as much lettering as there is, in no particular order
_CODE = re.compile(r"[a-z]{3}(?:_[A-Za-z]+)*|script/[A-Za-z]+")
_LISTED = re.compile(r'List of available languages in "(.+)" \(\d+\):')


class _Cell(NamedTuple):
    """A word of tesseract's table."""

    line: tuple[str, str, str]
    word: Word


class Tesseract:
    """The program ``tesseract`` with the data of the languages that the settings name.

    Raises:
        TrifacetError: the program or a language's data are not installed.
    """

    name = "tesseract"

    def __init__(self, settings: Reading) -> None:
        self.settings = settings
        self._program = shutil.which(PROGRAM)
        if self._program is None:
            raise TrifacetError(
                "engine 'tesseract' needs the program tesseract, which is not installed; "
                "apt-get install tesseract-ocr, and tesseract-ocr-CODE for each language"
            )
        _refuse_malformed(settings.languages)
        self._version = first_line_of(self._run(["--version"]))
        self._data = self._languages()

    def fingerprint(self) -> dict[str, Any]:
        """Version, the languages' data, and settings."""
        return {
            "engine": self.name,
            "definition": DEFINITION,
            "version": self._version,
            "languages": list(self.settings.languages),
            "data": self._digests,
            "longest_side": self.settings.longest_side,
            "least_confidence": self.settings.least_confidence,
        }

    @cached_property
    def _digests(self) -> list[str]:
        return [file_digest(self._data / f"{code}.traineddata")[:16] for code in self.settings.languages]

    def _languages(self) -> Path:
        """The folder of the languages' data, all of which are there."""
        head, *there = self._run(["--list-langs"]).splitlines() or [""]
        if (told := _LISTED.match(head)) is None:
            raise TrifacetError(
                f"engine 'tesseract' does not list its languages ({head[:80]!r}); use tesseract 4.1 or 5"
            )
        for code in self.settings.languages:
            if code not in there:
                package = "tesseract-ocr-" + code.rpartition("/")[2].replace("_", "-").lower()
                known = ", ".join(name for name in there if name != "osd")
                raise TrifacetError(
                    f"engine 'tesseract' has no data for language {code!r} (it has {known}); apt-get install {package}"
                )
        return Path(told[1])

    def read(self, picture: Image.Image) -> Lettering:
        """See ``Engine``. Raises DataError where it takes too long or the program fails."""
        shown = fitted(picture.convert("RGB"), self.settings.longest_side)
        data = io.BytesIO()
        shown.picture.save(data, "PNG", compress_level=1)
        codes = "+".join(self.settings.languages)
        table = self._run(["stdin", "stdout", "-l", codes, "--psm", _SPARSE, "tsv"], data.getvalue())
        lines, unreadable = [], []
        for line in _lines(table, shown):
            if line.confidence < self.settings.least_confidence:
                unreadable.append(line.box)
            else:
                lines.append(line)
        lines.sort(key=lambda line: (line.box[1], line.box[0]))
        return Lettering(size=picture.size, lines=tuple(lines), unreadable=tuple(unreadable))

    def _run(self, arguments: Sequence[str], picture: bytes = b"") -> str:
        assert self._program is not None
        try:
            done = subprocess.run(
                [self._program, *arguments],
                input=picture,
                capture_output=True,
                timeout=SECONDS,
                env={**os.environ, "OMP_THREAD_LIMIT": "1", "LC_ALL": "C"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DataError(f"takes tesseract more than {SECONDS:g} seconds", fix="scale it down") from None
        except OSError as error:
            raise TrifacetError(f"{self._program} cannot be run ({error.strerror}); install it anew") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
            raise DataError(f"tesseract fails ({said[-1]})", fix="look at its installation, or leave the picture out")
        return done.stdout.decode(errors="replace")


def first_line_of(told: str) -> str:
    """The first line of what a program says."""
    return told.partition("\n")[0].strip()


def _refuse_malformed(codes: Sequence[str]) -> None:
    """They are given to a program: none may be an option or a path."""
    if not codes:
        raise TrifacetError("engine 'tesseract' needs languages; name its codes, such as eng or rus")
    for code in codes:
        if not _CODE.fullmatch(code):
            raise TrifacetError(f"{code!r} is no language code of tesseract; write codes such as eng, rus or chi_sim")


def _lines(table: str, shown: Fitted) -> Iterator[Line]:
    """The lines of tesseract's TSV, in its order."""
    for _, cells in itertools.groupby(_cells(table, shown), key=lambda cell: cell.line):
        words = tuple(cell.word for cell in cells)
        letters = sum(len(word.text) for word in words)
        lefts, uppers, rights, lowers = zip(*(word.box for word in words), strict=True)
        yield Line(
            text=" ".join(word.text for word in words),
            box=(min(lefts), min(uppers), max(rights), max(lowers)),
            confidence=round(sum(word.confidence * len(word.text) for word in words) / letters, 4),
            words=words,
        )


def _cells(table: str, shown: Fitted) -> Iterator[_Cell]:
    head, *rows = table.splitlines() or [""]
    names = head.split("\t")
    for row in rows:
        cell = dict(zip(names, row.split("\t"), strict=False))
        text = unicodedata.normalize("NFC", "".join(cell.get("text", "").split()))
        if cell.get("level") != "5" or not text:
            continue
        left, upper, width, height = (float(cell[name]) for name in ("left", "top", "width", "height"))
        sure = min(max(float(cell["conf"]) / 100, 0.0), 1.0)
        box = shown.box((left, upper, left + width, upper + height))
        place = (cell["block_num"], cell["par_num"], cell["line_num"])
        yield _Cell(place, Word(text=text, box=box, confidence=round(sure, 4)))
