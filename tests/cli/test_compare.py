"""``trifacet compare`` by its command line: files out, one clear line for each kind of bad input."""

from __future__ import annotations

import io
import json
import re

import pytest
from cli_compare import run
from fake_comparison import contestants, write_rows

from trifacet.base.errors import TrifacetError
from trifacet.base.progress import Terminal
from trifacet.cli import common, compare_view
from trifacet.comparing.comparison import ComparisonSettings, compare
from trifacet.evaluation.entries import _named_apart, _Opened


@pytest.fixture
def rows(tmp_path):
    """Two files of metrics per sample, the second one better."""
    values = [(place * 37 % 11) / 10 for place in range(30)]
    for name, shift in (("a", 0.0), ("b", 0.3)):
        write_rows(
            tmp_path / f"{name}.jsonl",
            [{"id": place, "score": value + shift, "length": 3} for place, value in enumerate(values)],
        )
    return [str(tmp_path / "a.jsonl"), f"second={tmp_path / 'b.jsonl'}"]


@pytest.mark.parametrize(
    ("value", "told"),
    [("1" + "0" * 400, "a number of 401 digits"), ("1e400", "is no finite number"), ("1e101", "at most 1e[+]100")],
)
def test_a_number_that_cannot_be_computed_with_is_named_by_its_row(rows, tmp_path, value, told):
    (tmp_path / "huge.jsonl").write_text(f'{{"id": 0, "score": 1}}\n{{"id": 1, "score": {value}}}\n')
    error = run(rows[0], tmp_path / "huge.jsonl").exception
    assert isinstance(error, TrifacetError)
    assert re.search(rf"huge\.jsonl, row 2.*{told}", str(error))


def test_the_largest_numbers_leave_no_warning(tmp_path, recwarn):
    for name, sign in (("a", 1), ("b", -1)):
        write_rows(tmp_path / f"{name}.jsonl", [{"id": place, "score": sign * place * 1e98} for place in range(30)])
    result = run(tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--draws", 100)
    assert result.exit_code == 0, result.output
    assert [str(one.message) for one in recwarn if issubclass(one.category, RuntimeWarning)] == []


def test_every_output_says_the_same(rows, tmp_path):
    files = {name: tmp_path / f"out.{name}" for name in ("html", "markdown", "latex", "json")}
    given = [part for name, path in files.items() for part in (f"--{name}", path)]
    result = run(*rows, "--better", "score=higher", *given, "--draws", 500)
    assert result.exit_code == 0, result.output
    document = json.loads(files["json"].read_text(encoding="utf-8"))
    (score,) = [one for one in document["differences"] if one["metric"] == "score"]
    assert score["verdict"] == "better"
    assert score["difference"] == pytest.approx(0.3)
    assert score["wins"] == 30
    assert document["judged"] is None
    assert document["settings"] == {
        "draws": 500, "level": 0.95, "seed": 17, "interval": "bca", "pairs": "baseline", "correction": "holm",
    }  # fmt: skip
    (metric,) = [one for one in document["metrics"] if one["metric"] == "score"]
    shown = f"{metric['values']['second']['value']:.2f}"
    for name in ("html", "markdown", "latex"):
        text = files[name].read_text(encoding="utf-8")
        assert shown in text
        assert "not official" in text
    page = files["html"].read_text(encoding="utf-8")
    assert str(tmp_path) not in page and "…/a.jsonl" in page  # it is handed on: where files lie is not
    assert f"{shown} ▲" in result.output
    assert "Differences in per sample: second less a" in result.output  # once, and not before each metric
    assert "count units" in result.output
    for name in ("markdown", "latex", "json"):  # with - alone on standard output
        again = run(*rows, "--better", "score=higher", "--draws", 500, f"--{name}", "-")
        assert again.stdout == files[name].read_text(encoding="utf-8")
    both = run(*rows, "--latex", "-", "--json", "-")
    assert "only one can go to standard output" in str(both.exception)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--better", "score"], "METRIC=higher"),
        (["--better", "scoer=higher"], "'scoer': no model has such a metric; there are score, length"),
        (["--baseline", "nobody"], "baseline 'nobody' is not one of the models: a, second"),
        (["--metrics", "nothing"], "no metric 'nothing'"),
        (["--estimate"], "belong to --judge"),
        (["--judge", "no.yaml"], "no.yaml"),
        (["--probe", "x"], "NAME=FILE"),
    ],
)
def test_what_cannot_be_done_is_one_line(rows, options, said):
    result = run(*rows, *options)
    assert isinstance(result.exception, TrifacetError)
    assert said in str(result.exception)


