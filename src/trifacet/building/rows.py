"""A row of a build on its way from a raw post to a sample, and what the steps decide about it.

Invariant: rows keep their order and their number; a row is changed or dropped only through a decision that is kept as
an event, so that its whole story can be told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa

_Verdict = Literal["drop", "fail", "change", "note"]
SetName = Literal["sft", "preference", "test"]

_TEXTS = pa.list_(pa.field("item", pa.string(), nullable=False))
ROWS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),  # place in the build: sources and rows in order
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.int32(), nullable=False),  # which of the recipe's sources, from 0
        pa.field("source_row", pa.int64(), nullable=False),  # row (or line) of the source's file, from 1
        pa.field("image", pa.string()),  # as the source gives it: a path below its image folder, or a URL
        pa.field("more_images", _TEXTS),
        pa.field("context", pa.string(), nullable=False),  # the post; may be empty
        pa.field("alt", pa.string(), nullable=False),  # the user's alt-text; empty for none
        pa.field("prompt", pa.string()),
        pa.field("extra", pa.string()),  # JSON object
        # what steps find out; null until then
        pa.field("file", pa.string()),  # "ROOT:path", see ``Tools.path``
        pa.field("more_files", _TEXTS),
        pa.field("sha256", pa.string()),  # of the image file
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("format", pa.string()),  # Pillow's name, such as JPEG
        pa.field("frames", pa.int32()),
        pa.field("language", pa.string()),  # ISO 639-1
        pa.field("cluster", pa.int64()),  # smallest row number of the near-duplicates that the row belongs to
        pa.field("split", pa.string()),  # "sft", "preference" or "test"
        pa.field("rejected_images", _TEXTS),  # "ROOT:path" each
        pa.field("rejected_contexts", _TEXTS),
        pa.field("rejected_responses", _TEXTS),
    ]
)
EVENTS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("step", pa.int32(), nullable=False),  # place in the recipe's steps, from 1; 0 is reading the sources
        pa.field("name", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),  # a few fixed words; the funnel counts by it
        pa.field("field", pa.string()),
        pa.field("before", pa.string()),
        pa.field("after", pa.string()),
        pa.field("detail", pa.string()),  # JSON object
    ]
)


class RowBatch:
    """Some rows with what a step decides about them. Steps read ``table`` and call the methods; nothing else.

    ``place`` is a row's place in the batch, from 0. ``reason`` is one of a step's few fixed phrases ("fewer than the
    words asked for"), never data: the funnel counts by it. Numbers and names of the case go into ``detail``.
    """

    def __init__(self, table: pa.Table, step: int, name: str) -> None:
        self.table = table
        self._step, self._name = step, name
        self._gone: set[int] = set()
        self._events: list[dict[str, Any]] = []
        self._set: dict[str, list[Any]] = {}
        self._read: dict[str, list[Any]] = {}  # columns as they came, as Python values
        self.kept: dict[str, None] = {}  # files that the step has put into the build's folder, as "ROOT:path"

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> list[Any]:
        """The values of a column as this step has left them."""
        if name in self._set:
            return self._set[name]
        if name not in self._read:
            self._read[name] = self.table.column(name).to_pylist()
        return self._read[name]

    def posts(self) -> Iterator[Post]:
        """The rows one by one."""
        columns = {name: self.column(name) for name in self.table.column_names}
        for place in range(len(self)):
            yield Post(self, place, {name: values[place] for name, values in columns.items()})

    def drop(self, place: int, reason: str, **story: Any) -> None:
        """The row leaves the build. ``story``: field, before, after (texts), and anything else, kept as detail."""
        self._event(place, "drop", reason, story)
        self._gone.add(place)

    def fail(self, place: int, reason: str, **story: Any) -> None:
        """The row leaves for a reason of its own (dead URL, broken image): it also goes to the side table."""
        self._event(place, "fail", reason, story)
        self._gone.add(place)

    def change(self, place: int, field: str, value: Any, reason: str, **story: Any) -> None:
        """Give a field another value, with an event; no event where it has that value already."""
        before = self.column(field)[place]
        if before == value:
            return
        self._values(field)[place] = value
        self._event(place, "change", reason, {"field": field, "before": _words(before), "after": _words(value)} | story)

    def note(self, place: int, reason: str, **story: Any) -> None:
        """Tell something of a row that stays as it is."""
        self._event(place, "note", reason, story)

    def keep(self, files: Sequence[str]) -> None:
        """Say which files the step has put into the build's folder ("ROOT:path" each): the part is sealed with them."""
        self.kept.update(dict.fromkeys(files))

    def fill(self, field: str, values: Sequence[Any]) -> None:
        """Set a whole column without events: for facts (width, language, cluster), not for decisions."""
        assert len(values) == len(self)
        self._set[field] = list(values)

    def fill_one(self, place: int, field: str, value: Any) -> None:
        """Set one value without an event."""
        self._values(field)[place] = value

    def result(self) -> tuple[pa.Table, pa.Table]:
        """The rows that stay, of schema ``ROWS``, and the events, of schema ``EVENTS``, both in the rows' order."""
        table = self.table
        for name, values in self._set.items():
            index = ROWS.get_field_index(name)
            table = table.set_column(index, ROWS.field(index), pa.array(values, ROWS.field(index).type))
        if self._gone:
            table = table.filter(pa.array([place not in self._gone for place in range(len(self))], pa.bool_()))
        return table, pa.Table.from_pylist(sorted(self._events, key=lambda event: event["row"]), schema=EVENTS)

    def _values(self, field: str) -> list[Any]:
        if field not in self._set:
            self._set[field] = list(self.column(field))
        return self._set[field]

    def _event(self, place: int, verdict: _Verdict, reason: str, story: Mapping[str, Any]) -> None:
        known = {name: story[name] for name in ("field", "before", "after") if name in story}
        detail = {name: value for name, value in story.items() if name not in known}
        if verdict == "fail":  # for the side table: where the row came from
            detail |= {name: self.column(name)[place] for name in ("source", "source_row")}
        self._events.append(
            {
                "row": self.column("row")[place],
                "id": self.column("id")[place],
                "step": self._step,
                "name": self._name,
                "verdict": verdict,
                "reason": reason,
                **known,
                "detail": json.dumps(detail, ensure_ascii=False, sort_keys=True) if detail else None,
            }
        )


class Post:
    """One row of a batch with the batch's methods at hand; ``values`` are its columns as they came."""

    def __init__(self, batch: RowBatch, place: int, values: dict[str, Any]) -> None:
        self.batch, self.place, self.values = batch, place, values

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def drop(self, reason: str, **story: Any) -> None:
        """See ``RowBatch.drop``."""
        self.batch.drop(self.place, reason, **story)

    def fail(self, reason: str, **story: Any) -> None:
        """See ``RowBatch.fail``."""
        self.batch.fail(self.place, reason, **story)

    def change(self, field: str, value: Any, reason: str, **story: Any) -> None:
        """See ``RowBatch.change``."""
        self.batch.change(self.place, field, value, reason, **story)

    def note(self, reason: str, **story: Any) -> None:
        """See ``RowBatch.note``."""
        self.batch.note(self.place, reason, **story)

    def fill(self, field: str, value: Any) -> None:
        """See ``RowBatch.fill_one``."""
        self.batch.fill_one(self.place, field, value)


def _words(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
