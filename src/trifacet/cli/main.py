"""The command ``trifacet``. Invariant: heavy imports happen inside the commands, so that ``--help`` is instant."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from trifacet.base.errors import TrifacetError, first_line, of_the_users
from trifacet.base.extras import missing_package
from trifacet.base.version import __version__
from trifacet.cli import (
    align,
    alt,
    alt_apply,  # noqa: F401 - it adds commands to alt
    alt_review,  # noqa: F401 - it adds a command to alt
    alt_suggest,  # noqa: F401 - it adds commands to alt
    alt_wordpress,  # noqa: F401 - it adds commands to alt
    benchmarks,
    build,
    compare,
    data,
    describe,
    diff,
    evaluate,
    evolve,
    export,
    families,
    generate,
    init,
    lint,
    probe,
    read,
    recipes,
    regions,
    report,
    review,
    rewards,
    run,
    score,
    serve,
    sft,
    study,
)
from trifacet.cli.common import ERROR, EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_PIPE, EXIT_UNFORESEEN, err, out, plain
from trifacet.cli.streams import STANDARD_OUTPUT
from trifacet.cli.unforeseen import write_report

# What keeps on the disk what it has done.
CONTINUED = (
    "run",
    "build",
    "evolve",
    "study",
    "sft",
    "align",
    "generate",
    "evaluate",
    "benchmarks",
    "regions",
    "read",
    "alt",
)

_LONGEST = 1000  # characters of a line about an option


class _Commands(typer.core.TyperGroup):
    """The commands; a line of words that they cannot take is an error like all others, without a box around it."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _one_line():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not hasattr(error, "format_message") or type(error).__name__ == "NoArgsIsHelpError":  # none of click's
            raise
        context = getattr(error, "ctx", None)
        helps = f"; see '{context.command_path} --help'" if context else ""
        message = error.format_message().replace(": Value error, ", ": ").rstrip(".")
        raise TrifacetError(f"{message[:_LONGEST]}{helps}") from None


app = typer.Typer(
    name="trifacet",
    cls=_Commands,
    help="Align vision-language models with preferences over image, context and response, and write alt-text.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
RUNS, WRITING, EVALUATION, LOOKING = "Data, training, report", "Writing texts", "Evaluation", "Data and models"
for panel, name, function in (  # in the order of the work
    (RUNS, "init", init.init),
    (RUNS, "run", run.run),
    (RUNS, "build", build.build),
    (RUNS, "evolve", evolve.evolve),
    (RUNS, "study", study.study),
    (RUNS, "sft", sft.sft),
    (RUNS, "align", align.align),
    (RUNS, "report", report.report),
    (WRITING, "describe", describe.describe),
    (WRITING, "generate", generate.generate),
    (WRITING, "serve", serve.serve),
    (EVALUATION, "evaluate", evaluate.evaluate),
    (EVALUATION, "score", score.score),
    (EVALUATION, "compare", compare.compare),
    (EVALUATION, "probe", probe.probe),
    (EVALUATION, "review", review.review),
    (EVALUATION, "lint", lint.lint),
    (LOOKING, "read", read.read),
    (LOOKING, "regions", regions.regions),
    (LOOKING, "rewards", rewards.rewards),
    (LOOKING, "diff", diff.diff),
    (LOOKING, "families", families.families),
    (LOOKING, "export", export.export),
):
    app.command(name, rich_help_panel=panel)(function)
app.add_typer(alt.app, name="alt", rich_help_panel=WRITING)
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


@cache
def _command_of(app: typer.Typer) -> Callable[[], None]:
    """What runs the application; made once, since looking at all signatures takes a tenth of a second."""
    return typer.main.get_command(app)


def command() -> None:
    """``main`` as a process of its own: it ends with the right code also after Ctrl-C.

    A module in C, such as torch's, that was interrupted as it ran a string of Python leaves a note by which Python
    would end itself by SIGINT; running another string wipes it out.
    """
    try:
        main()
    except SystemExit as end:
        if end.code == EXIT_INTERRUPTED:
            ctypes.pythonapi.PyRun_SimpleString(b"pass")
        raise


def main() -> None:
    """Run the command line.

    Errors of the user's are one line and exit code 2, those that nobody foresaw one line, a file and 1; Ctrl-C and
    SIGTERM are 130, a reader of standard output who has left is 141.
    """
    signal.signal(signal.SIGTERM, _terminated)
    try:
        try:
            _command_of(app)()
        except SystemExit:
            sys.stdout.flush()  # what cannot be written is no success
            raise
    except SystemExit as end:
        cause = end.__context__
        if isinstance(cause, BrokenPipeError):  # typer has made 1 of it
            _leave(cause)
        if end.code == EXIT_INTERRUPTED:  # typer has made this of Ctrl-C
            _tell_interrupted(end)
        raise
    except KeyboardInterrupt as end:
        _tell_interrupted(end)
        sys.exit(EXIT_INTERRUPTED)
    except BaseException as error:
        _leave(error)


def _leave(error: BaseException) -> NoReturn:
    """Say what went wrong, and end with the code for it."""
    if isinstance(error, BrokenPipeError) and error.filename == STANDARD_OUTPUT:
        sys.exit(EXIT_PIPE)
    known = of_the_users(error) or missing_package(error, f"trifacet {' '.join(sys.argv[1:2])}".rstrip())
    if known is None:
        what = type(error).__name__
        told = plain(write_report(error, f"{what}: {first_line(error)[:200]}"))
        err.tell(ERROR, f" {told}")
        sys.exit(EXIT_UNFORESEEN)
    if _says(known):
        err.tell(ERROR, f" {plain(str(known))}")
    sys.exit(EXIT_BAD_INPUT)


def _tell_interrupted(end: BaseException) -> None:
    if os.environ.get("RANK", "0") == "0":
        continues = sys.argv[1:2] and sys.argv[1] in CONTINUED
        err.print(f"interrupted{_by(end)}{': the same command continues from here' if continues else ''}")


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