def test_files_of_one_name_are_parts_of_one_model(tmp_path):
    """The order of models is that of their first parts: the first is the baseline."""
    for model, shift in (("a", 0), ("b", 1)):
        for metric in ("score", "fluency"):
            rows = [{"id": place, metric: place * 7 % 5 + shift} for place in range(30)]
            write_rows(tmp_path / f"{model}-{metric}.jsonl", rows)
    given = [f"{model}={tmp_path}/{model}-{metric}.jsonl" for metric in ("score", "fluency") for model in ("b", "a")]
    result = run(*given, "--draws", 100, "--json", "-")
    told = json.loads(result.stdout)
    assert told["models"] == ["b", "a"] and told["baseline"] == "b"
    assert {one["metric"]: one["values"]["a"]["value"] for one in told["metrics"]} == {"score": 2, "fluency": 2}
    assert len(told["differences"]) == 2
    alone = run(*given[1::2], "--draws", 100, "--json", "-")  # of one model its values, in the same columns
    assert [one["metric"] for one in json.loads(alone.stdout)["metrics"]] == ["score", "fluency"]
    twice = str(run(*given, f"a={tmp_path}/b-score.jsonl").exception)
    assert "two models are called 'a', which both have per sample/score; name them apart: A=" in twice


def test_one_table_names_each_metric_with_its_benchmark(tmp_path):
    files = {name: tmp_path / f"out.{name}" for name in ("html", "markdown", "latex")}
    texts = [{"id": place, "text": f"a dog and {place} cats"} for place in range(4)]
    given = [f"{name}={write_rows(tmp_path / f'{name}.jsonl', texts)}" for name in ("a", "b")]
    given += ["--references", write_rows(tmp_path / "r.jsonl", texts), "--profile", "coco", "--draws", 100]
    given += ["--metrics", "bleu_4", "--metrics", "length"]
    parts = [part for name, path in files.items() for part in (f"--{name}", path)]
    result = run(*given, "--one-table", *parts)
    assert result.exit_code == 0, result.output
    assert "coco/bleu_4" in result.output and "texts/length" in result.output
    markdown, latex, html = (files[name].read_text(encoding="utf-8") for name in ("markdown", "latex", "html"))
    assert markdown.startswith("| Model | coco/bleu") and latex.count("begin{tabular}") == 1
    assert r"coco/bleu\_4 $\uparrow$ & texts/length" in latex
    assert html.count('<table class="compared">') == 1
    assert run(*given, "--latex", "-").stdout.count("begin{tabular}") == 2


def test_references_of_more_samples_name_the_option_of_this_command(tmp_path):
    texts = [{"id": place, "text": f"a dog and {place} cats"} for place in range(4)]
    models = [write_rows(tmp_path / f"{name}.jsonl", texts[:3]) for name in ("a", "b")]
    given = [*models, "--references", write_rows(tmp_path / "r.jsonl", texts), "--profile", "coco", "--draws", 100]
    said = str(run(*given).exception)
    assert "--common" in said and "--subset" not in said
    assert run(*given, "--common").exit_code == 0


def test_judging_needs_texts(rows, tmp_path):
    judge = tmp_path / "judge.yaml"
    judge.write_text("base_url: http://127.0.0.1:9/v1\nmodel: m\n", encoding="utf-8")
    for options in ([], ["--estimate"]):
        result = run(*rows, "--judge", judge, *options)
        assert "texts of a, second are not known" in str(result.exception)
    assert not (tmp_path / "judge.answers.sqlite").exists()


@pytest.mark.parametrize("width", [60, 80, 140])
def test_each_metric_is_one_line_and_no_interval_is_broken(monkeypatch, width):
    comparison = compare(contestants(), ComparisonSettings(draws=200), [])
    out = Terminal(file=io.StringIO(), width=width, soft_wrap=True)
    for module in (common, compare_view):
        monkeypatch.setattr(module, "out", out)
    compare_view.print_comparison(comparison, None)
    lines = out.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    values = [line for line in lines if re.search(r"\baccuracy ↑", line)]
    shown = [interval for line in values for interval in re.findall(r"\[[-\d.]+, [-\d.]+\]", line)]
    assert len(shown) == len(comparison.models)
    assert len(values) == (2 if width == 60 else 1)  # the third model has no room
    differences = [line for line in lines if re.search(r"\baccuracy [^↑]", line)]
    assert len(differences) == 2 and all(re.search(r"\[\S+, \S+\]", line) for line in differences)


def test_models_of_two_runs_are_told_apart_by_the_runs_folders():
    given = [_Opened("base", f"runs/{name} (base)") for name in ("one", "two")]
    assert [one.name for one in _named_apart(given)] == ["one/base", "two/base"]
    with pytest.raises(TrifacetError, match=r"name them apart: A=a/run B=b/run$"):
        _named_apart([_Opened("base", f"{above}/run (base)") for above in "ab"])
