"""``trifacet lint``: what is wrong with alt-texts, place by place. Invariant: reads, never writes what it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.base.words import listed
from trifacet.cli.common import ERROR, EXIT_BAD_INPUT, EXIT_FINDINGS, err, json_or_table, out, plain, write_json
from trifacet.cli.options import a_number, language_codes
from trifacet.settings.section import MOST

if TYPE_CHECKING:
    from trifacet.base.errors import DataError
    from trifacet.lettering.settings import Reading
    from trifacet.lint.linting import LintCounts, LintSettings, Told
    from trifacet.lint.rule import Rule

_COLOURS = {"error": "bold red", "warning": "yellow"}


def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files or folders of HTML, Markdown and rows; - for standard input.", show_default=False),
    ] = None,
    *,
    format: Annotated[
        str,
        typer.Option(
            help="auto (by the ending), html, markdown, jsonl, json, parquet, csv, tsv, or text: one per line."
        ),
    ] = "auto",
    column: Annotated[str | None, typer.Option(help="Column of the alt-texts, where its name does not say so.")] = None,
    context_column: Annotated[str | None, typer.Option(help="Column of the posts, for 'repeats the post'.")] = None,
    platform: Annotated[
        str | None, typer.Option(help="Whose limit holds: x, instagram, pinterest, mastodon or bluesky.")
    ] = None,
    max_chars: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Warn of longer texts; by default of none.")
    ] = None,
    min_words: Annotated[int, typer.Option(min=0, max=10_000, help="Warn of texts with fewer words.")] = 3,
    max_images: Annotated[
        int, typer.Option(min=1, max=MOST, help="Warn of a text that more different images have.")
    ] = 4,
    read: Annotated[
        bool,
        typer.Option("--read", help="Read the words in pictures of this machine, for the rules about them (see docs)."),
    ] = False,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With --read: folder that rows name pictures in, and pages with a leading /. [default: the rows' own]",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="With --read: rapidocr, or tesseract for other letters, as in trifacet read.")
    ] = "rapidocr",
    languages: Annotated[
        str, typer.Option(metavar="CODES", help="With --read: Tesseract's codes of the languages: eng,rus,chi_sim.")
    ] = "eng",
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With --read: where readings are kept. [default: in the user's cache]",
            show_default=False,
        ),
    ] = None,
    min_lettering: Annotated[
        float,
        typer.Option(
            min=0, max=1, callback=a_number, help="Warn where a smaller share of the prominent words is told."
        ),
    ] = 0.5,
    letter_height: Annotated[
        float,
        typer.Option(
            min=0, max=1, callback=a_number, help="Smallest prominent letters, a share of the square root of the area."
        ),
    ] = 0.03,
    rules: Annotated[
        str,
        typer.Option(
            help="own, or compat: the verdicts of @double-great/alt-text 3.2.1. With package.module:name, rules of "
            "your own, which are run: beside ours as own,package.module:name."
        ),
    ] = "own",
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="Leave this rule out; give it again, or with commas.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="RULE", help="Ask these rules and no other.")] = None,
    level: Annotated[str, typer.Option(help="error: errors only; warning: both.")] = "warning",
    warnings_as_errors: Annotated[
        bool, typer.Option("--warnings-as-errors", help="Leave with 1 where there is a warning.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the counts only.")] = False,
    sarif: Annotated[
        str | None, typer.Option("--sarif", metavar="PATH", help="Write SARIF 2.1.0; - for standard output.")
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the findings as JSON; - for standard output.")
    ] = None,
    explain: Annotated[
        str | None, typer.Option(metavar="RULE", help="Say what this rule looks for, with an example.")
    ] = None,
    list_rules: Annotated[bool, typer.Option("--list", help="List the rules.")] = False,
) -> None:
    """Check alt-texts: in pages, in rows of data, in generated texts. Leaves with 1 on errors, 2 on bad input.

    Example: trifacet lint site/ --sarif lint.sarif

    Example: trifacet lint sft.jsonl --platform mastodon --json findings.json

    Example: trifacet lint posts.jsonl --read --images photos/

    Example: trifacet lint --explain very-short
    """
    from trifacet.base.errors import TrifacetError
    from trifacet.lettering.prominent import Prominence
    from trifacet.lint.columns import TextColumns
    from trifacet.lint.linting import LintSettings
    from trifacet.lint.pictures import PicturesRead
    from trifacet.lint.rule import LetteringLimits

    if level not in _COLOURS:
        raise TrifacetError(f"unknown level {level!r}; known are {', '.join(_COLOURS)}")
    settings = LintSettings(
        rule_set=rules, platform=platform, max_chars=max_chars, min_words=min_words, max_images=max_images,
        ignore=_names(ignore), only=_names(only), errors_only=level == "error",
        columns=TextColumns(column, context_column),
        read=PicturesRead(reading_of(engine, languages), images, cache) if read else None,
        limits=LetteringLimits(min_lettering, prominence=Prominence(least_height=letter_height)),
    )  # fmt: skip
    if not read and (images or cache):
        raise TrifacetError("--images and --cache are for pictures that are read; add --read")
    if list_rules or explain:
        _tell_rules(settings, explain, json_path)
        return
    if sarif == json_path == "-":
        raise TrifacetError("--sarif - and --json - both go to standard output; give one of them a path")
    counts, problems = _check(paths or [], format, settings, quiet=quiet, sarif=sarif, json_path=json_path)
    if problems:
        raise typer.Exit(EXIT_BAD_INPUT)
    if counts.errors or (warnings_as_errors and counts.warnings):
        raise typer.Exit(EXIT_FINDINGS)


def _check(
    paths: Sequence[Path], format: str, settings: LintSettings, *, quiet: bool, sarif: str | None, json_path: str | None
) -> tuple[LintCounts, list[DataError]]:
    """Check the paths, print and write what was found."""
    from trifacet.base.errors import TrifacetError
    from trifacet.lint.linting import LintCounts, lint_documents
    from trifacet.lint.sarif import sarif_log
    from trifacet.lint.sources import DOCUMENT_FORMATS, documents

    if format not in DOCUMENT_FORMATS:
        raise TrifacetError(f"unknown format {format!r}; known are {', '.join(DOCUMENT_FORMATS)}")
    if not paths:
        raise TrifacetError("nothing to check; give files, folders, or - for standard input")
    to_check = list(documents(paths, format))
    if not to_check:
        raise TrifacetError(f"{paths[0]} holds no file to check; see --format for the kinds that are read")
    problems: list[DataError] = []
    counts, found = LintCounts(), []
    printed = "-" not in (sarif, json_path)
    for told in lint_documents(to_check, settings, counts, problems.append):
        if sarif or json_path:
            found.append(told)
        if printed and not quiet:
            out.tell(*_line(told))
    for problem in problems:
        err.tell(ERROR, f" {plain(str(problem))}")
    if sarif:
        write_json(sarif_log(found, settings.rules, problems), sarif)
    if json_path:
        write_json(_document(found, settings, counts, problems), json_path)
    if printed:
        out.print(_summary(counts, len(problems)))
    return counts, problems


def reading_of(engine: str, languages: str) -> Reading:
    """How pictures are read. Raises TrifacetError for an unknown engine."""
    from trifacet.base.errors import TrifacetError
    from trifacet.lettering.settings import Reading

    if engine not in (known := ("rapidocr", "tesseract")):
        raise TrifacetError(f"unknown engine {engine!r}; known are {', '.join(known)}")
    return Reading(engine=engine, languages=language_codes(languages))


def _names(given: Sequence[str] | None) -> list[str]:
    return [name.strip() for part in given or () for name in part.split(",") if name.strip()]


def _line(told: Told) -> tuple[str, tuple[str, str], str]:
    alt, finding = told.alt, told.finding
    places = [told.document]
    if alt.line is not None:
        places.append(str(alt.line))
    if alt.column is not None:
        places.append(str(alt.column))
    if alt.row is not None:
        places.append(f"row {alt.row}")
    which = f" ({plain(alt.id[:80])})" if alt.id else ""
    image = f" (image {plain(alt.image[:80])})" if alt.image and alt.column is not None else ""
    said = f" {plain(finding.rule)}: {plain(finding.cause)}{image}; {plain(finding.cure)}"
    return f"{plain(':'.join(places))}:{which} ", (finding.level, _COLOURS[finding.level]), said


def _summary(counts: LintCounts, problems: int) -> str:
    """One line; the rules behind it, the most frequent first."""
    unasked = [(counts.decorative, "decorative"), (counts.templates, "filled in by a template")]
    beside = "".join(f", {count} {words}" for count, words in unasked if count)
    names = [repr(name[:40]) for name, _ in counts.columns.most_common()]
    columns = f" from column{'s' * (len(names) != 1)} {plain(listed(names))}" if names else ""
    rules = ", ".join(f"{plain(name)} {count}" for name, count in counts.rules.most_common())
    pictures = counts.pictures
    looked = [
        (pictures.read, "read"),
        (pictures.cannot_read, "with letters that cannot be read"),
        (pictures.not_at_hand, "not at hand (--images says in which folder they are)"),
    ]
    read = ", ".join(f"{count} {words}" for count, words in looked if count)
    unread = "1 file or row" if problems == 1 else f"{problems} files or rows"
    return (
        f"{counts.files} file{'s' * (counts.files != 1)}, "
        f"{counts.texts} text{'s' * (counts.texts != 1)}{columns}{beside}: "
        f"{counts.errors} error{'s' * (counts.errors != 1)}, {counts.warnings} warning{'s' * (counts.warnings != 1)}, "
        f"{counts.clean} clean{f' ({rules})' if rules else ''}"
        f"{f'; pictures: {read}' if read else ''}"
        f"{f'; {unread} could not be read' if problems else ''}"
    )


def _document(
    found: list[Told], settings: LintSettings, counts: LintCounts, problems: Sequence[Exception]
) -> dict[str, Any]:
    return {
        "rules": settings.rule_set,
        "files": counts.files,
        "texts": counts.texts,
        "clean": counts.clean,
        "decorative": counts.decorative,
        "templates": counts.templates,
        "errors": counts.errors,
        "warnings": counts.warnings,
        "columns": dict(counts.columns.most_common()),
        "pictures": asdict(counts.pictures),
        "by_rule": dict(counts.rules.most_common()),
        "problems": [str(problem) for problem in problems],
        "findings": [
            {
                "path": told.document,
                "line": told.alt.line,
                "column": told.alt.column,
                "row": told.alt.row,
                "id": told.alt.id or None,
                "image": told.alt.image or None,
                "level": told.finding.level,
                "rule": told.finding.rule,
                "message": told.finding.message,
                "found": told.finding.found,
                "cure": told.finding.cure,
                "text": told.alt.text,
            }
            for told in found
        ],
    }


def _tell_rules(settings: LintSettings, explain: str | None, json_path: str | None) -> None:
    from trifacet.base.errors import TrifacetError
    from trifacet.lint.linting import RULE_SETS

    known = {rule.name: rule for rules in (*RULE_SETS.values(), settings.every_rule) for rule in rules}
    if explain and explain not in known:
        raise TrifacetError(f"unknown rule {explain!r}; known are {', '.join(known)}")
    chosen = [known[explain]] if explain else list(settings.rules)
    document = {"rules": [_told_rule(rule) for rule in chosen]}
    if not explain:
        rows = [(plain(rule.name), rule.level, plain(rule.message)) for rule in chosen]
        json_or_table(
            document, json_path, f"{plain(settings.rule_set)} rules", ("rule", "level", "what it finds"), rows
        )
        return
    if json_path:
        write_json(document, json_path)
    if json_path != "-":
        rule = chosen[0]
        given = "".join(f", where {name.replace('_', ' ')} is {value!r}" for name, value in _given(rule).items())
        out.tell((plain(rule.name), "bold"), f" ({rule.level}): {plain(rule.message)}")
        out.print(f"looks for: {plain(rule.detail)}")
        out.print(f"example: {plain(rule.example) if rule.example.strip() else '(nothing to read)'}{plain(given)}")
        out.print(f"cure: {plain(rule.cure)}")


def _told_rule(rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.name,
        "level": rule.level,
        "message": rule.message,
        "detail": rule.detail,
        "cure": rule.cure,
        "example": rule.example,
        "given": _given(rule),
    }


def _given(rule: Rule) -> dict[str, Any]:
    """What is known in a rule's example; of lettering its words."""
    return {name: getattr(value, "text", value) for name, value in rule.given.items()}
