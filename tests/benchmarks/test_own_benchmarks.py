"""Benchmarks of the user's own files beside others: run where they are named, and never mixed."""

import json
import os
import shutil
import sys

import pytest
from toy_benchmark import judge_file, lines, make_toy, questions

from trifacet.base.errors import TrifacetError
from trifacet.benchmarks.registry import load_benchmark, own_benchmarks
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.llm.books import Books

COUNTING = "\nwith open(__file__ + '.runs', 'a') as file:\n    file.write('x')\n"  # each time that the file is run


@pytest.fixture
def toy(tmp_path):
    file, data = make_toy(tmp_path, judged=False, rows=questions(10))
    file.write_text(file.read_text() + COUNTING)
    return file, data


@pytest.fixture
def results(trifacet, tmp_path, toy):
    """Two models' results: ten right answers, and six."""
    file, data = toy
    folders = []
    for name, right in (("all", 10), ("some", 6)):
        rows = [{"id": row["id"], "text": row["label"] if k < right else "?"} for k, row in enumerate(questions(10))]
        (tmp_path / f"{name}.jsonl").write_text(lines(rows))
        folders.append(tmp_path / name)
        code, _, err = trifacet(
            "benchmarks", "score", "colours", "--file", file, "--data", data, "--answers", tmp_path / f"{name}.jsonl",
            "--output", folders[-1],
        )  # fmt: skip
        assert code == 0, err
    return folders


def runs(file):
    return len(file.with_name(f"{file.name}.runs").read_text())


def test_results_are_compared_where_the_file_is_named_and_only_there_is_it_run(trifacet, toy, results, tmp_path):
    file, _ = toy
    before = runs(file)
    code, _, err = trifacet("compare", *results)
    assert code == 2 and runs(file) == before
    assert f"{results[0]} was made with the benchmark 'colours' of {file}; say --file" in err
    elsewhere = tmp_path / "moved" / "kites.py"
    elsewhere.parent.mkdir()
    for named in (file, shutil.copy(file, elsewhere)):
        code, out, err = trifacet("compare", *results, "--file", named, "--draws", 200, "--json", "-")
        assert code == 0, err
        (metric,) = json.loads(out)["metrics"]
        values = {name: value["value"] for name, value in metric["values"].items()}
        assert (metric["profile"], metric["metric"], values) == ("colours", "accuracy", {"all": 100.0, "some": 60.0})
    assert runs(file) == before + 1 and runs(elsewhere) == 1, "once for a command"


def test_a_changed_file_is_refused_by_compare_and_by_the_command_that_made_the_result(trifacet, toy, results, tmp_path):
    file, data = toy
    file.write_text(file.read_text().replace("[1.0] * len(right)", "[2.0] * len(right)"))
    code, _, err = trifacet("compare", *results, "--file", file)
    assert code == 2 and f"{file} is not as it was when {results[0]} was made" in err
    command = ["benchmarks", "score", "colours", "--file", file, "--data", data, "--answers", tmp_path / "all.jsonl"]
    code, _, err = trifacet(*command, "--output", results[0])
    assert code == 2 and "holds a result of other settings (file_sha256" in err
    assert trifacet(*command[:-1], results[0] / "answers.jsonl", "--output", tmp_path / "again")[0] == 0
    assert trifacet(*command, "--output", results[0], "--overwrite")[0] == 0
    code, _, err = trifacet("compare", *results, "--file", file)
    assert code == 2 and f"when {results[1]} was made" in err, "one by the new file and one by the old"


@pytest.mark.parametrize("name", ["pope", "coco", "paper", "texts", "per sample", "probe"])
def test_a_name_that_other_numbers_have_is_refused(toy, name):
    file, _ = toy
    file.write_text(file.read_text().replace('name="colours"', f"name={name!r}"))
    with pytest.raises(TrifacetError, match=f"BENCHMARK is called '{name}', as another is; give it a name of its own"):
        load_benchmark(file)


def test_two_files_with_one_name_are_refused(toy, tmp_path):
    other = shutil.copy(toy[0], tmp_path / "other.py")
    with pytest.raises(TrifacetError, match=r"colours\.py and .*other\.py both hold a benchmark 'colours'"):
        own_benchmarks([toy[0], other])


def test_what_is_run_is_what_the_file_says_now(toy, monkeypatch):
    """Also where it was changed within the clock's step, to the same length: no compiled file stands in for it."""
    file, _ = toy
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    first, when = load_benchmark(file), file.stat()
    file.write_text(file.read_text().replace("CC0", "MIT"))
    os.utime(file, ns=(when.st_atime_ns, when.st_mtime_ns))
    second = load_benchmark(file)
    assert (first.benchmark.licence, second.benchmark.licence) == ("CC0", "MIT")
    assert first.sha256 != second.sha256
    assert not (file.parent / "__pycache__").exists()


@pytest.mark.parametrize("first", ["", "from __future__ import annotations\n"])
def test_annotations_mean_what_they_mean_in_a_module(toy, first):
    file, _ = toy
    classes = "\nfrom dataclasses import dataclass\n\n\n@dataclass\nclass Kite:\n    tail: int = 3\n"
    classes += f"\nassert Kite.__annotations__['tail'] == {'int' if not first else repr('int')}\n"
    file.write_text(file.read_text().replace("from pathlib", f"{first}from pathlib", 1) + classes)
    assert load_benchmark(file).benchmark.name == "colours"


