"""What a shell offers when a line of ``trifacet`` is completed."""

import pytest
from typer.testing import CliRunner

from trifacet.cli.main import app
from trifacet.cli.recipes import FOLDER, preset_names
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.training.recipe import load_recipe

DEMO = str(FOLDER / "demo.yaml")


def offered(line):
    environment = {
        "_TRIFACET_COMPLETE": "complete_bash",
        "COMP_WORDS": f"trifacet {line}",
        "COMP_CWORD": str(len(line.split(" "))),
    }
    return CliRunner().invoke(app, [], prog_name="trifacet", env=environment).stdout.split()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("recipes copy ", sorted(preset_names())),
        ("recipes copy ablations/", [name for name in sorted(preset_names()) if name.startswith("ablations/")]),
        (f"run {DEMO} --only ", load_recipe(DEMO).stages),
        (f"align {DEMO} --only m", [name for name in load_recipe(DEMO).stages if name[0] == "m"]),
        ("run nowhere.yaml --only ", []),
        (f"run {DEMO} --set align.dpo.objective=", [f"align.dpo.objective={name}" for name in OBJECTIVES]),
        (f"run {DEMO} --set sft.lear", ["sft.learning_rate="]),
        (f"run {DEMO} --set model.dtype=b", ["model.dtype=bfloat16"]),
        ("init --objective mdp", ["mdpo"]),
        ("init --model smo", ["smolvlm"]),
    ],
)
def test_names_are_completed(line, names):
    assert offered(line) == names
