"""``trifacet alt wordpress``: a WordPress site's pictures out by its REST API, decided texts in place there, and back.

Invariant: ``plan`` and every dry run send nothing that changes the site; the application password comes from the
environment or a file, goes to the site that is named on the command line or in the environment alone, and is printed
and kept nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trifacet.base.words import visible_line
from trifacet.cli.alt import app as alt
from trifacet.cli.alt_suggest import QUEUE, WhoOption, who_is
from trifacet.cli.common import EXIT_FINDINGS, WARNING, err, out, plain, write_json

if TYPE_CHECKING:
    from trifacet.describing.queue import Queue
    from trifacet.describing.wordpress.plan import Plan
    from trifacet.describing.wordpress.putting import Result
    from trifacet.describing.wordpress.site import Site

app = typer.Typer(
    help="A WordPress site: its pictures out, decided texts in place through its REST API, and out again.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
SiteOption = Annotated[
    str, typer.Option(envvar="WORDPRESS_SITE", metavar="URL", help="The site, such as https://example.org.")
]
UserOption = Annotated[
    str, typer.Option(envvar="WORDPRESS_USER", metavar="NAME", help="The account that has the application password.")
]
PasswordOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File that holds the application password. \\[default: the environment's WORDPRESS_APPLICATION_PASSWORD]",
        show_default=False,
    ),
]
JournalOption = Annotated[Path, typer.Option(metavar="DIR", help="Where old texts are kept, for undo.")]
JsonOption = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write what became of each post as JSON; - for standard output."),
]
QueueOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The queue that the texts came from, which notes what stands there. "
        "\\[default: alt-queue.sqlite, where there is one]",
        show_default=False,
    ),
]
_JOURNAL = Path(".trifacet-wordpress")
_PLAN = Path("wordpress-plan.json")


@app.command()
def fetch(
    *,
    site: SiteOption,
    user: UserOption = "",
    password_file: PasswordOption = None,
    output: Annotated[Path, typer.Option(metavar="FILE", help="The export (WXR).")] = Path("wordpress.xml"),
    type: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Kinds of posts: post, page, attachment ... Repeatable.")
    ] = None,
) -> None:
    """Write a site's posts with pictures, and its media library, as an export that 'trifacet alt' reads.

    Example: trifacet alt wordpress fetch --site https://example.org --user ada --output site.xml
    """
    from trifacet.base.files import replacing
    from trifacet.describing.wordpress.fetching import fetch as fetched

    with _opened(site, user, password_file) as opened:
        data, counts = fetched(opened, type or (), _warn)
    with replacing(output) as temporary:
        temporary.write_bytes(data)
    told = ", ".join(f"{count} {plain(kind)}" for kind, count in counts.items()) or "nothing with a picture"
    out.print(f"{plain(str(output))}: {told}")


@app.command()
def plan(
    queue: Annotated[Path, typer.Argument(metavar="QUEUE", help="The queue of suggestions.")] = QUEUE,
    *,
    output: Annotated[Path, typer.Option(metavar="FILE", help="The plan, as JSON.")] = _PLAN,
    site: Annotated[
        str, typer.Option(metavar="URL", help="The site, where it is not the one that the export tells.")
    ] = "",
    root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder that was scanned. \\[default: the queue's]", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Also where a text stands.")] = False,
    from_library: Annotated[
        bool,
        typer.Option(
            "--from-library",
            help="Give pictures of posts that have no text, or an empty one, the text of the media library.",
        ),
    ] = False,
) -> None:
    """Show what the accepted and edited texts of an export would change, and write it as a plan. Sends nothing.

    Example: trifacet alt wordpress plan alt-queue.sqlite --output wordpress-plan.json
    """
    from trifacet.describing.decided import DECIDED, decided
    from trifacet.describing.queue import Queue
    from trifacet.describing.wordpress.plan import write_plan
    from trifacet.describing.wordpress.planning import plan_of

    with closing(Queue(queue, writing=False)) as kept:
        folder = root or kept.root or Path()
        found = decided(kept.suggestions(states=DECIDED), folder)
    made, posts, others = plan_of(found, folder, site, overwrite=overwrite, from_library=from_library)
    problems = [str(problem) for problem in found.shown.values()]
    problems += [f"{one.name}: {one.problem}" for one in posts if one.problem]
    problems += [f"{len(found.old)} texts were suggested for an older export; suggest again"] if found.old else []
    for one in posts:
        _show(one.shown)
    write_plan(made, output)
    for problem in problems:
        _warn(problem)
    texts, left = sum(len(update.texts) for update in made.updates), sum(one.kept for one in posts)
    parts = [f"{plain(str(output))}: {len(made.updates)} fields of posts of {plain(made.site)}, {texts} texts"]
    parts += [f"{left} left as they are (--overwrite replaces them)"] if left else []
    parts += [f"{others} documents are no WordPress export (trifacet alt apply)"] if others else []
    out.print("; ".join(parts))
    if problems:
        raise typer.Exit(EXIT_FINDINGS)


@app.command()
def apply(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="What 'trifacet alt wordpress plan' wrote.")] = _PLAN,
    *,
    site: SiteOption,
    user: UserOption = "",
    password_file: PasswordOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the site, show what would change, and change nothing.")
    ] = False,
    queue: QueueOption = None,
    journal: JournalOption = _JOURNAL,
    who: WhoOption = "",
    json_path: JsonOption = None,
) -> None:
    """Put the texts of a plan in place on the site, and change nothing else there.

    A post that has changed since the export is left alone, and so is one of which WordPress would save more otherwise
    than the text; then it leaves with 1. After a kill the same command goes on.

    Example: trifacet alt wordpress apply wordpress-plan.json --site https://example.org --user ada
    """
    from trifacet.base.errors import TrifacetError
    from trifacet.describing.wordpress.connection import site_address
    from trifacet.describing.wordpress.noting import Noting
    from trifacet.describing.wordpress.plan import read_plan
    from trifacet.describing.wordpress.putting import apply as put

    made = read_plan(plan)
    if site_address(site) != made.site:
        raise TrifacetError(f"{plan} is for {made.site}, not for {site_address(site)}; name that site, or plan again")
    results: list[Result] = []
    with ExitStack() as stack:
        book = _queue(queue, stack, writing=not dry_run)
        opened = stack.enter_context(_opened(site, user, password_file))
        if dry_run:
            results = _preview(made, opened)
        else:
            noting = Noting(book, who_is(who))
            stack.callback(noting.applied, results)  # also what stands there when the run ends early
            put(made, opened, journal, allowed=noting.allowed, tell=_teller(results))
    _tell(results, json_path, "would change" if dry_run else "changed")


@app.command()
def undo(
    *,
    site: SiteOption,
    user: UserOption = "",
    password_file: PasswordOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All that was ever sent, not the last plan.")] = False,
    queue: QueueOption = None,
    journal: JournalOption = _JOURNAL,
    who: WhoOption = "",
    json_path: JsonOption = None,
) -> None:
    """Give back the texts and posts that stood on the site before the last 'trifacet alt wordpress apply'.

    What has changed since is left alone, and the command leaves with 1.

    Example: trifacet alt wordpress undo --site https://example.org --user ada
    """
    from trifacet.describing.wordpress.noting import Noting
    from trifacet.describing.wordpress.putting import undo as taken_out

    results: list[Result] = []
    with ExitStack() as stack:
        book = _queue(queue, stack, writing=True)
        opened = stack.enter_context(_opened(site, user, password_file))
        stack.callback(Noting(book, who_is(who)).undone, results)
        taken_out(opened, journal, everything=everything, tell=_teller(results))
    _tell(results, json_path, "given back")


@contextmanager
def _opened(site: str, user: str, password_file: Path | None) -> Iterator[Site]:
    from trifacet.describing.wordpress.connection import read_account, site_address
    from trifacet.describing.wordpress.site import Site

    address = site_address(site)
    with closing(Site.of(address, read_account(user, password_file), _warn)) as opened:
        yield opened


def _queue(named: Path | None, stack: ExitStack, *, writing: bool) -> Queue | None:
    """The queue that is told: the one that is named, else the usual one, where it is there."""
    from trifacet.describing.queue import Queue

    path = named or QUEUE
    if named is None and not path.is_file():
        return None
    if named is not None and not path.is_file():
        Queue(path, writing=False)  # says that there is none
    return stack.enter_context(closing(Queue(path, writing=writing)))


def _preview(made: Plan, site: Site) -> list[Result]:
    from trifacet.describing.wordpress.planning import Planned
    from trifacet.describing.wordpress.putting import Result, Told, previews

    results = []
    for update, old, new, problem in previews(made, site):
        _show(Planned(update.name, update, old, new).shown if old != new else "")
        told: Told = "applied" if old != new else "unchanged"
        if problem:
            told = "changed" if old else "refused"
        results.append(Result(update.name, told, len(update.texts) if told == "applied" else 0, problem))
        if problem:
            _warn(f"{update.name}: {problem}")
    return results


def _show(diff: str) -> None:
    for line in diff.split("\n")[:-1]:
        out.tell(visible_line(line.removesuffix("\r")))


def _teller(results: list[Result]) -> Callable[[Result], None]:
    def tell(result: Result) -> None:
        results.append(result)
        if result.problem:
            _warn(f"{result.name}: {result.problem}")

    return tell


def _warn(line: str) -> None:
    err.tell(WARNING, f" {plain(line)}")


def _tell(results: Sequence[Result], json_path: str | None, done: str) -> None:
    from dataclasses import asdict

    if json_path:
        write_json({"posts": [asdict(one) for one in results]}, json_path)
    if json_path != "-":
        counts = Counter(one.told for one in results)
        number = counts["applied"] + counts["undone"]
        texts = sum(one.texts for one in results if one.told != "unchanged")
        parts = [f"{number} field{'s' * (number != 1)} of posts {done}, {texts} text{'s' * (texts != 1)}"]
        parts += [f"{counts['unchanged']} with nothing to do"] if counts["unchanged"] else []
        parts += [f"{counts['changed']} changed since"] if counts["changed"] else []
        parts += [f"{counts['refused']} refused"] if counts["refused"] else []
        out.print("; ".join(parts))
    if any(one.problem for one in results):
        raise typer.Exit(EXIT_FINDINGS)


alt.add_typer(app, name="wordpress")
