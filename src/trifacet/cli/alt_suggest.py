"""``trifacet alt suggest``, ``queue``, ``export`` and ``import``: from places without a text to decisions about texts.

Invariant: none of them changes a document; the same ``suggest`` continues what was interrupted and asks nothing twice.
"""

from __future__ import annotations

import getpass
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.cli.alt import FormatOption, PathsArgument, RootOption, app
from trifacet.cli.alt_models import endpoint_writer, family_writer, finder_of, readings_of
from trifacet.cli.common import EXIT_FINDINGS, WARNING, err, out, plain, print_table, write_json, write_text
from trifacet.cli.default_model import chosen_model
from trifacet.cli.describe import (
    BatchOption,
    DeviceOption,
    Dtype,
    DtypeOption,
    SeedOption,
)
from trifacet.cli.options import a_number, a_temperature, a_text
from trifacet.settings.section import MOST

if TYPE_CHECKING:
    from trifacet.base.errors import DataError
    from trifacet.describing.requests import Way
    from trifacet.describing.suggesting import SuggestCounts
    from trifacet.describing.suggestion import Suggestion

QUEUE = Path("alt-queue.sqlite")
QueueOption = Annotated[Path, typer.Option(metavar="FILE", help="The queue of suggestions.")]
WhoOption = Annotated[
    str, typer.Option(callback=a_text, help="Who decides. [default: the user's name]", show_default=False)
]
_CUT = 60  # characters of a text in the table


