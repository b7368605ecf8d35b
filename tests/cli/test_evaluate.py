"""``trifacet evaluate``: everything about several models in one folder, made once, continued after a stop."""

import json
import shutil

import pytest

from trifacet.base.errors import TrifacetError
from trifacet.evaluation.evaluating import read_evaluation
from trifacet.evaluation.naming import name_models

QUICK = ("--beams", 1, "--max-new-tokens", 8, "--answer-tokens", 4, "--device", "cpu")


@pytest.fixture(scope="module")
def given(tmp_path_factory, world, tiny_folder):
    """Two models of one name's folder, a test set, and POPE's files about its pictures."""
    folder = tmp_path_factory.mktemp("evaluate")
    for name in ("a", "b"):
        shutil.copytree(tiny_folder, folder / name / "model")
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "b/model/model.safetensors")
    save_file({key: -value for key, value in weights.items()}, folder / "b/model/model.safetensors", {"format": "pt"})
    rows = [json.loads(line) for line in (world / "test.jsonl").read_text().splitlines()]
    questions = [
        {
            "question_id": k,
            "image": row["image"],
            "text": "Is there a disc in the image?",
            "label": ("yes", "no")[k % 2],
        }
        for k, row in enumerate(rows)
    ]
    (folder / "pope").mkdir()
    for part in ("random", "popular", "adversarial"):
        lines = "".join(json.dumps(row) + "\n" for row in questions)
        (folder / "pope" / f"coco_pope_{part}.json").write_text(lines)
    return folder


@pytest.fixture
def evaluate(trifacet, given, world):
    def run(output, *models, data=world / "test.jsonl", options=()):
        named = [given / name / "model" for name in models or ("a", "b")]
        return trifacet("evaluate", *named, "--output", output, *(["--data", data] if data else []), *QUICK, *options)

    return run


def made(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock" and path.suffix != ".sqlite"
    }


def test_texts_benchmarks_and_looks_stand_side_by_side(tmp_path, evaluate, trifacet, given, world):
    pope = ("--benchmark", f"pope={given / 'pope'},{world}")
    code, out, err = evaluate(tmp_path / "all", options=pope)
    assert code == 0, err
    assert out.splitlines()[-1] == f"report: {tmp_path / 'all' / 'report.html'}"
    settings = json.loads((tmp_path / "all/a/texts.jsonl.settings.json").read_text())
    written = f"with {settings['beams']} beams" if settings["beams"] > 1 else "greedily"
    for page in ("report.html", "tables.md"):  # numbers of two ways of writing are not to be mixed up
        assert f"{written}, without sampling, at most {settings['max_new_tokens']} new tokens" in (
            tmp_path / "all" / page
        ).read_text(encoding="utf-8")
    document = json.loads((tmp_path / "all" / "comparison.json").read_text())
    assert document["models"] == ["a", "b"]
    profiles = {metric["profile"] for metric in document["metrics"]}
    assert profiles == {"coco", "paper", "texts", "pope", "probe"}
    own = [metric for metric in document["metrics"] if metric["profile"] in ("texts", "probe")]
    assert not any(value["official"] for metric in own for value in metric["values"].values())
    scored = tmp_path / "scores.json"
    asked = ("--references", world / "test.jsonl", "--json", scored, "--intervals")
    trifacet("score", tmp_path / "all/a/texts.jsonl", *asked)
    alone = json.loads(scored.read_text())
    assert alone["intervals"].keys() == alone["metrics"].keys()
    benchmark = json.loads((tmp_path / "all/a/benchmarks/pope/scores.json").read_text())["metrics"]
    compared = [metric for metric in document["metrics"] if metric["profile"] in ("paper", "pope")]
    assert {metric["profile"] for metric in compared} == {"paper", "pope"}
    for metric in compared:  # a number alone is what it is beside others, and as sure
        name, told = metric["metric"], metric["values"]["a"]
        value, ends = (
            (benchmark[name]["value"], benchmark[name]["interval"])
            if metric["profile"] == "pope"
            else (alone["metrics"][name], alone["intervals"][name])
        )
        assert (told["value"], told["interval"]) == (pytest.approx(value), pytest.approx(ends))
    intervals = {m["metric"]: m["values"]["b"]["interval"] for m in document["metrics"] if m["profile"] == "probe"}
    probe = json.loads((tmp_path / "all/b/probe.json").read_text())
    told = {f"attention/{group}": ends for group, ends in probe["attention"]["intervals"].items()}
    for noise in probe["noise"]:
        told[f"changed/t={noise['t']}"] = noise["interval"]
        told[f"similarity/t={noise['t']}"] = noise["similarity_interval"]
    assert intervals == {name: pytest.approx(ends, rel=1e-12, abs=1e-12) for name, ends in told.items()}
    assert any(low < high for low, high in told.values())
    code, _, err = trifacet("compare", tmp_path / "all", "--metrics", "probe/changed/t=900", "--draws", 200)
    assert code == 0, err


