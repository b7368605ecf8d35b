"""The tables of ``docs/building-recipe.md``, written from the models by ``python -m trifacet.building.recipe_doc``.

Invariant: what stands between the two markers is made here and nowhere else, so the page cannot fall behind.
"""

from __future__ import annotations

from pathlib import Path

from trifacet.building.recipe import BuildRecipe
from trifacet.building.step import AskStep, GlobalStep
from trifacet.building.steps import STEPS
from trifacet.files import write_atomically
from trifacet.training.recipe_doc import recipe_keys, table, with_table

MARK = "<!-- keys: written by `python -m trifacet.building.recipe_doc` -->"
PAGE = Path("docs/building-recipe.md")


def tables() -> str:
    """The recipe's keys, then each step's parameters."""
    keys = [key for key in recipe_keys(BuildRecipe) if not key.path.startswith("steps[]")]
    parts = [table(keys)]
    for name, step in STEPS.items():
        kind = {AskStep: "asks a language model", GlobalStep: "looks at all rows"}.get(type(step), "looks at each row")
        purpose = (step.parameters.__doc__ or "").partition("\n")[0]
        parts.append(f"## {name}\n\n{purpose} ({kind})")
        parameters = list(recipe_keys(step.parameters))
        parts.append(table(parameters) if parameters else "No parameters.")
    return "\n\n".join(parts)


def with_tables(page: str) -> str:
    """``page`` with fresh tables. Raises TrifacetError where it has no markers."""
    return with_table(page, tables(), MARK)


if __name__ == "__main__":
    write_atomically(PAGE, with_tables(PAGE.read_text(encoding="utf-8")))
