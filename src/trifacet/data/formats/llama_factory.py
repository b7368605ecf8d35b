"""LLaMA-Factory's formats: sharegpt and alpaca, with ``chosen``/``rejected`` and ``images``, and dataset_info.json.

The entry of ``dataset_info.json`` beside the file says how its columns and roles are called; without one the defaults
of LLaMA-Factory hold. Written is sharegpt with ``ranking: true`` for preferences, and the file's entry with it.
Invariant: other entries of dataset_info.json are kept as they are.
Source: github.com/hiyouga/LLaMA-Factory, data/README.md and src/llamafactory/data/parser.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from trifacet.base.errors import DataError
from trifacet.base.files import write_atomically
from trifacet.base.json_text import read_json
from trifacet.base.opening import is_there
from trifacet.data.formats.chat import (
    LABEL,
    OnLost,
    answer_of,
    disarmed,
    extra_of,
    ignore,
    images_of,
    join_post,
    no_images,
    refuse_history,
    refuse_present,
    shown,
    split_post,
    unmarked,
    values_of,
    with_image_marks,
)
from trifacet.data.formats.messages import Tags, content_text, read_messages
from trifacet.data.records import PreferenceSample, Sample
from trifacet.data.rows import Values

__all__ = ["INFO", "LABEL", "NAMES", "NEEDS", "entry_of", "read_info", "reader", "reader_of", "to_row", "write_entry"]
NAMES = {
    "image": "images",
    "more_images": "images",
    "context": "conversations",
    "response": "chosen",
    "references": "conversations",
    "rejected_responses": "rejected",
}
NEEDS = "a rejected response"
INFO = "dataset_info.json"
MAX_INFO = 50_000_000  # bytes of it
_NOT_SHOWN = ("videos", "audios", "tools")
_READ = {"prompt", "query", "response", "messages", "images", "chosen", "rejected", "system", "history", "kto_tag"}
_READ |= set(_NOT_SHOWN)
SHAREGPT = Tags("from", "value", "human", "gpt", "system")


class Layout(NamedTuple):
    """How one file is laid out: its columns by LLaMA-Factory's names for them, and the tags of its messages."""

    sharegpt: bool
    columns: dict[str, str]
    tags: Tags

    def of(self, row: Values, column: str) -> Any:
        """The row's value in the column that LLaMA-Factory calls ``column``."""
        return row.get(self.columns[column])


def reader(path: Path, label: str, lost: OnLost = ignore) -> Callable[[Values], Values]:
    """A function from a row to a record's values, by the file's entry in dataset_info.json if it has one."""
    return reader_of(entry_of(path), label, lost)


def reader_of(entry: dict[str, Any] | None, label: str, lost: OnLost = ignore) -> Callable[[Values], Values]:
    """A function from a row to a record's values, by this entry; None is a file without one."""

    def values(row: Values) -> Values:
        layout = _layout(entry, row)
        refuse_present(row, *(layout.columns[column] for column in _NOT_SHOWN))
        refuse_history(row, layout.columns["history"])
        if layout.of(row, "kto_tag") is False:
            fix = "leave the row out"
            raise DataError("says that the answer is not wanted", fix=fix, field=layout.columns["kto_tag"])
        for column in layout.columns.keys() - _READ:
            if layout.of(row, column) not in (None, "", [], {}):
                lost(f"the column {layout.columns[column]!r}, which {INFO} names as {column!r}")
        return _sharegpt(row, label, layout, lost) if layout.sharegpt else _alpaca(row, label, layout, lost)

    return values


def read_info(folder: Path) -> dict[str, Any]:
    """The dataset_info.json of ``folder``; empty if there is none."""
    path = folder / INFO
    if not is_there(path):
        return {}
    info = read_json(path, MAX_INFO, "repair or remove it")
    if not isinstance(info, dict):
        raise DataError("is not a JSON object", fix="write one entry per data set", file=path)
    return info


def entry_of(path: Path) -> dict[str, Any] | None:
    """The entry for ``path`` in the dataset_info.json beside it."""
    entries = (entry for entry in read_info(path.parent).values() if isinstance(entry, dict))
    return next((entry for entry in entries if entry.get("file_name") == path.name), None)


def write_entry(path: Path, kind: str) -> None:
    """Enter ``path`` under its name in the dataset_info.json beside it; the other entries stay."""
    columns = {"messages": "conversations", "images": "images"}
    entry: dict[str, Any] = {"file_name": path.name, "formatting": "sharegpt"}
    if kind == "preference":
        entry["ranking"] = True
        columns |= {"chosen": "chosen", "rejected": "rejected"}
    info = read_info(path.parent) | {path.stem: entry | {"columns": columns}}
    write_atomically(path.parent / INFO, json.dumps(info, indent=2, ensure_ascii=False) + "\n")


