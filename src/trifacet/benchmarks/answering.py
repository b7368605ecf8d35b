"""A benchmark's questions put to a model of this machine.

Invariant: answers go to the result's folder batch by batch, so that the same call after a kill goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trifacet.benchmarks.results import ANSWERS
from trifacet.benchmarks.running import Task, samples_of
from trifacet.engine.encode import SampleEncoder
from trifacet.generation.results import generate_to_file
from trifacet.generation.settings import Generation
from trifacet.models.loading import LoadedModel, weights_fingerprint


def settings_of(checkpoint: str, generation: Generation, seed: int, dtype: str) -> dict[str, Any]:
    """What ``benchmark.json`` says of a model of this machine; a seed only where something is drawn."""
    place = str(Path(checkpoint).resolve()) if Path(checkpoint).is_dir() else checkpoint
    told = generation.model_dump(include={"max_new_tokens", "temperature", "beams"})
    drawn = {"seed": seed} if generation.temperature > 0 else {}
    return {**told, "by": "model", "model": place, "dtype": dtype, **drawn}


def answer_here(
    task: Task,
    loaded: LoadedModel,
    encoder: SampleEncoder,
    folder: Path,
    generation: Generation,
    seed: int,
    *,
    weights: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """The answers by item id; raises as ``generate_to_file``. ``weights``: their fingerprint, where it is known."""
    texts = generate_to_file(
        loaded.model,
        encoder,
        samples_of(task.items),
        folder / ANSWERS,
        images_root=task.images,
        settings=generation,
        weights=weights or weights_fingerprint(loaded.model),
        seed=seed,
        on_progress=on_progress,
    )
    return {text.id: text.text for text in texts}
