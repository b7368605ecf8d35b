"""The table of families is what the command prints, what the docs show and what the tests cover."""

import json
from pathlib import Path

from tiny_families import MAKERS
from typer.testing import CliRunner

from trifacet.cli.families import markdown
from trifacet.cli.main import app
from trifacet.models.families import FAMILIES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "families.md"


def test_every_listed_family_has_its_row_and_its_tiny_checkpoint():
    assert markdown() in PAGE.read_text(encoding="utf-8"), "python -m trifacet.cli.pages brings it up to date"
    assert MAKERS.keys() == FAMILIES.keys()
    for name, known in FAMILIES.items():
        family = known.load()
        assert family.name == name
        assert ("dense" in known.trie) == family.needs_dense_mask


def test_the_command_prints_the_table():
    printed = CliRunner().invoke(app, ["families"]).output
    document = json.loads(CliRunner().invoke(app, ["families", "--json", "-"]).output)
    assert [row["model_type"] for row in document["families"]] == list(FAMILIES)
    assert all(name in printed for name in FAMILIES)
    assert {row["trie"] for row in document["families"]} == {"exact", "exact, by dense masks"}