@app.command()
def suggest(
    paths: PathsArgument,
    *,
    model: Annotated[
        str | None,
        typer.Option(help="Folder or hub id of a checkpoint or an adapter. \\[default: TRIFACET_MODEL, or the config]"),
    ] = None,
    endpoint: Annotated[
        Path | None, typer.Option(help="Instead: YAML file with a model behind an endpoint.", show_default=False)
    ] = None,
    queue: QueueOption = QUEUE,
    root: RootOption = None,
    format: FormatOption = "auto",
    also: Annotated[
        str | None, typer.Option(metavar="weak", help="weak: also texts that the checks find fault with.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="The first N places only.")] = None,
    draws: Annotated[int, typer.Option(min=1, max=64, help="Texts drawn for each picture, to see what varies.")] = 5,
    temperature: Annotated[float, typer.Option(min=0, max=100, callback=a_temperature, help="0: one text.")] = 0.7,
    max_new_tokens: Annotated[int, typer.Option(min=1, max=100_000, help="Longest text in tokens.")] = 128,
    max_chars: Annotated[
        int | None,
        typer.Option(min=10, max=MOST, help="Longest text in characters, 250 where no platform is named."),
    ] = None,
    platform: Annotated[
        str | None, typer.Option(help="Whose limit holds: x, instagram, pinterest, mastodon or bluesky.")
    ] = None,
    glossary: Annotated[Path | None, typer.Option(help="File of names and brands, text or YAML.")] = None,
    lang: Annotated[
        str, typer.Option(metavar="CODE", callback=a_text, help="Write in this language. [default: the element's]")
    ] = "",
    by_role: Annotated[
        bool | None,
        typer.Option(
            "--by-role/--as-trained",
            help="Ask with a prompt for each role, or with the request that a model was trained with here.",
            show_default=False,
        ),
    ] = None,
    read: Annotated[bool, typer.Option("--read", help="Read the words in pictures, and check texts by them.")] = False,
    engine: Annotated[str, typer.Option(help="With --read: rapidocr or tesseract.")] = "rapidocr",
    languages: Annotated[str, typer.Option(metavar="CODES", help="With --read: Tesseract's codes.")] = "eng",
    names: Annotated[
        str | None, typer.Option(metavar="PIPELINE", help="spaCy or transformers pipeline that finds names too.")
    ] = None,
    unchecked_names: Annotated[
        bool, typer.Option("--unchecked-names", help="Suggest also in languages in which names can't be told.")
    ] = False,
    least_confidence: Annotated[
        float, typer.Option(min=0, max=1, callback=a_number, help="Withhold texts whose samples agree less.")
    ] = 0.4,
    remote: Annotated[bool, typer.Option("--remote", help="Fetch remote pictures.")] = False,
    seed: SeedOption = 17,
    batch_size: BatchOption = 8,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "auto",
    who: WhoOption = "",
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the counts as JSON; - for standard output.")
    ] = None,
) -> None:
    """Suggest texts for pictures that lack one, into a queue for people to decide on. Changes no document.

    Example: trifacet alt suggest site/ --model runs/demo/models/mcm-dpo/model

    Example: trifacet alt suggest docs/ --endpoint model.yaml --also weak --glossary names.txt --max-chars 125
    """
    from trifacet.base.errors import TrifacetError
    from trifacet.building.settings import Network
    from trifacet.describing.glossary import NONE, read_glossary
    from trifacet.describing.judging import Checks
    from trifacet.describing.queue import Queue
    from trifacet.describing.rasters import Rasters
    from trifacet.describing.requests import Asking
    from trifacet.describing.scanning import ScanSettings, root_of, scan
    from trifacet.describing.suggesting import Suggester
    from trifacet.generation.opening import way_of_asking
    from trifacet.lint.check import check_names
    from trifacet.models.asking import FILE

    if also not in (None, "weak"):
        raise TrifacetError(f"--also {also!r} is not known; give weak")
    if model is not None and endpoint is not None:
        raise TrifacetError("--model and --endpoint both name a model; keep one of them")
    check_names(platform, ())
    terms = read_glossary(glossary) if glossary else NONE
    finder = finder_of(names) if names else None
    below = root or root_of(paths)
    how = {"temperature": temperature, "max_new_tokens": max_new_tokens, "seed": seed}
    draws = draws if temperature else 1
    if endpoint is not None:
        way: Way = "roles"
        writes = endpoint_writer(endpoint, queue, how, draws)
    else:
        named = chosen_model(model)
        trained = (Path(named) / FILE).is_file() if by_role is None else not by_role
        way = "trained" if trained else "roles"
        asked = way_of_asking(named, read=None if trained else False)
        read = read or asked.quoting is not None  # as it was trained
        writes = family_writer(named, asked, how, draws, batch_size, dtype.value, device)
    readings = readings_of(engine, languages) if read else None
    with closing(Queue(queue)) as kept:
        kept.stand_on(below)
        suggester = Suggester(
            kept,
            writes,
            Asking.of(way=way, platform=platform, max_chars=max_chars, glossary=terms, language=lang),
            Checks(platform, finder, unchecked_names, least_confidence),
            Rasters(below, network=Network() if remote else None),
            readings,
            also == "weak",
            who_is(who),
            _tell,
        )
        counts = suggester.suggest(scan(paths, below, ScanSettings(format), _tell), limit)
    if not counts.documents:
        raise TrifacetError("no document was found there; name pages, or folders that hold some")
    _report(counts, queue, err if json_path == "-" else out)
    if json_path:
        write_json({**vars(counts), "reasons": dict(counts.reasons)}, json_path)


@app.command("queue")
def show_queue(
    *,
    queue: QueueOption = QUEUE,
    state: Annotated[
        list[str] | None,
        typer.Option(help="suggested, withheld, accepted, edited, refused, applied, stale. Repeatable."),
    ] = None,
    document: Annotated[list[str] | None, typer.Option(help="Of this document. Repeatable.")] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write all as JSON; - for standard output.")
    ] = None,
) -> None:
    """List what the queue holds: the texts with the parts that samples disagree on, what is withheld and why.

    Example: trifacet alt queue --state withheld
    """
    from dataclasses import asdict

    from trifacet.describing.queue import Queue
    from trifacet.generation.variation import marked

    kept = Queue(queue, writing=False)
    rows = _there(kept.suggestions(states=_states(state), documents=document or ()), state)
    if json_path:
        write_json({"counts": kept.stats(), "suggestions": [asdict(one) for one in rows]}, json_path)
    if json_path == "-":
        return
    table = []
    for one in rows:
        proposal = one.proposal
        text = one.text if one.text != proposal.text else marked(one.text, proposal.spans, len(proposal.samples))
        sure = "" if proposal.confidence is None else f"{proposal.confidence:.2f}"
        where = f"{proposal.document}:{proposal.place.line}" if proposal.place.line else proposal.document
        cells = (one.id, where, proposal.place.role, one.state, sure, text or '""', one.note)
        table.append([plain(cell) if len(cell) <= 2 * _CUT else f"{plain(cell)[: 2 * _CUT]} …" for cell in cells])
    print_table(plain(str(queue)), ("id", "where", "role", "state", "sure", "text", "why"), table)
    out.print(", ".join(f"{count} {state}" for state, count in kept.stats().items()) or "empty")


