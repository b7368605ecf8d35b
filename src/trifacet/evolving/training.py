"""How roles are trained between rounds, and what is aligned at the end: recipes of runs, made of the evolving recipe.

Invariant: a training is a run like any other, in a folder of its own: it continues where it was stopped, and its
output depends on its pairs, its start and the recipe.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from trifacet.base.errors import DataError
from trifacet.base.seals import read_document
from trifacet.data.settings import Data
from trifacet.evolving.settings import EvolveRecipe
from trifacet.preferences.settings import Rejected
from trifacet.runs.keeping import MARK
from trifacet.runs.run import run_recipe, run_stages
from trifacet.training.recipe import Align, Recipe, make_recipe
from trifacet.training.stage import stage_folder

ALIGNED = "aligned"
Trained = Literal["generator", "reviser"]


def train_role(
    recipe: EvolveRecipe, role: Trained, settings: Align, pairs: Path, start: str | Path, folder: Path
) -> Path:
    """Train a role's model on a file of pairs, in a run folder of its own; what is finished is not done again.

    Args:
        recipe: says how models are held in memory and asked.
        role: names the stage.
        settings: the alignment's.
        pairs: rows of ``PreferenceSample``.
        start: the checkpoint to begin with, which is the reference too.
        folder: of the run.

    Returns:
        the folder of the model.

    Raises:
        TrifacetError: as ``runs.run.run_stages``.
    """
    run = run_of(recipe, folder, start, {role: settings}, preference=pairs)
    return run_stages(run, [role])[0]


def align_at_the_end(recipe: EvolveRecipe, pairs: Path, start: str | Path, folder: Path) -> Path:
    """The alignment on the pairs of all rounds, after imitating chosen answers where the recipe says so.

    Texts and scores of the test split come with it, if ``data.test`` is there.

    Returns:
        the folder of the model.
    """
    assert recipe.align is not None  # the caller has looked
    model = stage_folder(folder, ALIGNED) / "model"
    if model.is_dir() and _is_finished(folder):
        return model
    run = run_of(recipe, folder, start, {ALIGNED: recipe.align}, preference=pairs, imitate=True, test=recipe.data.test)
    run_recipe(run)
    return model


def _is_finished(folder: Path) -> bool:
    """Whether a run came to its end, so that its texts need not be scored again."""
    try:
        return bool(read_document(folder / MARK, "").get("finished"))
    except DataError:
        return False


def run_of(
    recipe: EvolveRecipe,
    folder: Path,
    start: str | Path,
    align: dict[str, Align],
    *,
    preference: Path | None = None,
    imitate: bool = False,
    test: str | None = None,
    validation: str | None = None,
) -> Recipe:
    """The recipe of a run on pairs of this recipe; raises TrifacetError where it is not possible."""
    data = recipe.data.model_copy(
        update={
            "sft": None,
            "preference": None if preference is None else str(preference.resolve()),
            "validation": validation,
            "test": test,
            "images": _images(recipe.data),
            "format": recipe.data.format if preference is None else "auto",
            "world": None,
        }
    )
    values: dict[str, Any] = {
        "name": recipe.name,
        "output": str(folder),
        "seed": recipe.seed,
        "model": recipe.model.model_copy(update={"path": str(start), "tiny": None}).model_dump(mode="json"),
        "data": data.model_dump(mode="json"),
        "rejected": Rejected().model_dump(mode="json"),
        "sft": recipe.sft.model_dump(mode="json") if imitate and recipe.sft else None,
        "align": {name: one.model_dump(mode="json") for name, one in align.items()},
        "generate": recipe.generate.model_dump(mode="json"),
    }
    return make_recipe(values)


def _images(data: Data) -> Any:
    """The folders of the pictures: those of pairs are those of the samples."""
    if not isinstance(data.images, dict):
        return data.images
    return data.images | {"preference": data.images.get("test", ""), "sft": data.images.get("test", "")}
