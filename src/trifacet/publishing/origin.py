"""What is exported: a checkpoint or an adapter, what it stands on, and the run that made it.

Invariant: nothing is said of a run but what its own files say; a model from elsewhere has none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trifacet.base.digests import json_digest
from trifacet.base.errors import TrifacetError
from trifacet.base.opening import read_text
from trifacet.base.seals import files_of, seal_of
from trifacet.evaluation.run_folder import Run, read_run
from trifacet.models.adapters import adapter_at, bases_of
from trifacet.models.asking import WayOfAsking
from trifacet.models.soundness import file_of

LARGEST_CARD = 1_000_000  # bytes
_HUB_ID = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?", re.ASCII)


@dataclass(frozen=True)
class Origin:
    """A model as it was named.

    Args:
        model: folder or hub id.
        adapter: the folder of the adapter, if it is one.
        bases: what an adapter stands on: its base, that one's if it is an adapter too ...
        asking: how it was asked in training.
        run: the run that made it, as far as its files can be read.
        name: the model's name in that run.
        note: why there is no run to tell of, if its files cannot be read.
    """

    model: str
    adapter: Path | None
    bases: tuple[str, ...]
    asking: WayOfAsking
    run: Run | None = None
    name: str = ""
    note: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Where its files lie, the nearest first."""
        return (str(self.adapter or self.model), *self.bases)

    @property
    def base(self) -> str | None:
        """The model that it came from: what an adapter stands on, or what its run began with."""
        if self.bases:
            return self.bases[-1]
        model = self.run.recipe.get("model") if self.run else None
        path = model.get("path") if isinstance(model, dict) else None
        return path if isinstance(path, str) else None

    @property
    def title(self) -> str:
        """A short name, for files and cards."""
        if self.run:
            return f"{self.run.name}-{self.name}"
        return Path(self.model).resolve().name if Path(self.model).exists() else self.model.rpartition("/")[2]

    def digest(self) -> str:
        """Of the model's own files; of a hub's checkpoint its id."""
        folder = self.adapter or Path(self.model)
        return json_digest({name: seal_of(path) for name, path in files_of(folder).items()} or self.model)


def origin_of(model: str) -> Origin:
    """What ``model`` is. Raises TrifacetError where an adapter does not say what it stands on."""
    adapter = adapter_at(model)
    folder = adapter or Path(model)
    bases = tuple(bases_of(adapter)) if adapter else ()
    run, name, note = _run_of(folder)
    return Origin(model, adapter, bases, WayOfAsking.read(folder), run, name, note)


def is_hub_id(name: str | None) -> bool:
    """Whether it names a checkpoint of a hub, and nothing on this machine."""
    return name is not None and _HUB_ID.fullmatch(name) is not None and not Path(name).exists()


def licence_of(base: str | None) -> str | None:
    """What the card that lies with the base says of its licence; None where nothing is known."""
    file = file_of(base, "README.md") if base else None
    if file is None:
        return None
    try:
        start, front, _ = read_text(Path(file), LARGEST_CARD).split("---\n", 2)
        told: Any = yaml.safe_load(front) if not start.strip() else None
        licence = told.get("license") if isinstance(told, dict) else None
    except (TrifacetError, ValueError, yaml.YAMLError, RecursionError):
        return None
    return licence if isinstance(licence, str) else None


def _run_of(folder: Path) -> tuple[Run | None, str, str]:
    """The run in whose folder a model lies: RUN/models/NAME/model."""
    stage = folder.resolve().parent
    home = stage.parent.parent
    if stage.parent.name != "models" or not (home / "run.json").is_file():
        return None, "", ""
    try:
        return read_run(home), stage.name, ""
    except TrifacetError as error:
        return None, "", str(error)
