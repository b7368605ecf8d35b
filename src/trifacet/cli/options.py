"""Options that several subcommands share."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trifacet.cli import completion

RecipeArgument = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="a YAML recipe; `trifacet recipes` lists presets")
]
FormatOption = Annotated[
    str,
    typer.Option(
        help="Format of the file: trifacet, mcm-dpo, trl, ms-swift, llama-factory, rlhf-v, rlaif-v, vlfeedback, or "
        "package.module:name of your own, which is run; auto looks at the first row."
    ),
]
OwnFormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="The data format of your own, package.module:name, that a run was made with; it is run.",
        show_default=False,
    ),
]
OwnMetricOption = Annotated[
    list[str] | None,
    typer.Option(
        "--own-metric", metavar="NAME", help="A metric of your own, package.module:name, which is run. Repeatable."
    ),
]
ScoredReadOption = Annotated[
    bool,
    typer.Option(
        "--read",
        help="Read the words in the pictures, for the metrics of lettering; rows with extra.lettering need it not.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="override a recipe key, such as align.dpo.learning_rate=1e-6",
        autocompletion=completion.settings,
    ),
]


def a_number(value: float | None) -> float | None:
    """Click's bounds let nan pass. Raises typer.BadParameter for it."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


def a_text(value: str | None) -> str | None:
    """Raises typer.BadParameter for bytes that are no UTF-8: a path may hold such, a text for a model may not."""
    if value and any("\ud800" <= char <= "\udfff" for char in value):
        raise typer.BadParameter("is not UTF-8 text")
    return value


def a_temperature(value: float) -> float:
    """Raises typer.BadParameter for what is none."""
    from trifacet.generation.settings import warm_enough

    try:
        return warm_enough(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def a_share(value: float) -> float:
    """Raises typer.BadParameter for what is no share above 0: Click's bounds let 0 and nan pass."""
    if not 0 < value <= 1:
        raise typer.BadParameter("is a share above 0, at most 1")
    return value


class OnBadRow(StrEnum):
    """What to do with a row, or its image, that cannot be used."""

    STOP = "stop"
    SKIP = "skip"


OnBadRowOption = Annotated[
    OnBadRow | None,
    typer.Option(
        "--on-bad-row",
        help="stop at a row or image that cannot be used, or skip, count and list it [default: data.on_bad_row]",
        show_default=False,
    ),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="STAGE",
        help="only this stage, 'sft' or an alignment; may be given again",
        autocompletion=completion.stages,
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="begin anew: delete what an earlier run left in the output folder")
]
VerifyOption = Annotated[
    bool, typer.Option("--verify", help="only look whether every file in the output folder is as it was written")
]


def overrides(set_: list[str] | None, on_bad_row: OnBadRow | None) -> list[str]:
    """The recipe keys that the command line overrides."""
    return [*(set_ or ()), *([f"data.on_bad_row={on_bad_row.value}"] if on_bad_row else ())]


def language_codes(text: str) -> tuple[str, ...]:
    """Tesseract's codes, with commas or as Tesseract joins them."""
    return tuple(code for part in text.replace("+", ",").split(",") if (code := part.strip()))
