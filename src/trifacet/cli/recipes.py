"""``trifacet recipes``: the presets, and a copy of one to change.

Invariant: a copy stands alone and does what the preset does. The presets are the repository's ``recipes/``, which a
link puts into the package.
"""

from __future__ import annotations

import difflib
import re
import shlex
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from trifacet.base.errors import TrifacetError
from trifacet.cli.common import json_or_table, out, plain

FOLDER = Path(__file__).resolve().parents[1] / "recipes"

app = typer.Typer(help="Presets: list them, or copy one to change it.")


class Preset(NamedTuple):
    """A preset by its name, such as ``ablations/without-pair``: the comment that it begins with, and what follows."""

    name: str
    comment: list[str]
    body: str

    @property
    def command(self) -> str:
        """The first line: what a copy of its own name is started by."""
        return self.started_as(Path(self.name).name + ".yaml")

    @property
    def what(self) -> str:
        """The first sentence of the comment."""
        words = " ".join(line.lstrip("# ") for line in self.comment[1:])
        return re.split(r"\.(?: +(?=[A-Z])|$)", words.strip())[0]

    def started_as(self, path: str) -> str:
        """The first line for a copy at ``path``."""
        return self.comment[0].removeprefix("# ").replace(f"recipes/{self.name}.yaml", shlex.quote(path))


def preset_names() -> list[str]:
    """The presets' names."""
    return sorted(file.relative_to(FOLDER).with_suffix("").as_posix() for file in FOLDER.rglob("*.yaml"))


@app.callback(invoke_without_command=True)
def recipes(
    context: typer.Context,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the list as JSON; - for standard output.")
    ] = None,
) -> None:
    """The presets, with what each is; `copy` writes one, whose first line is the command that starts it.

    Example: trifacet recipes
    """
    if context.invoked_subcommand is not None:
        return
    found = [_read(name) for name in preset_names()]
    rows = [{"recipe": one.name, "what": one.what, "command": one.command} for one in found]
    table = [[plain(row["recipe"]), plain(row["what"])] for row in rows]
    json_or_table({"recipes": rows}, json_path, "presets", ("recipe", "what it is"), table)


@app.command()
def copy(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A preset, as the list names it.",
            show_default=False,
            autocompletion=preset_names,
        ),
    ],
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="File or folder to write to. [default: NAME.yaml]", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write a preset as one file that stands alone, and print its path.

    Example: trifacet recipes copy llava-1.6-7b-mcm-dpo mine.yaml
    """
    from trifacet.base.files import write_atomically

    preset, own = _read(name), f"{Path(name).name}.yaml"
    target = path / own if path is not None and path.is_dir() else path or Path(own)
    if target.exists() and not overwrite:
        raise TrifacetError(f"{target} is there already; name another file, or say --overwrite")
    comment = [f"# {preset.started_as(str(target))}", *preset.comment[1:]]
    write_atomically(target, "\n".join([*comment, _whole(preset)]))
    out.print(plain(str(target)))


def _read(name: str) -> Preset:
    """The preset. Raises TrifacetError, naming the nearest, where there is none."""
    if name not in (names := preset_names()):
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "`trifacet recipes` lists them"
        raise TrifacetError(f"no preset {name!r}; {hint}")
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").split("\n")
    end = next(place for place, line in enumerate(lines) if not line.startswith("#"))
    return Preset(name, lines[:end], "\n".join(lines[end:]))


def _whole(preset: Preset) -> str:
    """The body; of one that extends another, all keys of both."""
    from trifacet.settings.reading import read_values
    from trifacet.settings.yaml_values import as_yaml

    if not preset.body.startswith("extends:"):
        return preset.body
    return as_yaml(read_values(FOLDER / f"{preset.name}.yaml"))