def _layout(entry: dict[str, Any] | None, row: Values) -> Layout:
    columns = {
        "prompt": "instruction",
        "query": "input",
        "response": "output",
        "messages": "conversations",
        "images": "images",
        "chosen": "chosen",
        "rejected": "rejected",
        **{column: column for column in ("system", "history", "kto_tag", *_NOT_SHOWN)},
    }
    if entry is None:
        if "rejected" not in row and "rejected_conversations" in row:  # as data of POVID have it
            columns["rejected"] = "rejected_conversations"
        if "conversations" not in row and "messages" in row:
            return Layout(True, columns | {"messages": "messages"}, Tags())
        return Layout("conversations" in row, columns, SHAREGPT)
    given, tags = entry.get("columns", {}), entry.get("tags", {})
    if not isinstance(given, dict) or not isinstance(tags, dict) or not all(map(_is_text, given.values())):
        problem = f"'columns' or 'tags' of its entry in {INFO} is no object of names"
        raise DataError(problem, fix="see LLaMA-Factory's README")
    named = {field: str(tags.get(f"{field}_tag", default)) for field, default in SHAREGPT._asdict().items()}
    return Layout(entry.get("formatting") == "sharegpt", columns | given, Tags(**named))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _sharegpt(row: Values, label: str, layout: Layout, lost: OnLost) -> Values:
    turn = read_messages(layout.of(row, "messages"), layout.columns["messages"], layout.tags, lost)
    if turn.assistant is not None:
        no_images(turn.assistant, layout.columns["messages"])
    post = split_post(turn.user or "", label)
    chosen = _answer(row, "chosen", layout, turn.user, lost)
    images = _images(row, layout, turn.pictures, "messages")
    answer = chosen if chosen is not None else turn.assistant
    return _record(row, layout, post, answer, _answer(row, "rejected", layout, turn.user, lost), images, turn.system)


def _alpaca(row: Values, label: str, layout: Layout, lost: OnLost) -> Values:
    """Alpaca's ``input`` is the context of the instruction, unless a label says where the context is."""
    instruction, query = (_text(row, layout, column) for column in ("prompt", "query"))
    column = layout.columns["prompt"]
    text, marks = unmarked("\n".join(part for part in (instruction, query) if part), column, lost)
    post = split_post(text, label)
    if not post[1] and query:
        post = unmarked(instruction or "", column)[0] or None, unmarked(query, column)[0]
    chosen, response = _answer(row, "chosen", layout, None, lost), layout.of(row, "response")
    if isinstance(response, str):
        no_images(response, layout.columns["response"])
    images = _images(row, layout, (None,) * marks, "prompt")
    rejected = _answer(row, "rejected", layout, None, lost)
    return _record(row, layout, post, chosen if chosen is not None else response, rejected, images)


def _images(row: Values, layout: Layout, pictures: tuple[str | None, ...], column: str) -> Values:
    return shown(images_of(row, layout.columns["images"], "image"), pictures, layout.columns[column])


def _record(
    row: Values,
    layout: Layout,
    post: tuple[str | None, str],
    response: Any,
    rejected: str | None,
    images: Values,
    system: str | None = None,
) -> Values:
    if system is None and isinstance(column := layout.of(row, "system"), str) and column.strip():
        system = column
    return values_of(
        row,
        frozenset({*layout.columns.values(), "image"} - {"system"}),  # this stays where samples have it
        **images,
        prompt=post[0],
        context=post[1],
        response=response,
        rejected_responses=[rejected] if rejected is not None else None,
        extra={"system": system} if system is not None else {},
    )


def _text(row: Values, layout: Layout, column: str) -> str | None:
    value = layout.of(row, column)
    return None if value is None else content_text(value, layout.columns[column])


def _answer(row: Values, column: str, layout: Layout, asked: str | None, lost: OnLost) -> str | None:
    """The text of chosen or rejected. Raises DataError where it answers another request than that of the row."""
    value, field = layout.of(row, column), layout.columns[column]
    if value is None or isinstance(value, str):
        return None if value is None else no_images(value, field)
    turn = read_messages(value, field, layout.tags, lost)
    if turn.user is not None and asked is not None and turn.user != asked:
        raise DataError("asks another question than the row's messages", fix="put one request to both", field=field)
    return None if turn.assistant is None else no_images(turn.assistant, field)


def to_row(sample: Sample, label: str) -> Values | None:
    """A sharegpt row; None where a preference sample has no rejected response."""
    system, answer = sample.extra.get("system"), answer_of(sample)
    human = [_message("human", with_image_marks(join_post(sample.prompt, sample.context, label), len(sample.pictures)))]
    if isinstance(system, str):
        human.insert(0, _message("system", system))
    row: Values = {"images": list(sample.pictures)}
    if isinstance(sample, PreferenceSample):
        if not sample.rejected_responses:
            return None
        row |= {"conversations": human, "chosen": _message("gpt", disarmed(sample.response))}
        row |= {"rejected": _message("gpt", disarmed(sample.rejected_responses[0]))}
    else:
        row["conversations"] = human + ([_message("gpt", disarmed(answer))] if answer is not None else [])
    taken = frozenset({"images", "image", "conversations", "messages", "chosen", "rejected"})
    taken |= {"instruction", "input", "output", "rejected_conversations", "history", "kto_tag", *_NOT_SHOWN}
    taken |= {"system"} if isinstance(system, str) else set()
    return row | extra_of(sample, taken)


def _message(role: str, text: str) -> dict[str, str]:
    return {"from": role, "value": text}