@app.command("export")
def export(
    *,
    queue: QueueOption = QUEUE,
    output: Annotated[str, typer.Option(metavar="FILE", help="CSV file; - for standard output.")] = "-",
    state: Annotated[list[str] | None, typer.Option(help="In this state only. Repeatable.")] = None,
) -> None:
    """Write the queue as CSV for a spreadsheet, with a column for decisions. No cell is taken for a formula.

    Example: trifacet alt export --output texts.csv --state suggested --state withheld
    """
    from trifacet.describing.queue import Queue
    from trifacet.describing.sheet import sheet

    rows = _there(Queue(queue, writing=False).suggestions(states=_states(state)), state)
    write_text(sheet(rows), output)
    if output != "-":
        err.print(f"{len(rows)} suggestions in {plain(output)}", soft_wrap=True)


@app.command("import")
def take(
    file: Annotated[Path, typer.Argument(metavar="CSV", help="A file that `trifacet alt export` wrote.")],
    *,
    queue: QueueOption = QUEUE,
    who: WhoOption = "",
) -> None:
    """Enter the decisions of a spreadsheet: accept, edit, empty, refuse. Leaves with 1 where a row was not entered.

    Example: trifacet alt import texts.csv --who Ada
    """
    from trifacet.describing.queue import Queue
    from trifacet.describing.sheet import take_in

    problems: list[DataError] = []
    if not queue.is_file():
        Queue(queue, writing=False)  # says that there is none
    with closing(Queue(queue)) as kept:
        counts = take_in(file, kept, who_is(who), problems.append)
    for problem in problems:
        _tell(problem)
    told = ", ".join(f"{count} {decision}" for decision, count in sorted(counts.items()))
    out.print(f"entered: {told or 'nothing'}" + (f"; {len(problems)} rows not entered" if problems else ""))
    if problems:
        raise typer.Exit(EXIT_FINDINGS)


def _states(given: list[str] | None) -> list[str]:
    from trifacet.base.errors import TrifacetError
    from trifacet.describing.suggestion import QUEUE_STATES

    for state in given or ():
        if state not in QUEUE_STATES:
            raise TrifacetError(f"unknown state {state!r}; known are {', '.join(QUEUE_STATES)}")
    return given or []


def _there(rows: list[Suggestion], state: list[str] | None) -> list[Suggestion]:
    """Without those that stand under another id by now, unless stale ones are asked for."""
    from trifacet.describing.queue_file import WENT

    return [one for one in rows if state or one.state != "stale" or not one.note.startswith(WENT)]


def who_is(given: str) -> str:
    """Who decides, for the queue."""
    if given.strip():
        return " ".join(given.split())[:100]
    with suppress(Exception):  # a machine that knows no user
        return getpass.getuser()
    return "somebody"


def _tell(problem: DataError) -> None:
    err.tell(WARNING, f" {plain(str(problem))}")


def _report(counts: SuggestCounts, queue: Path, to: Any) -> None:
    from trifacet.describing.judging import PIPELINE, UNCHECKED

    told = [f"{counts.places} places in {counts.documents} documents: {counts.suggested} suggested"]
    if counts.withheld:
        why = ", ".join(f"{plain(reason)} {count}" for reason, count in counts.reasons.most_common(8))
        told.append(f"{counts.withheld} withheld ({why})")
    told += [f"{counts.decorative} decorative, for a person to say"] if counts.decorative else []
    told += [f"{counts.unread} with pictures that can't be read"] if counts.unread else []
    to.print(", ".join(told))
    if counts.reasons[UNCHECKED]:
        to.print(f"to check names in languages such as German: {PIPELINE}")
    to.print(
        f"{counts.requests} different requests: {counts.drawn} texts drawn, {counts.kept} from before; "
        f"in {plain(str(queue))}"
    )
