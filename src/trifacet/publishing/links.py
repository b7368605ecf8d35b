"""Links among a model's files: none leads to what is no part of the model.

Invariant: what an export says comes from the model's folder or, in a hub's cache, from that model's part of it. A link
elsewhere could name any file of the machine, which the export would hold and an upload show to others.
"""

from __future__ import annotations

import os
from pathlib import Path

from trifacet.base.errors import TrifacetError

_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".gguf"}  # read as tensors, of which alone an export is made


def refuse_links_out(folder: Path) -> None:
    """Raise TrifacetError, naming the file, where one of the folder's is a link that leads out; weights may be such."""
    home = _home(folder.resolve())
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted([*folders, *files]):
            path = Path(place, name)
            if path.is_symlink() and path.suffix not in _WEIGHTS and not path.resolve().is_relative_to(home):
                raise TrifacetError(
                    f"{path}: is a link out of the model's folder, to {path.resolve()}; put the file itself there, if "
                    "it belongs to the model"
                )


def _home(folder: Path) -> Path:
    """What holds a model's files: its folder, or of a hub's cache (models--OWNER--NAME/snapshots/REVISION) the model's
    part, in which the files are links to ``blobs``.
    """
    cached = folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--")
    return folder.parent.parent if cached else folder
