"""Checkpoints that are complete or do not count.

Invariant: a checkpoint is used only if its seal, which is written last, is there and every file is still as the seal
says. One without a seal was being written when the run was killed; one that differs from its seal was damaged since.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from trifacet.base import seals
from trifacet.base.digests import text_digest
from trifacet.base.errors import TrifacetError
from trifacet.base.progress import console
from trifacet.base.seals import SEAL


def seal(checkpoint: Path, samples: Sequence[str]) -> None:
    """Bring every file of ``checkpoint`` to the disk, then note its size and SHA-256, and the samples' ids."""
    seals.seal_folder(checkpoint, sync=True, samples=samples_facts(samples))


def samples_facts(ids: Sequence[str]) -> dict[str, Any]:
    """How many samples there are, and a digest of their ids in order: the order of training follows from them."""
    return {"count": len(ids), "sha256": text_digest(json.dumps(list(ids)))}


def last_checkpoint(folder: Path, samples: Sequence[str] | None = None) -> str | None:
    """The newest good checkpoint of ``folder``; torn and damaged ones are removed, and a line says so of the latter.

    Args:
        folder: a stage's folder.
        samples: ids of the samples that training would go on with (None: not looked at).

    Raises:
        TrifacetError: the good one was made with other samples.
    """
    remove_torn_checkpoints(folder)
    while folder.is_dir() and (newest := get_last_checkpoint(str(folder))):
        if (damage := next(seals.folder_damages(Path(newest)), None)) is None:
            if samples is not None:
                _refuse_other_samples(Path(newest), samples)
            return newest
        shutil.rmtree(newest)
        before = get_last_checkpoint(str(folder))
        instead = f"goes on from {Path(before).name}" if before else "begins this stage anew"
        console.print(f"{newest} is damaged ({damage}): the run {instead}", soft_wrap=True)
    return None


def remove_torn_checkpoints(folder: Path) -> None:
    """Remove checkpoints that were being written when the run ended."""
    for checkpoint in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*/"):
        if not (checkpoint / SEAL).is_file():
            shutil.rmtree(checkpoint)


def remove_all(folder: Path) -> None:
    """Remove every checkpoint: the stage is finished. The seals go first, so that none can be left half-removed."""
    checkpoints = list(folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*/"))
    for checkpoint in checkpoints:
        (checkpoint / SEAL).unlink(missing_ok=True)
    for checkpoint in checkpoints:
        shutil.rmtree(checkpoint)


def _refuse_other_samples(checkpoint: Path, samples: Sequence[str]) -> None:
    then = seals.read_document(checkpoint / SEAL, f"delete {checkpoint}")["samples"]
    now = samples_facts(samples)
    if then != now:
        raise TrifacetError(
            f"{checkpoint} was made with other samples ({then['count']} then, {now['count']} now); put the data back "
            f"as they were, or delete {checkpoint.parent} to train this stage anew"
        )