def test_models_are_evaluated_on_it_and_the_folder_is_opened_again(
    trifacet, toy, tmp_path, tiny_folder, photos, monkeypatch
):
    from trifacet.cli import evaluate as command

    file, data = toy
    output = tmp_path / "out"
    asked = ["evaluate", f"a={tiny_folder}", f"b={tiny_folder}", "--benchmark", f"colours={data},{photos}",
             "--output", output, "--benchmark-limit", 4, "--answer-tokens", 4]  # fmt: skip
    code, _, err = trifacet(*asked)
    assert code == 2 and "no benchmark 'colours'" in err and not output.exists()
    code, _, err = trifacet(*asked, "--file", file)
    assert code == 0, err
    assert runs(file) == 1
    assert "colours" in (output / "report.html").read_text()
    code, out, err = trifacet("compare", output, "--file", file, "--json", "-")
    told = json.loads((output / "comparison.json").read_text())
    assert code == 0 and json.loads(out)["metrics"] == told["metrics"], err
    (metric,) = told["metrics"]
    scores = json.loads((output / "a" / "benchmarks" / "colours" / "scores.json").read_text())
    assert metric["profile"] == "colours"
    assert metric["values"]["a"]["value"] == scores["metrics"]["accuracy"]["value"]

    before = runs(file)
    code, _, err = trifacet("compare", output)
    assert code == 2 and "'colours' of" in err and str(file) in err and "say --file" in err and runs(file) == before

    monkeypatch.setattr(command, "load_for_generation", lambda *_, **__: pytest.fail("a model was opened"))
    file.write_text(file.read_text() + "# changed\n")
    code, _, err = trifacet(*asked, "--file", file)
    assert code == 2 and "holds an evaluation of other settings (benchmark_files)" in err


def test_a_judges_budget_is_for_all_models_of_an_evaluation(trifacet, tmp_path, tiny_folder, photos):
    file, data = make_toy(tmp_path, rows=questions(6))

    def paid(output):
        return [sum(row["spent"] for row in kept(one)) for one in sorted(output.glob("*/*/*/judge.sqlite"))]

    def kept(path):
        with Books(path) as books:
            return books.kept()

    with ScriptedEndpoint(lambda messages: '{"right": true}') as endpoint:
        priced = {"concurrency": 1, "max_tokens": 50}
        asked = ["evaluate", f"a={tiny_folder}", f"b={tiny_folder}", "--benchmark", f"colours={data},{photos}",
                 "--answer-tokens", 4, "--file", file, "--judge"]  # fmt: skip
        assert trifacet(*asked, judge_file(tmp_path, endpoint, **priced), "--output", tmp_path / "free")[0] == 0
        first, second = paid(tmp_path / "free")
        budget = first + second / 2
        limited = judge_file(tmp_path, endpoint, **priced, budget=budget)
        code, _, err = trifacet(*asked, limited, "--output", tmp_path / "out")
        assert code == 2 and f"for all models and benchmarks of {tmp_path / 'out'} together" in err
        assert first < sum(paid(tmp_path / "out")) <= budget
        more = judge_file(tmp_path, endpoint, **priced, budget=3 * (first + second))
        code, _, err = trifacet(*asked, more, "--output", tmp_path / "out")
        assert code == 0 and sum(paid(tmp_path / "out")) == pytest.approx(first + second), err


def test_options_of_a_benchmark_are_those_of_its_name(trifacet, tmp_path, tiny_folder, photos, monkeypatch):
    from trifacet.cli import evaluate as command

    file, data = make_toy(tmp_path, judged=False, rows=questions(4))
    other = "class Options(Section):\n    strict: bool = True\n\n\n"
    other += "BENCHMARK = dataclasses.replace(BENCHMARK, options=Options)"
    file.write_text(f"{file.read_text()}\nfrom trifacet.training.recipe import Section\n\n\n{other}\n")
    asked = ["evaluate", f"a={tiny_folder}", "--benchmark", f"colours={data},{photos}", "--answer-tokens", 4,
             "--file", file, "--output", tmp_path / "out"]  # fmt: skip
    code, _, err = trifacet(*asked, "--set", "colours.strict=false")
    assert code == 0, err
    mark = json.loads((tmp_path / "out/a/benchmarks/colours/benchmark.json").read_text())
    assert mark["options"] == {"strict": False}
    monkeypatch.setattr(command, "load_for_generation", lambda *_, **__: pytest.fail("a model was opened"))
    for given, said in (
        ((), "other settings (benchmark_options)"),
        (("--set", "colours.loose=1"), "unknown key 'loose'"),
        (("--set", "strict=false"), "write NAME.KEY=VALUE"),
        (("--set", "pope.strict=false"), "write NAME.KEY=VALUE, with the NAME of one of the --benchmark"),
    ):
        code, _, err = trifacet(*asked, *given)
        assert (code, said in err) == (2, True), err


def test_a_file_of_no_benchmark_and_a_name_that_is_no_folders_are_told(trifacet, toy, tmp_path, photos):
    file, data = toy
    command = ["evaluate", "a=nowhere", "--output", tmp_path / "out", "--file", file, "--data", tmp_path / "x.jsonl"]
    code, _, err = trifacet(*command)
    assert code == 2 and f"--file {file}: no --benchmark is of this file" in err
    file.write_text(file.read_text().replace('name="colours"', 'name="../colours"'))
    code, _, err = trifacet(*command, "--benchmark", f"../colours={data},{photos}")
    assert code == 2 and "its results' folder is called so" in err and not (tmp_path / "out").exists()
