"""What a stage keeps of a frozen vision encoder's work, in its run's folder.

Invariant: stages whose encoder has the same weights share what is kept; it is gone when the run is finished.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from trifacet.base.progress import console
from trifacet.engine.family import Family
from trifacet.engine.kept_features import KeptFeatures
from trifacet.models.loading import weights_fingerprint
from trifacet.training import ranks
from trifacet.training.stage import Stage

FEATURES = "features"  # the folder of a run's


@contextmanager
def kept_features(stage: Stage, model: nn.Module, family: Family) -> Iterator[KeptFeatures | None]:
    """What is kept for a stage, open within the block; None where the recipe keeps nothing, or it cannot be.

    Args:
        stage: whose recipe says how much.
        model: with ``requires_grad`` as it will be trained.
        family: its family.
    """
    most = stage.scoring.model.keep_features
    if not most:
        yield None
        return
    vision = family.parts(model)["vision"]
    if why := _not_kept(vision):
        if ranks.is_first():
            console.print(f"{stage.name}: model.keep_features keeps nothing: {why}")
        yield None
        return
    arithmetic = "mixed" if stage.scoring.is_mixed else stage.scoring.model.dtype
    kept = KeptFeatures(stage.run / FEATURES / f"{weights_fingerprint(vision)[:16]}-{arithmetic}", most)
    try:
        yield kept
    finally:
        kept.close()


def _not_kept(vision: nn.Module) -> str:
    """Why what an encoder makes cannot be kept; empty where it can."""
    if any(weight.requires_grad for weight in vision.parameters()):
        return "the vision encoder trains; freeze it by model.paradigm"
    sharded = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
    if any(os.environ.get(name, "false").lower() == "true" for name in sharded):
        return "the weights are sharded, and every process has a part in every picture"
    if os.environ.get("LOCAL_WORLD_SIZE", "1") != os.environ.get("WORLD_SIZE", "1"):
        return "the processes are on several machines"
    return ""


def remove_features(run: Path) -> None:
    """What a run has kept, when it is finished."""
    shutil.rmtree(run / FEATURES, ignore_errors=True)
