"""The words that stand in each row's pictures are read, for the steps behind and for the finished sets.

Invariant: what is read depends on the picture and the engine's fingerprint alone, and is kept in the build's folder, so
that a build that goes on reads no picture twice; a picture that cannot be read costs no row.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from trifacet.base.digests import json_digest
from trifacet.base.errors import DataError
from trifacet.building.lettered import MORE, READ_FACT, extra_of, told_words
from trifacet.building.rows import Post, RowBatch
from trifacet.building.step import MapStep, Tools
from trifacet.lettering.engine import open_engine
from trifacet.lettering.given import given_lettering
from trifacet.lettering.lines import Lettering
from trifacet.lettering.reading import Readings
from trifacet.lettering.settings import COLUMN, Reading

FOLDER = "work/lettering"  # below the build's; goes with --overwrite, as the other work does
FIELD = f"extra.{COLUMN}"
READ = "words read"
_REASONS = {"read": READ, "cannot read": "letters that cannot be read", "nothing": "no words in the picture"}
_TOLD = 300  # characters of an event


class Parameters(Reading):
    """What reads the words in pictures; a row that states them (``lettering``) keeps its own."""


def apply(batch: RowBatch, parameters: Parameters, tools: Tools) -> None:
    """Set ``lettering`` in the rows' other fields to what stands in their first picture, ``more_lettering`` to that
    of further ones.
    """
    for post in batch.posts():
        extra = extra_of(post)
        first = _given(post, extra.pop(COLUMN, None))
        more: list[Lettering] = []
        extra.pop(MORE, None)
        if not post["file"]:
            post.note("no picture to read")
        else:
            try:
                if parameters.engine == "given":
                    if first is None:
                        post.note("no words given")
                else:
                    readings = _readings(parameters.model_dump_json(), tools.folder / FOLDER, tools.max_pixels)
                    first = first or readings.of(tools.path(post["file"]))
                    more = [readings.of(tools.path(file)) for file in post["more_files"] or ()]
            except DataError as error:
                post.note("picture cannot be read", problem=str(error))
        if first is not None:
            extra[COLUMN] = first.model_dump(mode="json")
            if more:
                extra[MORE] = [one.model_dump(mode="json") for one in more]
            _tell(post, [first, *more])
        post.fill("extra", json.dumps(extra, ensure_ascii=False) if extra else None)


def _given(post: Post, value: object) -> Lettering | None:
    """What the row itself states, where it fits its picture."""
    if value is None or not post["file"]:
        return None
    try:
        return given_lettering(value, (post["width"], post["height"]), FIELD)
    except DataError as error:
        post.note("words given cannot be used", problem=str(error))
        return None


def _tell(post: Post, found: list[Lettering]) -> None:
    states = {one.status for one in found}
    status = next(name for name in _REASONS if name in states)
    if status == "read":
        post.note(READ, words=told_words(found, _TOLD), lines=sum(len(one.lines) for one in found))
    else:
        post.note(_REASONS[status])


@functools.lru_cache(maxsize=2)
def _readings(settings: str, folder: Path, max_pixels: int) -> Readings:
    """One engine a process: opening one takes half a second and 300 MB."""
    return Readings(Reading.model_validate_json(settings), folder, max_pixels=max_pixels)


def _outside(parameters: Parameters) -> dict[str, str]:
    if parameters.engine == "given":
        return {}
    engine = open_engine(parameters)
    return {"engine": f"{engine.name} sha256 {json_digest(engine.fingerprint())}"}


STEP = MapStep(
    "read-lettering",
    Parameters,
    apply,
    needs=lambda parameters: frozenset({"files"}),
    gives=frozenset({READ_FACT}),
    outside=_outside,
)
