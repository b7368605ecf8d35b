"""One base held once for all who write: adapters lie beside each other on it and are switched, not loaded anew.

Invariant: under an adapter the model computes what the checkpoint of that adapter does when it is loaded alone (1e-4
on logits in float32). What cannot lie beside others is loaded alone: whole checkpoints, adapters of other kinds than
plain LoRA or with a whole copy of what another has a part in, those that read pictures otherwise, and those that were
trained over four bits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from transformers import AutoConfig

from trifacet.base import seals
from trifacet.base.digests import file_digest, json_digest
from trifacet.base.errors import TrifacetError
from trifacet.engine.growing import Pictures
from trifacet.models.adapters import (
    ADAPTER,
    ADAPTER_WEIGHTS,
    BASE,
    ModuleNames,
    adapter_at,
    bases_of,
    lie_beside,
    put_on,
    read_config,
    switched,
)
from trifacet.models.asking import ImagePixels, ImageTiles, WayOfAsking
from trifacet.models.checkpoint import reading
from trifacet.models.loading import LoadedModel, load_model, load_processor
from trifacet.models.soundness import refuse_infinite_weights, stored_in

CONFIG = "config.json"
KEPT = 2**28  # bytes of pictures' features that are kept for each adapter


class SharedBase:
    """A base with adapters on it. It and they are loaded when they are first wanted.

    Args:
        base: hub id or folder of a checkpoint; of an adapter, that is what ``under()`` gives, and the whole model below
            it is shared.
        dtype: of the base's weights; adapters are held in float32.
        device: ``auto`` takes an accelerator if there is one.
        image_tiles: as ``load_model`` has it.
        image_pixels: the same.
        trust_remote_code: the same.
        four_bit: hold the base in four bits.
        kept: bytes of pictures' features that are kept for each adapter.
    """

    def __init__(
        self,
        base: str | Path,
        *,
        dtype: str = "float32",
        device: str = "auto",
        image_tiles: ImageTiles | None = None,
        image_pixels: ImagePixels | None = None,
        trust_remote_code: bool = False,
        four_bit: bool = False,
        kept: int = KEPT,
    ) -> None:
        self.base = str(base)
        self._options: dict[str, Any] = {"dtype": dtype, "device": device, "four_bit": four_bit}
        self._reads: dict[str, Any] = {"image_tiles": image_tiles, "image_pixels": image_pixels}
        self._code, self._kept = trust_remote_code, kept
        self._chains: dict[str, tuple[Path, ...] | None] = {}  # adapters of a checkpoint, the lowest first; None: whole
        self._root: LoadedModel | None = None
        self._names: ModuleNames | None = None
        self._on: dict[Path, str] = {}  # adapters that lie on the root, and PEFT's names for them
        self._under: tuple[Path, ...] = ()
        self._loaded: dict[str, LoadedModel] = {}  # by checkpoint: the shared model as it asks, or one of its own
        self._own: set[str] = set()
        self._pictures: dict[str, Pictures] = {}
        self._weights: dict[str, str] = {}

    def __enter__(self) -> SharedBase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let all models go."""
        self._root, self._names = None, None
        for held in (self._on, self._loaded, self._own, self._pictures):
            held.clear()
        self._under = ()

    @contextmanager
    def under(self, checkpoint: str | Path | None = None) -> Iterator[LoadedModel]:
        """The model of a checkpoint, in evaluation; good within the block, where no other one is asked for.

        Args:
            checkpoint: an adapter on the same base, or any whole checkpoint; None is the base.

        Raises:
            TrifacetError: an adapter of another base; whatever keeps it from being loaded.
        """
        name = self._name(checkpoint)
        loaded = self._loaded.get(name) or self._load(name)
        if name in self._own:
            yield loaded
            return
        before = self._under
        self._switch(self._chain(name) or ())
        try:
            yield loaded
        finally:
            self._switch(before)

    def pictures(self, checkpoint: str | Path | None = None) -> Pictures:
        """What ``FamilyWriter`` keeps of pictures under a checkpoint; it counts how often each was encoded."""
        return self._pictures.setdefault(self._name(checkpoint), Pictures(self._kept))

    @property
    def encoded(self) -> Mapping[str, Mapping[str, int]]:
        """How often each picture (``ImageInput.key``) went through the vision encoder, by checkpoint."""
        return {name: dict(pictures.encoded) for name, pictures in self._pictures.items()}

    def weights(self, checkpoint: str | Path | None = None) -> str:
        """What identifies the weights of a checkpoint: a digest of its files and of those that it stands on.

        Nothing is loaded for it, and where a folder lies does not matter.
        """
        name = self._name(checkpoint)
        if name not in self._weights:
            folder = adapter_at(name)
            parts = [name] if folder is None else [str(folder), *bases_of(folder)]
            self._weights[name] = json_digest([_identity(self._name(one)) for one in parts])
        return self._weights[name]

    @property
    def switchable(self) -> int:
        """How many adapters lie on the base."""
        return len(self._on)

    def _name(self, checkpoint: str | Path | None) -> str:
        """The checkpoint, by the whole path of its folder."""
        source = self.base if checkpoint is None else str(checkpoint)
        return str(Path(source).resolve()) if os.path.isdir(source) else source  # noqa: PTH112 - it may be a hub's

    def _chain(self, name: str) -> tuple[Path, ...] | None:
        """The adapters of a checkpoint on the shared root, the lowest first; None of another whole checkpoint.

        Raises:
            TrifacetError: it is an adapter of another base.
        """
        if name not in self._chains:
            folder = adapter_at(name)
            root = self._bottom(self._name(None))
            if folder is None:
                self._chains[name] = () if name == root else None
            else:
                *adapters, bottom = bases_of(folder)
                if self._name(bottom) != root:
                    raise TrifacetError(
                        f"{folder}: is an adapter of {bottom}, not of {root}; name one that was trained on the same "
                        "base, or a whole checkpoint"
                    )
                above = [found for one in adapters if (found := adapter_at(one)) is not None]
                chain = tuple(Path(one).resolve() for one in [*above[::-1], folder])
                for one in chain:
                    seals.refuse_damaged(one)
                self._chains[name] = chain
        return self._chains[name]

    def _bottom(self, name: str) -> str:
        """The whole checkpoint below one."""
        folder = adapter_at(name)
        return name if folder is None else self._name(bases_of(folder)[-1])

    def _shared_root(self) -> LoadedModel:
        if self._root is None:
            root = self._bottom(self._name(None))
            tiles = self._reads["image_tiles"] or WayOfAsking.read(Path(self._name(None))).image_tiles
            self._root = load_model(
                root, **self._options, image_tiles=tiles, image_pixels=self._reads["image_pixels"],
                trust_remote_code=self._code,
            )  # fmt: skip
            self._root.model.eval().requires_grad_(False)
            self._names = ModuleNames(self._root.model)
        return self._root

    def _load(self, name: str) -> LoadedModel:
        chain = self._chain(name)
        if chain is None or self._alone(name, chain):
            self._own.add(name)
            loaded = load_model(name, **self._options, **self._reads, trust_remote_code=self._code, merge=False)
            loaded.model.eval().requires_grad_(False)
        else:
            root = self._shared_root()
            for folder in chain:
                self._put(folder)
            loaded = root
            if chain:
                family = load_processor(name, **self._reads, trust_remote_code=self._code)
                pixels = self._reads["image_pixels"] or WayOfAsking.read(chain[-1]).image_pixels
                loaded = replace(root, processor=family.processor, family=family, image_pixels=pixels)
        self._loaded[name] = loaded
        return loaded

    def _alone(self, name: str, chain: tuple[Path, ...]) -> bool:
        """Whether adapters cannot lie beside those that are on the base."""
        if not chain:
            return False
        asked = [WayOfAsking.read(folder) for folder in chain]
        over_four = any(one.four_bit for one in asked) and not self._options["four_bit"]
        tiles = self._reads["image_tiles"] or asked[-1].image_tiles
        if over_four or tiles != self._shared_root().image_tiles:
            return True
        assert self._names is not None
        with reading(name):
            return not lie_beside({*self._on, *chain}, self._names)

    def _put(self, folder: Path) -> None:
        root = self._shared_root()
        if folder in self._on:
            return
        try:
            with reading(str(folder)):
                name = f"adapter_{len(self._on)}"
                root.model = put_on(root.model, folder, name, self._names)
                refuse_infinite_weights(root.model, str(folder), stored_in(folder / ADAPTER_WEIGHTS))
        except TrifacetError:
            self.close()  # a part of it may lie on the base
            raise
        self._on[folder] = name
        switched(root.model, [self._on[one] for one in self._under])

    def _switch(self, chain: tuple[Path, ...]) -> None:
        if chain != self._under:
            switched(self._shared_root().model, [self._on[folder] for folder in chain])
            self._under = chain


def _identity(source: str) -> str:
    """The digest of the files of a folder that hold weights or shape them; of a hub's checkpoint its revision."""
    folder = Path(source)
    if not os.path.isdir(source):  # noqa: PTH112 - a name that no file can have is none
        with reading(source):
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        return f"{source}@{getattr(config, '_commit_hash', None) or 'unknown'}"
    files = [*folder.glob("*.safetensors"), *(folder / name for name in (CONFIG, ADAPTER) if (folder / name).is_file())]
    return json_digest({path.name: _digest(path) for path in files})


def _digest(path: Path) -> str:
    """Of an adapter's settings all but where its base lies, of other files their bytes."""
    if path.name != ADAPTER:
        return file_digest(path)
    return json_digest({key: value for key, value in read_config(path.parent).items() if key != BASE})
