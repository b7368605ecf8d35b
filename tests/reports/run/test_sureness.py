"""What a run's report says of how sure its numbers are: the comparison's numbers, and no star without a word."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fake_comparison import contestants
from fake_run import HOSTILE, add_comparison, make_run, write_json

from trifacet.base.errors import DataError
from trifacet.comparing.comparison import ComparisonSettings, compare, held_against_baseline
from trifacet.comparing.document import document
from trifacet.comparing.reading import read_comparison
from trifacet.evaluation.run_folder import ModelRun, read_run
from trifacet.reports.comparison.tables import interval_text
from trifacet.reports.run.report import render
from trifacet.reports.run.sureness import NOT_COMPARED, leaders, marked, sureness, sureness_document
from trifacet.reports.tables import summarise_runs
from trifacet.statistics.keys import TEXTS

ALL = ComparisonSettings(draws=200, pairs="all")


def accuracy(*names):
    """A comparison of these models in one metric, called as a metric of the report is."""
    some = [one for one in contestants() if one.name in names]
    found = [
        replace(one, measures={("", "meteor"): replace(one.measures["", "accuracy"], name="meteor")}) for one in some
    ]
    return compare(found, ALL)


def told(comparison, **degenerate):
    models = [
        ModelRun(
            name,
            metrics={"meteor": comparison.cells[name, ("", "meteor")].value},
            degenerate=degenerate.get(name),
        )
        for name in comparison.models
    ]
    return marked(summarise_runs(models), comparison)


def test_all_pairs_hold_what_the_baseline_alone_gives():
    assert held_against_baseline(compare(contestants(), ALL)).differences == (
        compare(contestants(), replace(ALL, pairs="baseline")).differences
    )


@pytest.mark.parametrize("count", [40, 1])
def test_a_comparison_comes_back_from_its_document(count):
    first, *others = contestants(count)
    measures = {
        **first.measures,
        ("", "errors"): replace(first.measures["", "errors"], unofficial="by hand"),
        (TEXTS, "own"): replace(first.measures["", "length"], name="own"),
    }
    others = [replace(one, measures={**one.measures, (TEXTS, "own"): measures[TEXTS, "own"]}) for one in others]
    before = document(compare([replace(first, measures=measures), *others], ALL))
    assert document(read_comparison(json.loads(json.dumps(before)), Path("scores.json"))) == before


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("settings", "correction"), "<b>", "comparison.settings.correction"),
        (("metrics", 0, "values", "good", "interval"), [1.0], "comparison.metrics.0.values.good.interval"),
        (("metrics", 0, "values"), {}, "comparison"),
        (("differences", 0, "metric"), "another", "comparison"),
        (("baseline",), "nobody", "comparison"),
    ],
)
def test_a_damaged_comparison_is_one_error_that_names_the_field(path, value, field):
    damaged = document(compare(contestants(), ALL))
    place = damaged
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(DataError, match=re.escape(f"scores.json, field '{field}")):
        read_comparison(damaged, Path("scores.json"))


def test_the_best_is_told_apart_or_said_not_to_be():
    apart = told(accuracy("base", "good"))
    assert leaders(apart) == ["METEOR – good is best, and told apart from every other model."]
    assert [cells[0].verdict for _, cells in apart.rows] == ["", "better"]
    alike = told(accuracy("base", "good", "twin"), good="repeats itself")
    assert leaders(alike) == ["METEOR – good (degenerated) is best, and told apart from every other model."]
    wide = [
        replace(
            one,
            measures={("", "meteor"): replace(measure, sums_UK=measure.sums_UK * [[1.0 + 0.1 * place, 1.0]])},
        )
        for place, one in enumerate(contestants(3))
        for measure in [one.measures["", "accuracy"]]
    ]
    few = told(compare(wide, ALL))
    assert leaders(few) == ["METEOR – twin has the best value, but no test tells it from base, good: it may be chance."]
    assert sureness_document(few, None)["best"] == {"meteor": {"models": ["twin"], "not_told_apart": ["base", "good"]}}


def test_a_report_says_which_of_its_numbers_are_not_official():
    comparison = accuracy("base", "good")
    cells = {key: replace(cell, unofficial="no punkt") for key, cell in comparison.cells.items()}
    for found, said in ((comparison, False), (replace(comparison, cells=cells), True)):
        assert ("meteor is not official: no punkt" in sureness(told(found), found).notes) is said


def test_charts_are_heard_under_the_names_that_are_seen():
    comparison = accuracy("base", "good")
    ((metric, _, chart),) = sureness(told(comparison), comparison).charts
    label = re.search(r'aria-label="([^"]*)"', chart)[1]
    assert label.startswith(f"{metric.title}: good less base +") and ", better, corrected p" in label
    assert "▲" not in label and "▲" in chart


def test_a_model_that_was_not_compared_has_no_interval_and_makes_no_claim():
    comparison = accuracy("base", "good")
    models = [ModelRun(name, metrics={"meteor": value}) for name, value in (("base", 1.0), ("good", 2.0), ("new", 3.0))]
    summary = marked(summarise_runs(models), comparison)
    assert [bool(cells[0].interval) for _, cells in summary.rows] == [True, True, False]
    assert leaders(summary) == []
    assert sureness_document(summary, comparison)["best"]["meteor"] == {"models": ["new"], "not_told_apart": None}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page without a comparison, one with, and the comparison."""
    folder = make_run(tmp_path_factory.mktemp("sure") / "run", posts=7, models=("sft", "dpo", "mcm-dpo"))
    old = render(read_run(folder))
    comparison = add_comparison(folder)
    return folder, old, render(read_run(folder)), comparison


