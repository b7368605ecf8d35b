"""Loading the models that metrics are made of: CLIP, and text encoders such as RoBERTa.

Invariant: weights come from safetensors only, no code of a checkpoint runs, and none of the weights is made up.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from transformers import AutoConfig
from transformers.utils import logging as hf_logging

from trifacet.base.errors import TrifacetError
from trifacet.models.loading import pick_device

# Layers on top of the text encoders, which these checkpoints often lack and no metric here reads.
_UNREAD = ("pooler.",)


def load_encoder(kind: Any, source: str, *, device: str = "auto", **options: Any) -> Any:
    """A model in evaluation mode and float32.

    Args:
        kind: a class of transformers, such as ``CLIPModel`` or ``AutoModel``.
        source: hub id or folder.
        device: ``auto`` takes an accelerator if there is one.
        options: further arguments of ``from_pretrained``.

    Raises:
        TrifacetError: no such checkpoint, no safetensors, another kind of model, or weights that are missing.
    """
    with reading(source):
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        wanted = getattr(kind, "config_class", None)
        if wanted is not None and not isinstance(config, wanted):
            raise TrifacetError(f"{source} is a {config.model_type}, not a {wanted.model_type}; name such a model")
        model, info = kind.from_pretrained(
            source,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype="float32",
            **options,
        )
        lacking = sorted(key for key in info["missing_keys"] if not key.startswith(_UNREAD))
        if lacking:
            raise TrifacetError(f"{source} lacks weights ({lacking[0]}, {len(lacking)} in all); use a whole checkpoint")
    return model.eval().to(pick_device(device))


@contextlib.contextmanager
def reading(source: str) -> Iterator[None]:
    """Whatever goes wrong with a checkpoint's files becomes a TrifacetError of one line; no progress is shown."""
    level = hf_logging.get_verbosity()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except TrifacetError:
        raise
    except Exception as error:  # a loader fed with damaged files raises whatever it trips over
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        message = lines[0] if lines else type(error).__name__
        cure = "; save it with transformers' save_pretrained" if "safetensors" in message else ""
        raise TrifacetError(f"{source} cannot be loaded: {message}{cure}") from None
    finally:
        hf_logging.set_verbosity(level)
        hf_logging.enable_progress_bar()
