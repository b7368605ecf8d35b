"""``trifacet compare`` by its command line: files out, one clear line for each kind of bad input."""

from __future__ import annotations

import json

import pytest
from cli_compare import run
from fake_comparison import write_rows

from trifacet.errors import TrifacetError


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
    assert f"{shown} ▲" in result.output
    again = run(*rows, "--better", "score=higher", "--draws", 500, "--json", "-")
    assert json.loads(again.stdout) == document


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


def test_judging_needs_texts(rows, tmp_path):
    judge = tmp_path / "judge.yaml"
    judge.write_text("base_url: http://127.0.0.1:9/v1\nmodel: m\n", encoding="utf-8")
    for options in ([], ["--estimate"]):
        result = run(*rows, "--judge", judge, *options)
        assert "texts of a, second are not known" in str(result.exception)
    assert not (tmp_path / "judge.answers.sqlite").exists()
