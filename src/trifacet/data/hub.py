"""Data sets of the Hugging Face hub by their names, and folders laid out like one, through the ``datasets`` library.

A name is ``hub:OWNER/NAME``, or ``hub:FOLDER`` for a folder of this machine, and ``:SPLIT`` or ``:CONFIG:SPLIT`` behind
it (without: train). Invariant: only what is called so is asked for; the bytes of a picture are read from the data set's
own folder or the library's caches, and from nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trifacet.base.embedded import MAX_BYTES
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.extras import needed_for
from trifacet.base.opening import read_bytes

PREFIX = "hub:"
_ROWS = 64  # held at a time


def is_hub(path: Path) -> bool:
    """Whether a data file is named as a data set of the hub."""
    return str(path).startswith(PREFIX)


def hub_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a data set; pictures as {"bytes", "path"}.

    Raises:
        DataError: there is none of this name, or it cannot be read.
        TrifacetError: the ``datasets`` library is not installed.
    """
    with needed_for(str(path)):
        import datasets
    name, *rest = str(path).removeprefix(PREFIX).split(":")
    if not name or len(rest) > 2:
        raise DataError("is no name of a data set", fix="write hub:OWNER/NAME:CONFIG:SPLIT", file=path)
    config, split = (None, *(rest or ["train"])) if len(rest) < 2 else rest
    try:
        found = datasets.load_dataset(name, config, split=split)
        for table in found.with_format("arrow").iter(_ROWS):
            for row in table.to_pylist():
                yield {field: _with_bytes(value, _roots(name)) for field, value in row.items()}
    except TrifacetError:
        raise
    except Exception as error:  # the library's, and those of whatever it opens
        fix = "correct the name, split or config; hub:FOLDER names a folder of this machine"
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
        raise DataError(f"cannot be read ({reason})", fix=fix, file=path) from None


def _roots(name: str) -> list[Path]:
    import datasets
    from huggingface_hub.constants import HF_HUB_CACHE

    own = [Path(name)] if Path(name).is_dir() else [Path(datasets.config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE)]
    return [root.resolve() for root in own]


def _with_bytes(value: Any, roots: list[Path]) -> Any:
    match value:
        case {"bytes": None, "path": str(name)}:
            file = Path(name).resolve()
            if any(file.is_relative_to(root) for root in roots) and file.is_file():
                return {"bytes": read_bytes(file, MAX_BYTES), "path": file.name}
            return value
        case list():
            return [_with_bytes(item, roots) for item in value]
        case dict():
            return {key: _with_bytes(item, roots) for key, item in value.items()}
        case _:
            return value
