"""What a file that ``prepare`` made was made of: a record beside it.

Invariant: a record speaks for the bytes that it was written for and for no others, so that a file which was edited or
made anew by hand has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from trifacet.base.digests import file_digest
from trifacet.base.errors import DataError
from trifacet.base.files import write_atomically
from trifacet.base.json_text import read_json
from trifacet.base.version import __version__

_MAX_BYTES = 1_000_000  # of a record


class _Record(BaseModel):
    """``sha256`` is the made file's, ``sources`` the SHA-256 of each file that went into it.

    ``release`` says of what it was made, where that is known; ``problems`` what keeps it from being as the original
    makes it.
    """

    model_config = ConfigDict(frozen=True)

    sha256: str
    release: str
    problems: list[str]
    sources: dict[str, str]
    trifacet: str


def write_record(path: Path, sources: Iterable[Path], *, release: str, problems: Sequence[str]) -> None:
    """Write the record of ``path``, which is there, as ``<its name>.made.json``."""
    digests = {source.name: file_digest(source) for source in sources}
    record = _Record(
        sha256=file_digest(path),
        release=release,
        problems=list(problems),
        sources=digests,
        trifacet=__version__,
    )
    write_atomically(_beside(path), record.model_dump_json(indent=1) + "\n")


def read_record(path: Path, sha256: str) -> _Record | None:
    """The record of ``path``, whose bytes have this hash; None where there is none for them."""
    beside = _beside(path)
    try:
        record = _Record.model_validate(read_json(beside, _MAX_BYTES))
    except (DataError, ValidationError):
        return None
    return record if record.sha256 == sha256 else None


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.made.json")
