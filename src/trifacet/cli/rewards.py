"""``trifacet rewards``: rewards and margins of a data set under a model. Invariant: it trains and changes nothing."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trifacet.cli.common import err, json_or_table, plain
from trifacet.cli.options import RecipeArgument, SetOption
from trifacet.settings.section import MOST

if TYPE_CHECKING:
    from trifacet.preferences.objectives import Objective
    from trifacet.training.recipe import Recipe


class _Split(StrEnum):
    """The files of a recipe."""

    SFT = "sft"
    PREFERENCE = "preference"
    VALIDATION = "validation"
    TEST = "test"


def rewards(
    recipe: RecipeArgument,
    *,
    model: Annotated[str, typer.Option("--model", help="Folder or hub id of the model to look at.")],
    reference: Annotated[
        str | None, typer.Option(help="The reference; by default the model that the alignment started from.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(help="An alignment of the recipe or a named objective; by default that of the model's folder."),
    ] = None,
    split: Annotated[_Split, typer.Option(help="Which file of the recipe; sft has chosen responses only.")] = (
        _Split.PREFERENCE
    ),
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="The first N samples only.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=100_000, help="Samples per forward.")] = 8,
    per_sample: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write log-probs, rewards and margins of each sample as JSONL.")
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the summary as JSON; - for standard output.")
    ] = None,
    set_: SetOption = None,
) -> None:
    """Score a data set by a model and its reference: margin, spread and accuracy of every term of an objective.

    Example: trifacet rewards recipes/demo.yaml --model runs/demo/models/mcm-dpo/model --per-sample rewards.jsonl
    """
    from trifacet.training.recipe import load_recipe

    values = load_recipe(recipe, set_ or ())
    import torch  # for which a recipe that is refused need not wait

    from trifacet.base.files import write_atomically
    from trifacet.training.rewards import reward_rows, summarise

    name, wanted = _objective(values, model, objective)
    against = reference or (_start(values, name) if wanted.needs_reference else model)
    if wanted.needs_reference:
        err.print(f"objective {plain(wanted.name)}, reference {plain(against)}", soft_wrap=True)
    if values.model.threads:
        torch.set_num_threads(values.model.threads)
    rows = reward_rows(
        values,
        wanted,
        model,
        against,
        split=split.value,
        aligned=values.align.get(name or ""),
        limit=limit,
        batch_size=batch_size,
    )
    if per_sample is not None:
        write_atomically(per_sample, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    terms = summarise(wanted, rows)
    document = {
        "model": model,
        "reference": against if wanted.needs_reference else None,
        "objective": wanted.model_dump(mode="json"),
        "split": split.value,
        "samples": len(rows),
        "terms": {term.term: {key: value for key, value in vars(term).items() if key != "term"} for term in terms},
    }
    table = [
        (
            plain(term.term),
            term.samples,
            *(_shown(getattr(term, key)) for key in ("margin", "spread", "accuracy", "loss")),
        )
        for term in terms
    ]
    title = f"{plain(wanted.name)} on {len(rows)} samples of {split.value}"
    json_or_table(document, json_path, title, ("term", "samples", "margin", "spread", "accuracy", "loss"), table)


def _objective(recipe: Recipe, model: str, given: str | None) -> tuple[str | None, Objective]:
    """The alignment that is meant, if it is one of the recipe's, and its objective."""
    from trifacet.base.errors import TrifacetError
    from trifacet.preferences.objectives import resolve_objective

    folder = Path(model).resolve()
    own = folder.parent.name if folder.parent.parent == (recipe.folder / "models").resolve() else None
    name = given or (own if own in recipe.align else None)
    if name is None and len(recipe.align) == 1:
        name = next(iter(recipe.align))
    if name is None:
        raise TrifacetError(
            f"{model} is none of the recipe's alignments; say --objective with one of {', '.join(recipe.align)}, or a "
            "named objective such as mcm-dpo"
        )
    if name in recipe.align:
        return name, recipe.align[name].resolved_objective()
    return None, resolve_objective(name)


def _start(recipe: Recipe, name: str | None) -> str:
    """The checkpoint that an alignment starts from, which has to be there."""
    from trifacet.runs.steps import checkpoint_of, start_of
    from trifacet.training.sources import Start

    base = Start("base", recipe.model.path or checkpoint_of(recipe, "base"))
    if name is not None:
        return str(start_of(recipe, name, base).path)
    return str(checkpoint_of(recipe, "sft") if recipe.sft is not None else base.path)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
