"""A tiny model with random weights that comes to an end after a few tokens, as a trained one does."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from trifacet.models.loading import load_processor

SHARED = 0.5  # lengths of a token's embedding that all of them have in common
PULL = 2.0  # the same of the end token, on top: the head, which is tied, finds it a little everywhere


def with_ends(model: Path, folder: Path) -> Path:
    """A copy of ``model`` in which every token says a little that the text may end here; the copy's folder."""
    shutil.copytree(model, folder)
    (folder / "complete.json").unlink(missing_ok=True)
    weights = load_file(folder / "model.safetensors")
    (name,) = (name for name in weights if name.endswith("embed_tokens.weight"))
    length = weights[name].norm(dim=1).mean()
    common = torch.randn(weights[name].shape[1], generator=torch.Generator().manual_seed(3))
    common = common / common.norm() * length
    weights[name] = weights[name] + SHARED * common
    weights[name][load_processor(folder).processor.tokenizer.eos_token_id] += PULL * common
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