def test_a_stop_costs_nothing_that_was_done_and_changes_nothing(tmp_path, evaluate, given, world, monkeypatch):
    options = ("--benchmark", f"pope={given / 'pope'},{world}", "--benchmark-limit", 4, "--limit", 3, "--no-probe")
    assert evaluate(tmp_path / "whole", options=options)[0] == 0

    from trifacet.cli import evaluate as command

    opened = []

    def stopping(checkpoint, **how):
        opened.append(checkpoint)
        if len(opened) == 2:
            raise KeyboardInterrupt
        return load(checkpoint, **how)

    load = command.load_for_generation
    with monkeypatch.context() as patched:
        patched.setattr(command, "load_for_generation", stopping)
        assert evaluate(tmp_path / "stopped", options=options)[0] == 130
    first = made(tmp_path / "stopped")
    assert "a/texts.jsonl" in first and "a/benchmarks/pope/scores.json" in first
    assert evaluate(tmp_path / "stopped", options=options)[0] == 0
    ours, theirs = made(tmp_path / "stopped"), made(tmp_path / "whole")
    assert ours.keys() == theirs.keys()
    named = {"report.html", "comparison.json"}  # they say where the models' texts lie
    assert [name for name in ours if ours[name] != theirs[name] and name not in named] == []


def test_models_may_come_later_but_data_stay(tmp_path, evaluate, world):
    options = ("--limit", 3, "--no-probe")
    assert evaluate(tmp_path / "out", "a", options=options)[0] == 0
    code, _, err = evaluate(tmp_path / "out", "a", "b", options=options)
    assert (code, [one.name for one in read_evaluation(tmp_path / "out").models]) == (0, ["a", "b"]), err
    code, _, err = evaluate(tmp_path / "out", "a", data=world / "validation.jsonl", options=options)
    assert (code, "other settings (data)" in err) == (2, True)
    code, _, err = evaluate(tmp_path / "out", "a", options=("--limit", 3))
    assert (code, "other settings (probe)" in err) == (2, True)
    code, _, err = evaluate(tmp_path / "out", "a", options=("--limit", 3, "--no-probe", "--overwrite"))
    assert code == 0, err


def test_one_model_alone_gets_its_values_with_intervals(tmp_path, evaluate):
    code, out, err = evaluate(tmp_path / "out", "a", options=("--limit", 3, "--no-probe"))
    assert code == 0, err
    assert "95 % intervals" in out and "Differences" not in out
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'id="differences"' not in page


def test_bad_input_is_told_before_a_model_is_opened(tmp_path, evaluate, given, monkeypatch):
    from trifacet.cli import evaluate as command

    monkeypatch.setattr(command, "load_for_generation", lambda *_, **__: pytest.fail("a model was opened"))
    nothing = evaluate(tmp_path / "o", data=None)
    assert (nothing[0], "--data" in nothing[2]) == (2, True)
    for options, said in (
        (("--benchmark", f"pope={given / 'pope'}"), "pictures are missing"),
        (("--benchmark", "pope"), "write NAME=DATA"),
        (("--benchmark", f"nope={given}"), "nope"),
        (("--baseline", "c"), "there are a, b"),
    ):
        code, _, err = evaluate(tmp_path / "o", options=options)
        assert (code, said in err) == (2, True), err
    assert not (tmp_path / "o").exists()


def test_models_are_called_after_their_folders():
    assert name_models(["runs/demo/models/sft/model", "org/llava-1.5", "x=org/other"]) == {
        "sft": "runs/demo/models/sft/model",
        "llava-1.5": "org/llava-1.5",
        "x": "org/other",
    }
    for given, said in (
        (["a/model", "b/a/model"], "two models are called 'a'"),
        (["../=x"], "letters"),
        (["..=x"], "letters"),
        (["a="], "NAME=MODEL"),
    ):
        with pytest.raises(TrifacetError, match=said):
            name_models(given)
