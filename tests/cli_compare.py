"""``trifacet compare`` as the tests run it: by its own function, without the rest of the command line."""

from __future__ import annotations

import typer
from click.testing import Result
from typer.testing import CliRunner

from trifacet.cli.compare import compare

app = typer.Typer()
app.command()(compare)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
