"""The command ``trifacet``. Invariant: heavy imports happen inside the commands, so that ``--help`` is instant."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from trifacet.base.errors import TrifacetError
from trifacet.base.version import __version__
from trifacet.cli import (
    align,
    benchmarks,
    build,
    compare,
    data,
    describe,
    diff,
    evaluate,
    families,
    generate,
    lint,
    probe,
    recipes,
    report,
    review,
    rewards,
    run,
    score,
    sft,
)
from trifacet.cli.common import EXIT_BAD_INPUT, EXIT_INTERRUPTED, err, out, plain

# What keeps on the disk what it has done.
CONTINUED = ("run", "build", "sft", "align", "generate", "evaluate", "benchmarks")

app = typer.Typer(
    name="trifacet",
    help="Align vision-language models with preferences over image, context and response, and write alt-text.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
RUNS, WRITING, EVALUATION, LOOKING = "Data, training, report", "Writing texts", "Evaluation", "Data and models"
for panel, name, function in (  # in the order of the work
    (RUNS, "run", run.run),
    (RUNS, "build", build.build),
    (RUNS, "sft", sft.sft),
    (RUNS, "align", align.align),
    (RUNS, "report", report.report),
    (WRITING, "describe", describe.describe),
    (WRITING, "generate", generate.generate),
    (EVALUATION, "evaluate", evaluate.evaluate),
    (EVALUATION, "score", score.score),
    (EVALUATION, "compare", compare.compare),
    (EVALUATION, "probe", probe.probe),
    (EVALUATION, "review", review.review),
    (EVALUATION, "lint", lint.lint),
    (LOOKING, "rewards", rewards.rewards),
    (LOOKING, "diff", diff.diff),
    (LOOKING, "families", families.families),
):
    app.command(name, rich_help_panel=panel)(function)
app.add_typer(recipes.app, name="recipes", rich_help_panel=RUNS)
app.add_typer(benchmarks.app, name="benchmarks", rich_help_panel=EVALUATION)
app.add_typer(data.app, name="data", rich_help_panel=LOOKING)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"trifacet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What stands before the name of a command."""


def command() -> None:
    """``main`` as a process of its own: it ends with the right code also where daft's threads are still at work.

    These abort an interpreter that shuts down, which would turn 130 into 134.
    """
    try:
        main()
    except SystemExit as end:
        if "daft" in sys.modules and isinstance(end.code, int):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
        raise


def main() -> None:
    """Run the command line; errors of the user's are one line and exit code 2, Ctrl-C and SIGTERM are 130."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except TrifacetError as error:
        if _says(error):
            err.print(f"[bold red]error:[/] {plain(str(error))}", soft_wrap=True)
        sys.exit(EXIT_BAD_INPUT)
    except SystemExit as end:  # typer has made this of Ctrl-C
        if end.code == EXIT_INTERRUPTED and os.environ.get("RANK", "0") == "0":
            continues = sys.argv[1:2] and sys.argv[1] in CONTINUED
            err.print(f"interrupted{_by(end)}{': the same command continues from here' if continues else ''}")
        raise


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    """What clusters send before they take a machine away ends a command as Ctrl-C does."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def _by(end: BaseException) -> str:
    """The signal, where the interruption behind ``end`` names one."""
    cause: BaseException | None = end
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return f" by {cause.args[0]}" if cause is not None and cause.args else ""


def _says(error: TrifacetError) -> bool:
    """Whether this process prints the error: of several that a launcher started one does."""
    if "RANK" not in os.environ:
        return True
    from trifacet.training import ranks

    return not ranks.told_elsewhere(error)