def test_a_run_of_old_opens_and_says_what_it_lacks(pages):
    _, old, new, _ = pages
    assert NOT_COMPARED.replace("'", "&#39;") in old
    assert 'class="spread"' not in old
    assert "These scores have neither" not in new


def test_the_page_says_in_words_what_its_signs_say(pages):
    _, _, page, comparison = pages
    against = held_against_baseline(comparison)
    marks = [one for one in against.differences if one.verdict]
    assert marks and page.count('<span class="mark" aria-hidden="true">') == len(marks)
    words = re.findall(r'<span class="vh"> (?:better|worse|differs)[^<]*, p [^<,]+, Holm-corrected</span>', page)
    assert len(words) == len(marks)
    for (_, (_, metric)), cell in comparison.cells.items():
        assert f">{interval_text(cell.interval, 3 if metric == 'repetition' else 1)}</span>" in page
    assert "best, but not told apart from sft, dpo: </span>180.4" in page
    assert (
        "CIDEr – mcm-dpo has the best value, but no test tells it from sft, dpo (degenerated): it may be chance."
        in page
    )
    assert "Holm-corrected over all 3 pairs of models" in page
    assert "only 7 units in the smallest metric" in page
    assert "Intervals are over the samples of this test set" in page


def test_hostile_names_are_text_in_what_is_said_of_them(tmp_path):
    folder = make_run(tmp_path / "run", posts=3, models=("sft",))
    scores = json.loads((folder / "scores.json").read_text())
    scores["models"][HOSTILE[1]] = {"metrics": {"bleu_4": 30.0}, "degenerate": HOSTILE[0]}
    write_json(folder / "scores.json", scores)
    add_comparison(folder)
    page = render(read_run(folder))
    assert "<img src=x" not in page and "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_one_post_and_one_model_claim_nothing(tmp_path):
    folder = make_run(tmp_path / "run", posts=1, models=("sft", "dpo"))
    add_comparison(folder)
    page = render(read_run(folder))
    assert "of one there is no interval" in page
    assert 'class="spread"' not in page and '"mark" aria-hidden' not in page
    alone = make_run(tmp_path / "alone", posts=7, models=("sft",))
    add_comparison(alone)
    page = render(read_run(alone))
    assert 'class="spread"' in page
    assert "Is the best better" not in page and "Show the differences" not in page


def test_the_command_writes_intervals_and_tests(pages, tmp_path, trifacet):
    folder, _, _, comparison = pages
    table, numbers = tmp_path / "table.md", tmp_path / "table.json"
    assert trifacet("report", folder, "--markdown", table, "--json", numbers)[0] == 0
    written = json.loads(numbers.read_text())
    assert written["comparison"] == document(held_against_baseline(comparison))
    assert written["best"]["bleu_4"] == {"models": ["mcm-dpo"], "not_told_apart": []}
    assert written["models"]["sft"]["metrics"]["bleu_4"] == 12.0
    low, high = comparison.cells["mcm-dpo", ("paper", "bleu_4")].interval
    assert f"| **24.0** ▲ \\[{low:.1f}, {high:.1f}\\] |" in table.read_text()
    assert "* CIDEr – mcm-dpo has the best value, but no test tells it from sft, dpo" in table.read_text()
