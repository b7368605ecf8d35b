"""Training from Python.

Invariant: it is done by the stages of ``trifacet align`` and ``trifacet run``, in a run's folder: the same call goes on
after a kill, and ends with the same weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trifacet.api.records import as_records
from trifacet.data.formats import write_samples
from trifacet.data.records import PreferenceSample
from trifacet.preferences.objectives import Objective, resolve_objective
from trifacet.runs.run import Finished, run_recipe, run_stages
from trifacet.training.recipe import Recipe, load_recipe, make_recipe


def align(
    checkpoint: str | Path,
    samples: Sequence[PreferenceSample | Mapping[str, Any]],
    objective: str | Mapping[str, Any] | Objective = "mcm-dpo",
    *,
    output: str | Path,
    images: str | Path = ".",
    seed: int = 17,
    overwrite: bool = False,
    recipe: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> Path:
    """Align a model on preferences; the same call continues what was interrupted.

    Args:
        checkpoint: hub id or folder of the model to start from, which is the reference too.
        samples: records, or their values; ``{"image": "photo.jpg", "context": "My dog!", "response": "A brown dog jumps
            over a puddle.", "rejected_responses": ["Image"]}`` is one.
        objective: a named one, a definition as a recipe has it, or an object.
        output: folder of the run. The records are kept beside it, under a name that holds their digest.
        images: the folder that the records' images lie in.
        seed: seed of everything that is drawn.
        overwrite: begin anew, whatever an earlier run left in ``output``.
        recipe: further sections of a recipe, such as ``{"model": {"lora": {"rank": 8}}}``.
        settings: keys of a recipe's alignment, such as ``learning_rate``, ``epochs``, ``batch_size``, ``save_every``.

    Returns:
        The folder of the aligned checkpoint.

    Raises:
        TrifacetError: a bad record or setting, or ``output`` holds another run.
        KeyboardInterrupt: stopped by a signal, after a checkpoint.
    """
    meant = objective if isinstance(objective, Objective) else resolve_objective(_plain(objective))
    told = meant.model_dump(mode="json") if isinstance(objective, Objective) else _plain(objective)
    folder, given = Path(output).resolve(), dict(recipe or {})
    values = {
        **given,
        "name": folder.name,
        "output": str(folder),
        "seed": seed,
        "model": {"path": str(checkpoint), **given.get("model", {})},
        "data": {
            "root": str(folder.parent),
            "images": str(Path(images).resolve()),
            "format": "trifacet",
            "preference": _kept(as_records(PreferenceSample, samples), folder).name,
            **given.get("data", {}),
        },
        "align": {meant.name: {"objective": told, **settings}},
    }
    return run_stages(make_recipe(values), [meant.name], overwrite=overwrite)[0]


def run(recipe: Recipe | str | Path, *, overwrite: bool = False) -> Finished:
    """Run a recipe, or the file of one, from start to report; what is finished already is skipped.

    Returns:
        the report's path and the scores.

    Raises:
        TrifacetError: bad input or a refused state; what is finished stays.
    """
    return run_recipe(recipe if isinstance(recipe, Recipe) else load_recipe(recipe), overwrite=overwrite)


def _plain(objective: str | Mapping[str, Any]) -> str | dict[str, Any]:
    return objective if isinstance(objective, str) else dict(objective)


def _kept(samples: Sequence[PreferenceSample], folder: Path) -> Path:
    """The file of the records beside ``folder``: named by what it holds, so that other records are another recipe."""
    digest = hashlib.sha256("\n".join(sample.model_dump_json() for sample in samples).encode()).hexdigest()
    file = folder.with_name(f"{folder.name}.{digest[:16]}.jsonl")
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_samples(samples, file, "trifacet", "preference")
    return file
