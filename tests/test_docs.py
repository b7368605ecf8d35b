"""The docs: links lead somewhere, YAML is YAML, objectives and recipes that they name are there."""

import re
from pathlib import Path

import pytest
import yaml

from trifacet.preferences.objectives import OBJECTIVES, resolve_objective

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def anchors(page):
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def definitions(values):
    """Every objective defined in a YAML value."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from [value] if key == "objective" else definitions(value)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_yaml_can_be_used_as_it_stands(page):
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "yaml":
            for definition in definitions(yaml.safe_load(block)):
                resolve_objective(definition)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_recipes_that_are_named_are_there(page):
    for name in re.findall(r"recipes/[\w./-]+\.yaml", page.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file(), name


def test_every_named_objective_is_explained():
    page = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")
    assert not [name for name in OBJECTIVES if f"| `{name}` |" not in page]


def test_files_that_contributing_names_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = [name for name in re.findall(r"`([\w./-]+(?:/|\.\w+))`", text) if "/" in name and "NAME" not in name]
    homes = (ROOT, ROOT / "src" / "trifacet")
    assert len(named) > 20
    assert [name for name in named if not any((home / name).exists() for home in homes)] == []
