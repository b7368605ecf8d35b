"""The presets can be listed and copied, and a copy stands alone and is the same recipe."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml

from trifacet.building.recipe import load_build_recipe
from trifacet.cli.recipes import FOLDER
from trifacet.evolving.settings import load_evolve_recipe
from trifacet.training.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.relative_to(ROOT / "recipes").with_suffix("").as_posix() for path in ROOT.glob("recipes/**/*.yaml"))


def meaning(path):
    """What a preset says, read as the command that it is for reads it."""
    text = path.read_text(encoding="utf-8")
    if text.startswith("# trifacet evolve "):
        return load_evolve_recipe(path)
    values = yaml.safe_load(text)
    if "compute_environment" in values:  # accelerate's own
        return values
    return load_build_recipe(path) if "sources" in values else load_recipe(path)


def test_the_list_is_the_repositorys_folder_with_first_lines(trifacet):
    code, out, _ = trifacet("recipes", "--json", "-")
    rows = {row["recipe"]: row for row in json.loads(out)["recipes"]}
    assert code == 0 and list(rows) == NAMES and all(row["what"] for row in rows.values())
    assert FOLDER.resolve() == ROOT / "recipes"
    assert rows["llava-1.6-7b-mcm-dpo"] == {
        "recipe": "llava-1.6-7b-mcm-dpo",
        "what": "MCM-DPO as its paper writes it (arXiv 2510.00647, eq. 2): seven weighted log-sigmoids, added",
        "command": "trifacet run llava-1.6-7b-mcm-dpo.yaml --set data.root=FOLDER",
    }
    code, out, _ = trifacet("recipes")
    assert code == 0 and "ablations/without-pair" in out
    assert len(out.split("\n")) < 3.5 * len(NAMES)  # at 80 columns: what a preset is has room


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_stands_alone_and_is_the_same_recipe(trifacet, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert trifacet("recipes", "copy", name, "my own.yaml")[:2] == (0, "my own.yaml\n")
    copied = tmp_path / "my own.yaml"
    assert list(tmp_path.iterdir()) == [copied]
    assert meaning(copied) == meaning(ROOT / "recipes" / f"{name}.yaml")
    first, _, rest = copied.read_text(encoding="utf-8").partition("\n")
    assert "'my own.yaml'" in first and f"recipes/{name}.yaml" not in first
    original = (ROOT / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    if "\nextends:" not in original:
        assert rest == original.partition("\n")[2], "with its comments"


def test_what_is_there_is_replaced_only_where_asked(trifacet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert trifacet("recipes", "copy", "demo")[:2] == (0, "demo.yaml\n")
    (tmp_path / "demo.yaml").write_text("mine")
    code, _, err = trifacet("recipes", "copy", "demo")
    assert code == 2 and "demo.yaml is there already; name another file, or say --overwrite" in err
    assert (tmp_path / "demo.yaml").read_text() == "mine"
    assert trifacet("recipes", "copy", "demo", "--overwrite")[0] == 0
    assert (tmp_path / "demo.yaml").read_text() != "mine"
    (tmp_path / "sub").mkdir()
    assert trifacet("recipes", "copy", "ablations/without-pair", "sub")[:2] == (0, "sub/without-pair.yaml\n")


@pytest.mark.parametrize(
    ("name", "said"), [("demmo", "did you mean 'demo'"), ("../recipes/demo", "no preset '../recipes/demo'")]
)
def test_no_such_preset(trifacet, tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = trifacet("recipes", "copy", name)
    assert code == 2 and said in err and not list(tmp_path.iterdir())


def test_every_preset_is_package_data():
    package = ROOT / "src" / "trifacet"
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["trifacet"]
    packed = {file.relative_to(package).as_posix() for pattern in patterns for file in package.glob(pattern)}
    assert {f"recipes/{name}.yaml" for name in NAMES} <= packed
