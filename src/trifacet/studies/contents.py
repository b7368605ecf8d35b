"""Digests of the files of this machine that a recipe reads: what would make its run another one under the same recipe.

Invariant: two recipes that say the same read the same where these digests are equal. Pictures, and weights without a
seal, are not read: of those the names and sizes count.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from trifacet.base.digests import file_digest, json_digest
from trifacet.base.errors import TrifacetError
from trifacet.data.settings import Split
from trifacet.evolving.settings import EvolveRecipe
from trifacet.training.recipe import Recipe

_READ = 16_000_000  # bytes of a file of a model's folder that is read: configuration, tokenizer, seal
_SPLITS: tuple[Split, ...] = ("sft", "preference", "validation", "test")


def contents_of(recipe: Recipe | EvolveRecipe) -> dict[str, str]:
    """By the key that names it a digest of each file or folder that is there; what is missing is told by its run.

    Raises:
        TrifacetError: a file that cannot be read.
    """
    named = {"model.path": recipe.model.path, "regions.file": recipe.regions.file if recipe.regions else None}
    below = {f"data.{split}": getattr(recipe.data, split) for split in _SPLITS}
    if isinstance(recipe, EvolveRecipe):
        below |= {"samples": recipe.samples}
        named |= {"judge": recipe.judge, "gate.probes": recipe.gate.probes}
        for role, one in recipe.roles:
            named |= {f"roles.{role}.{key}": getattr(one, key) for key in ("model", "endpoint", "prompt")}
    if recipe.data.world is None:
        named |= {key: str(Path(recipe.data.root) / name) for key, name in below.items() if name is not None}
    return {key: digest for key, name in named.items() if name is not None and (digest := digest_of(Path(name)))}


def digest_of(path: Path) -> str | None:
    """Of a file its bytes, of a folder the names and sizes of its files and the bytes of small ones, else None."""
    try:
        if path.is_file():
            return _of_file(path, *_state(path))
        if path.is_dir():
            files = sorted(one for one in path.rglob("*") if one.is_file())
            return json_digest([(one.relative_to(path).as_posix(), _size_or_bytes(one)) for one in files])
    except OSError as error:
        raise TrifacetError(f"{path}: cannot be read ({error.strerror}); make it readable") from None
    return None


def _size_or_bytes(path: Path) -> int | str:
    size, changed = _state(path)
    return size if size > _READ else _of_file(path, size, changed)


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=10_000)
def _of_file(path: Path, size: int, changed: int) -> str:
    """The digest; read once, until size or time of change are others."""
    return file_digest(path)
