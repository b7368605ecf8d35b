"""The tables of the docs that are written from the code: ``python -m trifacet.cli.pages``.

Invariant: what stands between a page's two markers is made here and nowhere else, so that no page can fall behind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trifacet.base.files import write_atomically
from trifacet.building.recipe import BuildRecipe
from trifacet.building.step import AskStep, GlobalStep
from trifacet.building.steps import STEPS
from trifacet.cli.families import markdown
from trifacet.evolving.settings import DrawnRole, EvolveRecipe
from trifacet.settings.tables import recipe_keys, table, with_table
from trifacet.studies.settings import Study
from trifacet.training.curriculum import Curriculum
from trifacet.training.recipe import Recipe


def training_keys() -> str:
    """The keys of a training recipe."""
    return table(recipe_keys(Recipe))


def building_keys() -> str:
    """The keys of a build's recipe, then each step's parameters."""
    keys = [key for key in recipe_keys(BuildRecipe) if not key.path.startswith("steps[]")]
    parts = [table(keys)]
    for name, step in STEPS.items():
        kind = {AskStep: "asks a language model", GlobalStep: "looks at all rows"}.get(type(step), "looks at each row")
        purpose = (step.parameters.__doc__ or "").partition("\n")[0]
        parts.append(f"## {name}\n\n{purpose} ({kind})")
        parameters = list(recipe_keys(step.parameters))
        parts.append(table(parameters) if parameters else "No parameters.")
    return "\n\n".join(parts)


def curriculum_keys() -> str:
    """The keys of an alignment's curriculum."""
    return table(recipe_keys(Curriculum))


def evolving_keys() -> str:
    """The keys of a recipe of rounds: those of a training's sections are told there, those of a role once."""
    shared = ("data", "model", "regions", "sft", "align", "generate", "rounds.generator", "rounds.reviser")
    left_out = tuple(f"{one}." for one in (*shared, "roles.generator", "roles.reviser"))
    role, verifier = "roles.<role>", "roles.verifier"
    keys = []
    for key in recipe_keys(EvolveRecipe):
        if key.path.startswith(left_out) or key.path in ("roles.generator", "roles.reviser"):
            continue
        default, meaning = key.default, key.meaning
        if key.path == f"{verifier}.temperature":
            default = f"`{DrawnRole.model_fields['temperature'].default}`, of the verifier {default}"
        if key.path == verifier:
            meaning += "; `<role>` is generator, reviser or verifier"
        keys.append(key._replace(path=key.path.replace(verifier, role), default=default, meaning=meaning))
    return table(keys)


def study_keys() -> str:
    """The keys of a study."""
    return table(recipe_keys(Study))


PAGES: dict[str, Callable[[], str]] = {
    "recipes.md": training_keys,
    "curriculum.md": curriculum_keys,
    "building-recipe.md": building_keys,
    "evolve.md": evolving_keys,
    "families.md": markdown,
    "studies.md": study_keys,
}


def update(docs: Path) -> None:
    """Bring the pages of a folder up to date. Raises TrifacetError for a page without markers."""
    for name, made in PAGES.items():
        page = docs / name
        write_atomically(page, with_table(page.read_text(encoding="utf-8"), made()))


if __name__ == "__main__":
    update(Path("docs"))
