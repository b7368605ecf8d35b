"""Which cell is best, what a missing number looks like, and text that cannot break a table."""

from __future__ import annotations

import math

from trifacet.evaluation.run_folder import ModelRun
from trifacet.reports.tables import markdown, metric_of, seeds_table, summarise_runs, sweep_table


def models(metric: str, *values: float | None) -> list[ModelRun]:
    return [ModelRun(f"m{place}", metrics={metric: value}) for place, value in enumerate(values)]


def best(metric: str, *values: float | None) -> list[bool]:
    return [cells[0].best for _, cells in summarise_runs(models(metric, *values)).rows]


def test_the_best_value_follows_the_direction_of_the_metric():
    assert best("rouge_l", 1.0, 3.0, 2.0) == [False, True, False]
    assert best("repetition", 0.1, 0.3, 0.2) == [True, False, False]
    assert best("length", 8.0, 9.0) == [False, False]
    assert best("something/new", 8.0, 9.0) == [False, False]


def test_values_that_read_alike_are_best_together():
    assert best("rouge_l", 3.001, 3.0, 2.0) == [True, True, False]


def test_one_value_alone_is_not_best_and_a_missing_one_never():
    assert best("meteor", 5.0) == [False]
    assert best("meteor", None, 5.0) == [False, False]
    assert best("meteor", math.nan, 5.0, 4.0) == [False, True, False]
    assert summarise_runs(models("meteor", None)).rows[0][1][0].text == "not computed"


def test_columns_stand_in_a_fixed_order_and_groups_span_them():
    metrics = dict.fromkeys(("length", "own", "grounding/name", "cider", "grounding", "bleu_4"), 1.0)
    summary = summarise_runs([ModelRun("a", metrics=metrics)])
    assert [m.key for m in summary.metrics] == ["bleu_4", "cider", "grounding", "grounding/name", "length", "own"]
    groups = [(heading, [metric.key for metric in part.metrics]) for heading, part in summary.groups()]
    assert groups == [
        ("Like the reference, by MCM-DPO's script", ["bleu_4", "cider"]),
        ("Facts right", ["grounding", "grounding/name"]),
        ("Form", ["length"]),
        ("Other", ["own"]),
    ]
    assert all(len(cells) == len(part.metrics) for _, part in summary.groups() for _, cells in part.rows)


def test_markdown_keeps_its_shape_whatever_a_model_is_called():
    hostile = ModelRun("a|b\n<i>*c*", metrics={"cider": 1.0}, degenerate="x|y")
    lines = markdown(summarise_runs([hostile])).splitlines()
    assert lines[2] == "| a\\|b &lt;i&gt;\\*c\\* | 1.0 |"
    assert lines[-1] == "a\\|b &lt;i&gt;\\*c\\* degenerated: x\\|y"


def test_seeds_and_sweep_survive_what_is_absent():
    metrics, rows = seeds_table({"models": {"a": {"cider": {"mean": 5.0, "std": 0.5}}, "b": {"cider": {"mean": None}}}})
    assert (metrics, rows) == ([metric_of("cider")], [("a", ["5.0 ± 0.5"]), ("b", ["not computed"])])
    assert seeds_table({}) == ([], [])
    metric, trials = sweep_table(
        {"metric": "grounding", "rows": [{"stage": "dpo", "learning_rate": 5e-5, "value": 61.0}]}
    )
    assert metric.title == "Facts right: all"
    assert trials[0].cells == ["5e-05", "61.0", "not computed", "not computed"]
