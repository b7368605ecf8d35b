"""``trifacet report``: the report of a run. Invariant: it reads the run's files and computes nothing anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trifacet.cli.common import out, write_json, write_text
from trifacet.cli.options import OwnFormatOption


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="output folder of a run", show_default=False)],
    markdown: Annotated[
        str | None,
        typer.Option(
            "--markdown",
            metavar="PATH",
            help="also write the summary table, with intervals and marks, as Markdown (- prints it)",
        ),
    ] = None,
    format: OwnFormatOption = "auto",
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="PATH", help="also write scores, intervals and tests as JSON (- prints it)"),
    ] = None,
) -> None:
    """Write RUN/report.html, one file that opens without network, and print its path.

    Example: trifacet report runs/demo --markdown table.md
    """
    from trifacet.base.claims import seal_again
    from trifacet.data.formats import use_format
    from trifacet.evaluation.run_folder import read_run
    from trifacet.reports.run.report import write_report
    from trifacet.reports.run.sureness import markdown_remarks, marked, sureness, sureness_document
    from trifacet.reports.tables import markdown as as_markdown
    from trifacet.reports.tables import runs_document, summarise_runs

    use_format(format)
    path = write_report(run)
    seal_again(run / "run.json", path)
    if markdown or json:
        gathered = read_run(run)
        summary = marked(summarise_runs(gathered.models), gathered.comparison)
        if markdown:
            table = as_markdown(summary, markdown_remarks(sureness(summary, gathered.comparison)))
            write_text(table, markdown)
        if json:
            write_json(runs_document(summary, gathered.notes) | sureness_document(summary, gathered.comparison), json)
    if "-" not in (markdown, json):
        out.print(str(path))
