"""The packages that not every command needs, and the extra of ``pip install 'trifacet[...]'`` that brings each.

Invariant: where one is missing, one line names it and the command that installs it.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterable, Iterator

from trifacet.base.errors import TrifacetError

# names as they are imported
EXTRAS = {
    "train": ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers", "scipy", "psutil", "lmdb"),
    "evaluate": ("httpx2", "tenacity", "openpyxl", "bert_score", "pycocoevalcap"),
    "build": ("lingua", "rensa", "aiolimiter", "httpcore2", "httpx2", "tenacity", "scipy"),
    "review": ("fastapi", "uvicorn"),
    "serve": ("fastapi", "uvicorn", "prometheus_client", "llguidance"),
    "cluster": ("ray",),
    "ner": ("spacy",),
    "lettering": ("rapidocr", "onnxruntime"),
    "alt": ("resvg_py", "pillow_heif", "httpx2"),
    "hub": ("datasets",),
    "gguf": ("xllamacpp",),
    "four-bit": ("bitsandbytes",),
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
}


class MissingPackageError(TrifacetError, ImportError):
    """A package of an extra is not installed."""


def missing_package(error: BaseException, what: str = "this") -> MissingPackageError | None:
    """The line for an import that failed for lack of an extra; None for all other errors.

    Args:
        error: what was raised.
        what: what needs the package, as the subject of a sentence.
    """
    if isinstance(error, MissingPackageError):
        return error
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    for extra, packages in EXTRAS.items():
        if name in packages:
            return MissingPackageError(
                f"{what} needs {name}, which is not installed; pip install 'trifacet[{extra}]'", name=name
            )
    return None


@contextlib.contextmanager
def needed_for(what: str) -> Iterator[None]:
    """Around imports: ``what`` needs them. Raises TrifacetError where one is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_package(error, what) or error from None


def require(packages: Iterable[str], what: str) -> None:
    """Raise TrifacetError where ``what`` needs a package that is not installed; nothing is imported."""
    for name in packages:
        if importlib.util.find_spec(name) is None:
            with needed_for(what):
                raise ModuleNotFoundError(name=name)
