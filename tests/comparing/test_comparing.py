"""What can be compared, what is refused, and what a comparison says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_comparison import contestants, write_rows

from trifacet.base.errors import DataError, TrifacetError
from trifacet.benchmarks import results
from trifacet.benchmarks.benchmark import Benchmark, Outcome, Result
from trifacet.comparing.comparison import ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.comparing.document import document
from trifacet.evaluation.entries import read_entries
from trifacet.metrics import paper
from trifacet.metrics.wordnet import packaged_wordnet
from trifacet.statistics.keys import PER_SAMPLE, TEXTS
from trifacet.statistics.measures import mean_measure, share_measure

FAST = ComparisonSettings(draws=400)


@pytest.fixture(autouse=True)
def _packaged_synonyms(monkeypatch):
    monkeypatch.setattr(paper, "find_wordnet", packaged_wordnet)  # an installed one takes seconds to read


def one(comparison, model, metric, other=None):
    (found,) = [
        row
        for row in comparison.differences
        if (row.model, row.column.name) == (model, metric) and other in (None, row.other)
    ]
    return found


def test_verdicts_follow_direction_and_correction():
    comparison = compare(contestants(), FAST)
    assert comparison.baseline == "base"
    assert one(comparison, "good", "accuracy").verdict == "better"
    assert one(comparison, "good", "errors").verdict == "worse"  # larger, where lower is better
    assert one(comparison, "good", "length").verdict == "differs"
    assert one(comparison, "twin", "accuracy").verdict == ""
    assert one(comparison, "twin", "accuracy").chance.p == 1
    better = one(comparison, "good", "accuracy")
    assert better.interval[0] <= better.value <= better.interval[1]
    assert better.p_corrected == pytest.approx(2 * better.chance.p)  # Holm: the smaller of two
    assert better.p_over_all >= better.p_corrected


def test_all_pairs_are_a_larger_family():
    comparison = compare(contestants(), replace(FAST, pairs="all"))
    assert len(comparison.differences) == 9
    found = one(comparison, "good", "accuracy", "base")
    assert found.p_corrected == pytest.approx(3 * found.chance.p)
    assert one(comparison, "twin", "accuracy", "good").value < 0
    uncorrected = compare(contestants(), replace(FAST, correction="none"))
    assert one(uncorrected, "good", "accuracy").p_corrected == one(uncorrected, "good", "accuracy").chance.p


@pytest.mark.parametrize(("rate", "beside"), [("chair_i", "recall"), ("chair_s", "recall"), ("hal", "cover")])
def test_a_rate_of_hallucinations_brings_what_silence_costs(rate, beside):
    def model(name, wrong):
        units = [f"u{number}" for number in range(30)]
        measures = {
            ("one", key): share_measure(key, units, [number % wrong == 0 for number in range(30)], [1] * 30)
            for key in (rate, "length", beside)
        }
        return Contestant(name, name, measures)

    models = [model("base", 3), model("silent", 7)]
    comparison = compare(models, replace(FAST, baseline="base", metrics=(rate,)))
    assert [row.column.name for row in comparison.differences] == [rate, beside]
    assert f"one/{beside}: since who says less hallucinates less, it stands beside the rate" in comparison.notes
    alone = compare(models, replace(FAST, baseline="base", metrics=("length",)))
    assert [row.column.name for row in alone.differences] == ["length"]


def test_a_baseline_and_metrics_can_be_chosen():
    comparison = compare(contestants(), replace(FAST, baseline="good", metrics=("accuracy",)))
    assert {(row.model, row.other, row.column.name) for row in comparison.differences} == {
        ("base", "good", "accuracy"),
        ("twin", "good", "accuracy"),
    }
    whole = compare(contestants(), replace(FAST, baseline="good"))
    assert one(whole, "base", "accuracy").interval == one(comparison, "base", "accuracy").interval
    with pytest.raises(TrifacetError, match="no metric 'nonsense'"):
        compare(contestants(), replace(FAST, metrics=("nonsense",)))
    with pytest.raises(TrifacetError, match="baseline 'nobody'"):
        compare(contestants(), replace(FAST, baseline="nobody"))


def test_one_model_alone_has_its_values_and_intervals():
    alone = compare(contestants()[:1], FAST)
    assert alone.differences == ()
    assert all(cell == compare(contestants(), FAST).cells[key] for key, cell in alone.cells.items())


def test_one_unit_alone_has_no_interval():
    """A single unit resampled is always itself: an interval without width would claim certainty."""
    single = [
        Contestant(name, "f", {("p", "m"): mean_measure("m", {"a": value})}) for name, value in (("x", 1.0), ("y", 2.0))
    ]
    comparison = compare(single, FAST)
    assert [cell.interval for cell in comparison.cells.values()] == [None, None]
    assert one(comparison, "y", "m").interval is None
    assert any("of one there is no interval" in note for note in comparison.notes)
    assert one(comparison, "y", "m").chance.p == 1.0  # both ways to swap are as far apart


def test_an_interval_without_width_is_told_to_be_no_certainty():
    right, mixed = ({f"s{place}": float(place % step == 0) for place in range(30)} for step in (1, 2))
    models = [
        Contestant(name, "f", {("p", "m"): mean_measure("m", values)}) for name, values in (("x", right), ("y", mixed))
    ]
    comparison = compare(models, FAST)
    assert comparison.cells["x", ("p", "m")].interval == (1.0, 1.0)
    assert any("no certainty" in note and note.endswith("p/m") for note in comparison.notes)
    assert not any("no certainty" in note for note in compare(models[1:], FAST).notes)


def test_the_order_of_rows_changes_nothing():
    before = document(compare(contestants(), FAST))
    turned = [
        replace(
            model,
            measures={
                key: replace(measure, units=measure.units[::-1], sums_UK=measure.sums_UK[::-1])
                for key, measure in model.measures.items()
            },
        )
        for model in contestants()
    ]
    assert document(compare(turned, FAST))["differences"] == before["differences"]


def test_units_that_differ_are_refused_or_left_out():
    first = contestants()[0]
    key = ("", "accuracy")
    short = mean_measure("accuracy", {f"s{place:02d}": 1.0 for place in range(5, 40)})
    models = [first, Contestant("short", "", {key: short})]
    with pytest.raises(DataError, match=r"accuracy: short lacks 5 of 40 ids: 's00', 's01'.*--common"):
        compare(models, FAST)
    comparison = compare(models, replace(FAST, common=True))
    assert comparison.columns[0].units == 35
    assert any("35 units" in note for note in comparison.notes)
    apart = Contestant("apart", "", {key: mean_measure("accuracy", {"x": 1.0})})
    with pytest.raises(DataError, match="no id is in all"):
        compare([first, apart], replace(FAST, common=True))
    other = Contestant("other", "", {**apart.measures, ("", "errors"): first.measures["", "errors"]})
    comparison = compare([first, other], replace(FAST, common=True))
    assert [column.name for column in comparison.columns] == ["errors"]
    assert "no unit is in all models, so that they are not compared in: accuracy" in comparison.notes


def test_metrics_that_not_all_have_are_named():
    first, second, _ = contestants()
    lacking = replace(second, measures={("", "accuracy"): second.measures["", "accuracy"]})
    comparison = compare([first, lacking], FAST)
    assert [column.name for column in comparison.columns] == ["accuracy"]
    assert any("errors, length" in note for note in comparison.notes)
    with pytest.raises(TrifacetError, match="share no metric"):
        compare([first, replace(second, measures={("other", "accuracy"): second.measures["", "accuracy"]})], FAST)


def test_groups_are_drawn_as_wholes():
    """Ten equal samples in a group are no ten samples: the interval is that of the groups."""
    rng = np.random.default_rng(3)
    values = rng.uniform(size=12)
    names = [f"g{place // 10:02d}" for place in range(120)]

    def model(name, shift):
        grouped = share_measure("m", names, np.repeat(values + shift * rng.normal(size=12), 10), np.ones(120))
        return Contestant(name, "", {("", "m"): grouped})

    comparison = compare([model("a", 0.0), model("b", 0.3)], FAST)
    assert comparison.columns[0].units == 12
    assert any("12 units" in note and "rough" in note for note in comparison.notes)


def test_json_has_no_nan_and_stable_keys():
    nothing = share_measure("none", ["s00", "s01"], [0, 0], [0, 0])
    models = [Contestant(name, "", {("", "none"): nothing}) for name in "ab"]
    found = document(compare(models, FAST))
    json.dumps(found, allow_nan=False)
    assert found["metrics"][0]["values"]["a"] == {
        "value": None,
        "interval": None,
        "official": True,
        "unofficial": "",
    }
    assert found["differences"][0]["p"] is None
    assert any("not defined" in note for note in found["notes"])


def test_texts_are_scored_by_both_profiles(tmp_path):
    texts = {str(place): f"a red ball number {place}" for place in range(12)}
    references = write_rows(tmp_path / "references.jsonl", [{"id": name, "text": text} for name, text in texts.items()])
    good = write_rows(tmp_path / "good.jsonl", [{"id": name, "text": text} for name, text in texts.items()])
    bad = write_rows(tmp_path / "bad.jsonl", [{"id": name, "text": "nothing"} for name in texts])
    entered = read_entries([f"my model={good}", str(bad)], references=references)
    assert [model.name for model in entered.contestants] == ["my model", "bad"]
    keys = entered.contestants[0].measures
    assert {("coco", "cider"), ("paper", "cider"), (TEXTS, "length")} <= keys.keys()
    assert entered.contestants[0].measures["coco", "bleu_4"].value == pytest.approx(100, rel=1e-6)
    only = read_entries([str(good), str(bad)], references=references, profiles=["paper"])
    assert ("coco", "cider") not in only.contestants[0].measures
    with pytest.raises(TrifacetError, match="--references"):
        read_entries([str(good), str(bad)])


def test_texts_of_other_samples_are_refused_or_left_out(tmp_path):
    def file(name, ids):
        return write_rows(tmp_path / name, [{"id": one, "text": f"text {one}"} for one in ids])

    references, whole, part = file("r.jsonl", "abcdef"), file("w.jsonl", "abcdef"), file("p.jsonl", "cdef")
    with pytest.raises(DataError, match=r"p lacks 2 of 6 ids: 'a', 'b'.*--common"):
        read_entries([str(whole), str(part)], references=references)
    entered = read_entries([str(whole), str(part)], references=references, common=True)
    assert list(entered.samples) == list("cdef")
    assert any("left out: 2 of w, 0 of p, 2 of the references" in note for note in entered.notes)
    with pytest.raises(DataError, match="no id is in all"):
        read_entries([str(whole), str(file("x.jsonl", "xyz"))], references=references, common=True)


def test_metrics_per_sample_are_means(tmp_path):
    rows = [
        {"id": place, "accuracy": place % 2, "coco/cider": place, "odd": None if place else 1} for place in range(6)
    ]
    first, second = (write_rows(tmp_path / f"{name}.jsonl", rows) for name in "ab")
    entered = read_entries([str(first), str(second)], better={"accuracy": "higher"})
    measures = entered.contestants[0].measures
    assert measures[PER_SAMPLE, "accuracy"].value == 0.5
    assert measures[PER_SAMPLE, "accuracy"].better == "higher"  # as the caller said
    assert measures[PER_SAMPLE, "coco/cider"].better == "higher"  # by its name
    assert measures[PER_SAMPLE, "odd"].better == "neither"  # nothing is guessed
    assert len(measures[PER_SAMPLE, "odd"].units) == 1
    assert "a.jsonl" in measures[PER_SAMPLE, "accuracy"].unofficial


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "1", "x": "high"}, "row 1, field 'x': is no finite number"),
        ({"id": "1", "x": math.inf}, "is no finite number"),
        ({"id": "1", "x": [1]}, "is no finite number"),
        ({"x": 1}, "field 'id'"),
        ({"id": "1"}, 'neither "text" nor a number'),
    ],
)
def test_bad_rows_are_named(tmp_path, row, said):
    path = write_rows(tmp_path / "bad.jsonl", [row])
    with pytest.raises(DataError, match=said):
        read_entries([str(path), str(path)])


def test_names_are_told_apart_by_folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name / "scores.jsonl", [{"id": "1", "x": 1.0}])
    entered = read_entries([str(tmp_path / name / "scores.jsonl") for name in "ab"])
    assert [model.name for model in entered.contestants] == ["a/scores", "b/scores"]
    with pytest.raises(TrifacetError, match="NAME=PATH"):
        read_entries([f"={Path('x')}", "y"])


def test_results_of_a_benchmark_are_compared_by_its_own_measures(tmp_path, monkeypatch):
    """Its own measures, under its name, with their reasons for not being official."""
    groups = [f"set {place // 2}" for place in range(60)]
    said = {"one": 0, "two": 1}

    def load(folder, own):
        right = [float((place + said[folder.name]) % 3 > 0) for place in range(60)]
        measure = share_measure("qAcc", groups, right, np.ones(60), unofficial="another judge")
        return Result(named("toy"), [], Outcome([measure], notes=["a note"]))

    monkeypatch.setattr(results, "load_result", load)
    for name in said:
        (tmp_path / name).mkdir()
        (tmp_path / name / results.MARK).write_text("{}", encoding="utf-8")
    entered = read_entries([str(tmp_path / "one"), f"other={tmp_path / 'two'}"])
    comparison = compare(entered.contestants, FAST, entered.notes)
    assert comparison.models == ("one", "other")
    assert [(column.title, column.units) for column in comparison.columns] == [("toy/qAcc", 30)]
    assert comparison.cells["one", ("toy", "qAcc")].unofficial == "another judge"
    assert "a note" in comparison.notes


def named(name):
    return Benchmark(name, "", "", "", [], "", lambda folder: [], lambda answered, options: Outcome([]))
