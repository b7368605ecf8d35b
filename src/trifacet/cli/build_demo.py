"""The demo of a build: raw posts with planted faults through all steps, and which of the faults were caught.

``python -m trifacet.cli.build_demo`` writes the posts, serves their images and a scripted model on loopback, runs
``trifacet build`` and then ``trifacet run`` on what came out.
Invariant: what it tells of a build is read from the build's events and from ``planted.jsonl``, nothing else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from trifacet.base.files import write_atomically
from trifacet.demo.endpoint_server import Faults, ScriptedEndpoint
from trifacet.demo.facts import NAMES
from trifacet.demo.raw import Planted, write_raw_posts
from trifacet.demo.raw_texts import PUBLIC
from trifacet.demo.scribe import Scribe

DEFAULT = Path("builds/demo")  # where the recipes look
_GONE = ("drop", "fail")
_TEXTS = ("context", "alt")
UNJUDGED = ("verify",)  # sound rows may leave here: the pair was not good enough, the post was
_COLUMNS = ("planted", "rows", "right", "elsewhere", "missed", "expected")  # 80 characters are enough for all


def audit(planted: Sequence[Planted], events: Iterable[Mapping[str, Any]], rows: int) -> list[list[Any]]:
    """What became of each kind of fault, then of the sound rows; rows of ``_COLUMNS``.

    Args:
        planted: the faults.
        events: the build's events: mappings with ``row``, ``name`` (of the step), ``verdict`` and ``field``.
        rows: how many rows the sources have.
    """
    story: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for event in events:
        if event["verdict"] != "change" or event["field"] in _TEXTS:
            story[event["row"]].append((event["name"], event["verdict"]))
    results: dict[str, Counter[str]] = {}
    expected: dict[str, str] = {}
    for one in planted:
        results.setdefault(one.planted, Counter())[_became(one, story)] += 1
        wanted = "one gone" if one.expected == "one of two" else one.expected
        expected[one.planted] = ": ".join(filter(None, [wanted, " or ".join(one.steps)]))
    faulty = {one.row for one in planted} | {one.twin for one in planted}
    sound = [row for row in range(rows) if row not in faulty]
    results["(none)"] = Counter(_became(Planted(row, "", "", "kept", ()), story) for row in sound)
    expected["(none)"] = f"kept, or gone: {' '.join(UNJUDGED)}"
    kinds = _COLUMNS[2:5]
    return [
        [kind, found.total(), *(found[name] for name in kinds), expected[kind]]
        for kind, found in sorted(results.items(), key=lambda item: (item[0] == "(none)", item[0]))
    ]


def _became(one: Planted, story: Mapping[int, list[tuple[str, str]]]) -> str:
    """Whether what was expected came true (to be kept is to stay unchanged); else whether another step dropped it.

    One of ``_COLUMNS``: "right", "elsewhere" (another step dropped it) or "missed".
    """
    told = story.get(one.row, [])
    leavers = [name for name, verdict in told if verdict in _GONE]
    own = {verdict for name, verdict in told if name in one.steps}
    match one.expected:
        case "kept":
            fine = not set(leavers) - set(UNJUDGED) and "change" not in {verdict for _, verdict in told}
        case "gone":
            fine = bool(own & set(_GONE))
        case "changed":
            fine = "change" in own
        case "noticed":
            fine = bool(own)
        case _:  # one of two
            twin = [name for name, verdict in story.get(one.twin or 0, []) if verdict in _GONE]
            fine = bool(set(leavers) & set(one.steps)) != bool(set(twin) & set(one.steps))
    return "right" if fine else "elsewhere" if set(leavers) - set(one.steps) else "missed"


def save_name_finder(folder: Path) -> None:
    """A spaCy pipeline that knows the world's names, and the list of those that may be named."""
    import spacy

    pipeline: Any = spacy.blank("en")
    ruler = pipeline.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PERSON", "pattern": name} for name in NAMES])
    pipeline.to_disk(folder / "names")
    write_atomically(folder / "public-names.txt", "".join(f"{name}\n" for name in PUBLIC))


@contextmanager
def serving(folder: Path, port: int) -> Iterator[str]:
    """The files of a folder on loopback; gives the address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def recipe_in(output: Path, name: str) -> Path:
    """The recipe of that name, or a copy of it that looks below ``output``."""
    path = Path("recipes") / name
    if output == DEFAULT:
        return path
    copy = output / name
    write_atomically(copy, path.read_text(encoding="utf-8").replace(DEFAULT.as_posix(), output.as_posix()))
    return copy


def main(arguments: Sequence[str] | None = None) -> int:
    """The demo; returns the exit code of the command that failed, or 0."""
    parser = argparse.ArgumentParser(prog="python -m trifacet.cli.build_demo", description=__doc__)
    parser.add_argument("--posts", type=int, default=600, help="raw posts [600]")
    parser.add_argument("--output", type=Path, default=DEFAULT, help=f"folder of everything [{DEFAULT}]")
    parser.add_argument(
        "--faults", type=float, default=0.2, help="share of the scripted model's answers that fail [.2]"
    )
    parser.add_argument("--planted", type=float, default=0.3, help="share of the posts with a fault [.3]")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--port", type=int, default=8765, help="of the model; images are served at the next [8765]")
    parser.add_argument("--no-training", action="store_true", help="end with the build")
    options = parser.parse_args(arguments)
    raw = options.output / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    # a model that is lazy in 3 of 10 attempts, and biased about one pair in 20, gives the verification work to do
    scribe, faults = Scribe(lazy=0.3, position_bias=0.05), Faults.mixed(options.faults, slow=0.2)
    with serving(raw, options.port and options.port + 1) as images, _endpoint(scribe, faults, options.port) as model:
        planted = write_raw_posts(raw, options.posts, options.seed, 160, faults=options.planted, base_url=images)
        save_name_finder(raw)
        recipe = recipe_in(options.output, "build-demo.yaml")
        code = _trifacet("build", str(recipe), "--set", f"models.scripted.base_url={model.base_url}")
        calls = model.calls
    if code:
        return code
    _tell(recipe, planted, options.posts)
    failed = sum(calls.faults.values())
    print(f"the model: {calls.received} requests, {failed} failed on purpose, {calls.twice} paid twice")
    return 0 if options.no_training else _trifacet("run", str(recipe_in(options.output, "build-demo-train.yaml")))


def _endpoint(scribe: Scribe, faults: Faults, port: int) -> ScriptedEndpoint:
    return ScriptedEndpoint(scribe, faults, port=port)


def _trifacet(*arguments: str) -> int:
    print("$ trifacet", *arguments, flush=True)
    return subprocess.run([sys.executable, "-m", "trifacet", *arguments], check=False).returncode


def _tell(recipe: Path, planted: Sequence[Planted], posts: int) -> None:
    from trifacet.building.plan import stages_of
    from trifacet.building.recipe import load_build_recipe
    from trifacet.building.stage_folder import events_of
    from trifacet.cli.common import print_table

    build = load_build_recipe(recipe)
    title = "planted faults: right (as expected), elsewhere (left at another step), missed"
    print_table(title, list(_COLUMNS), audit(planted, events_of(stages_of(build)), posts))
    print(f"what became of the posts: {build.folder / 'funnel.html'}")


if __name__ == "__main__":
    sys.exit(main())
