"""``trifacet benchmarks``: public benchmarks, their files, and what a model scores.

Invariant: a folder of the user's is looked at and never changed, but for what ``prepare`` was asked to make.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trifacet.cli import benchmark_runs
from trifacet.cli.benchmark_runs import DataOption, FileOption, ImagesOption, JsonOption, NameArgument, SetOption
from trifacet.cli.common import EXIT_FINDINGS, json_or_table, out, plain, write_json

if TYPE_CHECKING:
    from trifacet.benchmarks.checking import FileFound
    from trifacet.settings.section import Section

_LISTED = 5  # pictures that are named; the others are counted

app = typer.Typer(help="Public benchmarks: what goes where, whether it is there, and what a model scores.")


@app.callback(invoke_without_command=True)
def benchmarks(context: typer.Context) -> None:
    """Without a subcommand: the list."""
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
def list_(json_path: JsonOption = None, file: FileOption = None) -> None:
    """The benchmarks that are there.

    Example: trifacet benchmarks list
    """
    from trifacet.benchmarks.registry import known_benchmarks, load_benchmark

    found = list(known_benchmarks().values()) + ([load_benchmark(file)] if file else [])
    rows = [
        {
            "name": one.name,
            "what": what,
            "images": one.images,
            "judge": (one.judge.official or "any") if one.judge else None,
            "licence": one.licence,
            "paper": one.paper,
        }
        for one, what, *_ in found
    ]
    if json_path:
        write_json({"benchmarks": rows}, json_path)
    if json_path != "-":
        for row in rows:
            out.tell((plain(str(row["name"])), "bold"), f"  {plain(str(row['what']))}")
            for key in ("images", "judge", "licence"):
                out.print(f"    {key}: {plain(row[key] or 'none')}")


@app.command()
def show(name: NameArgument, file: FileOption = None, json_path: JsonOption = None) -> None:
    """What goes where: the folder of a benchmark, where its files come from, and which releases are known.

    Example: trifacet benchmarks show pope
    """
    from trifacet.benchmarks.registry import find_benchmark

    one = find_benchmark(name, file)
    needs = [
        {"path": need.path, "what": need.what, "source": need.source, "required": need.required,
         "releases": dict(need.known)}
        for need in one.needs
    ]  # fmt: skip
    options = _options_of(one.options)
    reading = _options_of(one.prepare.options) if one.prepare and one.prepare.options else {}
    if json_path:
        told = {"name": one.name, "title": one.title, "paper": one.paper, "licence": one.licence, "files": needs,
                "images": one.images, "prepare": one.prepare.what if one.prepare else None,
                "judge": one.judge.official if one.judge else None, "options": options,
                "prepare_options": reading}  # fmt: skip
        write_json(told, json_path)
    if json_path == "-":
        return
    out.tell((plain(one.name), "bold"), f": {plain(one.title)}\n{plain(one.paper)}\nlicence: {plain(one.licence)}\n")
    out.print("DATA/                        (--data)")
    for need in one.needs:
        out.print(f"  {plain(need.path)}{'' if need.required else '  (may be left out)'}")
        out.print(f"      {plain(need.what)}")
        out.print(f"      source: {plain(need.source)}")
        releases = ", ".join(f"{plain(release)} ({digest[:12]})" for digest, release in need.known.items())
        else_ = "your own choice" if need.own else "none: it is judged by what it was made of" if need.made else ""
        out.print(f"      known releases: {releases or else_ or 'none, so that numbers are marked as not official'}")
    if one.images:
        out.print(f"IMAGES/                      (--images; by default DATA)\n      {plain(one.images)}")
    if one.prepare:
        out.print(f"\ntrifacet benchmarks prepare {plain(one.name)} --source FOLDER --data DATA\n"
                  f"      {plain(one.prepare.what)}")  # fmt: skip
        for key, value in reading.items():
            out.print(f"      --set {plain(key)}={plain(value['default'])}   {plain(value['what'])}")
    if one.judge:
        out.print(f"\njudge: {plain(one.judge.official or 'any language model')} (--judge judge.yaml)")
    for key, value in options.items():
        out.print(f"--set {plain(key)}={plain(value['default'])}   {plain(value['what'])}")


@app.command()
def check(
    name: NameArgument, data: DataOption, images: ImagesOption = None, file: FileOption = None,
    json_path: JsonOption = None,
) -> None:  # fmt: skip
    """Whether a benchmark's files and pictures are there and of a known release; exit code 1 where something is not.

    Example: trifacet benchmarks check pope --data data/pope --images data/coco/val2014
    """
    from trifacet.base.errors import TrifacetError
    from trifacet.benchmarks.checking import check_files, check_item_images
    from trifacet.benchmarks.registry import find_benchmark

    one = find_benchmark(name, file)
    if not data.is_dir():
        raise TrifacetError(f"{data}: is no folder; give the one that 'trifacet benchmarks show {name}' describes")
    found = check_files(one, data)
    complete = not any(file_.state == "missing" for file_ in found)
    items = one.read(data) if complete else []
    pictures = check_item_images(items, images or data)
    rows = [{"path": f.need.path, "state": f.state, "release": f.release or None, "sha256": f.sha256} for f in found]
    unreadable = [{"image": image, "problem": problem} for image, problem in pictures.unreadable]
    told = {"benchmark": one.name, "files": rows, "items": len(items), "images": {
        "wanted": pictures.wanted, "usable": pictures.usable, "missing": list(pictures.missing),
        "unreadable": unreadable}}  # fmt: skip
    json_or_table(told, json_path, f"{plain(one.name)}: {len(items)} items", ("file", "state"),
                  [[plain(f.need.path), plain(_state(f))] for f in found])  # fmt: skip
    if json_path != "-":
        if complete:
            out.print(f"pictures: {pictures.usable} of {pictures.wanted} are there and can be read")
        _print_lacking("missing", pictures.missing)
        _print_lacking("unreadable", [f"{image} ({problem})" for image, problem in pictures.unreadable])
        if pictures.missing:
            out.print(f"  looked for under {plain(str(images or data))}; --images says where they are")
        if not complete:
            out.print(f"'trifacet benchmarks show {plain(one.name)}' says what goes where")
    ready = complete and pictures.usable == pictures.wanted and not any(f.state == "other" for f in found)
    if not ready:
        raise typer.Exit(EXIT_FINDINGS)


@app.command()
def prepare(
    name: NameArgument,
    data: DataOption,
    source: Annotated[Path, typer.Option(help="File or folder that the data are made of.", show_default=False)],
    set_: SetOption = None,
    file: FileOption = None,
) -> None:
    """Make those of a benchmark's files that come out of others you have.

    Example: trifacet benchmarks prepare chair --source coco/annotations --data data/chair --set sentences=punkt
    """
    from dataclasses import replace

    from trifacet.base.errors import DataError, TrifacetError
    from trifacet.benchmarks.registry import find_benchmark
    from trifacet.benchmarks.results import read_options

    one = find_benchmark(name, file)
    if one.prepare is None:
        raise TrifacetError(f"{one.name} has nothing to prepare; see 'trifacet benchmarks show {one.name}'")
    if not source.exists():
        raise DataError("no such file or folder", fix=one.prepare.what, file=source)
    reading = replace(one, options=one.prepare.options or one.options)
    out.print(plain(one.prepare.make(source, data, read_options(reading, {}, set_ or ()))))


app.command()(benchmark_runs.run)  # the order of the help is that of the work
app.command()(benchmark_runs.score)


def _options_of(options: type[Section]) -> dict[str, dict[str, str]]:
    """The keys of ``--set`` with their defaults and what they are."""
    return {
        key: {"default": str(field.get_default(call_default_factory=True)), "what": field.description or ""}
        for key, field in options.model_fields.items()
    }


def _print_lacking(what: str, pictures: Sequence[str]) -> None:
    for picture in pictures[:_LISTED]:
        out.print(f"  {what}: {plain(picture)}")
    if pictures[_LISTED:]:
        out.print(f"  {what}: and {len(pictures) - _LISTED} more")


def _state(found: FileFound) -> str:
    return {
        "known": f"{found.release}",
        "other": "another release than those known: numbers are marked as not official",
        "unknown": "there; no release is known to compare it with",
        "made": "; ".join([f"made of {found.release or 'other files'}", *found.problems]),
        "own": "there; your own choice",
        "unread": "not read: another file holds the same",
        "missing": f"missing; source: {found.need.source}",
        "left out": "not there; it may be left out",
    }[found.state]
