"""Objects of the user's own are found by name, and nothing is imported that was not named."""

import sys

import pytest

from trifacet.base.errors import TrifacetError
from trifacet.base.extensions import extension_file, is_extension, load_extension
from trifacet.data.formats import read_samples
from trifacet.lint.linting import RULES, LintSettings
from trifacet.training.recipe import make_recipe

RULE = "from trifacet.lint import Rule\nLOUD = Rule('loud', 'warning', 'm', 'c', 'A!', lambda case: '')\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory of one's own; modules that a test made are forgotten after it."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def installed(here, monkeypatch):
    """An installed package with two entry points; each module says when it is run."""
    site = here / "site"
    info = site / "own_plugins-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-plugins\nVersion: 1.0\n")
    points = "[trifacet.rule]\nloud = own_plugin_a:LOUD\n[trifacet.metric]\nother = own_plugin_b:LOUD\n"
    (info / "entry_points.txt").write_text(points)
    for name in ("own_plugin_a", "own_plugin_b"):
        (site / f"{name}.py").write_text(RULE)
    monkeypatch.syspath_prepend(str(site))
    return site


def test_a_module_of_the_working_directory_is_found_and_the_path_is_left_as_it_was(here):
    (here / "own_found.py").write_text("class Shelf:\n    box = {'a': 1}\n")
    before = list(sys.path)
    assert load_extension("own_found:Shelf.box", "metric", dict) == {"a": 1}
    assert sys.path == before
    assert extension_file("own_found:Shelf.box", "metric") == here / "own_found.py"


def test_what_lies_in_the_working_directory_is_put_before_nothing_that_is_installed(here):
    (here / "colorsys.py").write_text("rgb_to_hsv = 'stolen'\n")
    assert callable(load_extension("colorsys:rgb_to_hsv", "metric"))


def test_an_entry_point_is_imported_where_it_is_named_and_no_other(installed):
    assert is_extension("loud", "rule") and not is_extension("loud", "metric")
    assert "own_plugin_a" not in sys.modules, "asking whether there is one imports nothing"
    assert load_extension("loud", "rule").name == "loud"
    assert "own_plugin_a" in sys.modules and "own_plugin_b" not in sys.modules
    assert extension_file("loud", "rule") == installed / "own_plugin_a.py"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_absent:THING", r"own_absent cannot be imported \(ModuleNotFoundError"),
        ("own_broken:THING", r"own_broken cannot be imported \(ZeroDivisionError: division by zero\)"),
        ("own_rules:LOUT", "own_rules has no 'LOUT'; did you mean 'LOUD'"),
        ("own_rules:LOUD", "is of type Rule; name an object of type dict or list"),
        ("own_rules:", "names no object; write package.module:name"),
        (":LOUD", "names no object"),
        ("../own_rules:LOUD", "names no object"),
        ("nobody", r"unknown rule 'nobody'; write package.module:name, or .* in the group trifacet.rule"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_says_what_would_be_right(here, name, said):
    (here / "own_rules.py").write_text(RULE)
    (here / "own_broken.py").write_text("1 / 0\n")
    with pytest.raises(TrifacetError, match=said) as problem:
        load_extension(name, "rule", (dict, list))
    assert "\n" not in str(problem.value) and "rule" in str(problem.value)


def test_a_row_that_an_own_format_cannot_read_is_named(here):
    (here / "own_format.py").write_text(
        "from trifacet.data.formats import Format\n"
        "ROWS = Format(lambda row: {'image': row['photo'], 'response': 'A.'})\n"
    )
    (here / "rows.jsonl").write_text('{"photo": "a.png"}\n{"foto": "b.png"}\n')
    with pytest.raises(TrifacetError, match=r"rows.jsonl, row 2: cannot be read by .* \(KeyError: 'photo'\); correct"):
        read_samples(here / "rows.jsonl", "sft", "own_format:ROWS")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"format": "tryl"}}, "data.format: unknown format 'tryl'; did you mean 'trl'"),
        ({"data": {"format": "own_x:F"}}, "data.format: format 'own_x:F': own_x cannot be imported"),
        ({"align": {"a": {"objective": "own_x:O"}}}, "align.a: objective 'own_x:O': own_x cannot be imported"),
        ({"align": {"a": {"objective": "colorsys:ONE_THIRD"}}}, "is of type float; name an object of type Objective"),
    ],
)
def test_a_recipe_that_names_what_is_not_there_is_refused_by_its_key(here, changes, said):
    with pytest.raises(TrifacetError, match=said):
        make_recipe({"name": "n", "output": "o", "model": {"path": "m"}, "data": {}} | changes)


def test_rules_of_ones_own_stand_alone_or_beside_ours(here):
    (here / "own_loud.py").write_text(RULE)
    assert [rule.name for rule in LintSettings(rule_set="own_loud:LOUD").rules] == ["loud"]
    assert [rule.name for rule in LintSettings(rule_set="own, own_loud:LOUD", ignore=["loud"]).rules] == [
        rule.name for rule in RULES if not rule.reads
    ]
    for names, said in (("own_loud:LOUD,own_loud:LOUD", "two rules are called"), ("own,compat", "stand alone"),
                        ("ours", "unknown rule set 'ours'; known are own, compat")):  # fmt: skip
        with pytest.raises(TrifacetError, match=said):
            LintSettings(rule_set=names)
