"""A benchmark's questions put to a writer: a model of this machine, or one behind an endpoint.

Invariant: answers are kept as they come, so that the same call after a kill goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trifacet.benchmarks.results import ANSWERS
from trifacet.benchmarks.running import Task, samples_of
from trifacet.data.writing import Writer
from trifacet.generation.results import write_to_file
from trifacet.generation.settings import Generation


def settings_of(checkpoint: str, generation: Generation, seed: int, dtype: str) -> dict[str, Any]:
    """What ``benchmark.json`` says of a model of this machine; a seed only where something is drawn."""
    place = str(Path(checkpoint).resolve()) if Path(checkpoint).is_dir() else checkpoint
    told = generation.model_dump(include={"max_new_tokens", "temperature", "beams"})
    drawn = {"seed": seed} if generation.temperature > 0 else {}
    return {**told, "by": "model", "model": place, "dtype": dtype, **drawn}


def answer(
    task: Task, writer: Writer, folder: Path, *, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, str]:
    """The answers by item id, in the folder's ``answers.jsonl``; raises as ``write_to_file``."""
    texts = write_to_file(
        writer, samples_of(task.items), folder / ANSWERS, images_root=task.images, on_progress=on_progress
    )
    return {text.id: text.text for text in texts}
