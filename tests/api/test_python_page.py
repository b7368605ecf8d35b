"""docs/python.md is true: its examples and commands run in order, where what `make demo` leaves is there."""

import json
import re
import shlex
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from small_runs import on_one_thread, processes

import trifacet as face
from trifacet.data.formats import FORMATS, format_called
from trifacet.models.loading import load_model

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python|console)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def demo(tmp_path_factory, world, tiny_folder):
    """A folder in which the demo was run, as far as the page needs it, with the files that its commands name."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(world, folder / "runs" / "demo" / "data")
    for name in ("sft", "mcm-dpo"):
        shutil.copytree(tiny_folder, folder / "runs" / "demo" / "models" / name / "model")
    pairs = face.read_samples(world / "preference.jsonl", "preference")[:4]
    rows = [
        {"sku": one.id, "photo": one.image, "title": one.context, "alt": one.response, "old_alt": "Image"}
        for one in pairs
    ]
    (folder / "pairs.jsonl").write_text(lines(rows))
    references = [{"id": one.id, "text": "A red bicycle for $ 20 stands by a wall."} for one in pairs]
    (folder / "references.jsonl").write_text(lines(references))
    questions = [{"id": str(n), "question": "Which colour?", "image": one.image, "label": "red"}
                 for n, one in enumerate(pairs)]  # fmt: skip
    (folder / "colours").mkdir()
    (folder / "colours" / "questions.json").write_text(json.dumps(questions))
    recipe = {
        "name": "own", "output": "runs/own", "model": {"path": "runs/demo/models/sft/model"},
        "data": {"images": "runs/demo/data", "preference": "pairs.jsonl"},
        "align": {"own": {"max_steps": 1, "batch_size": 2}},
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


@pytest.fixture
def page(demo, monkeypatch):
    monkeypatch.chdir(demo)
    monkeypatch.syspath_prepend(str(demo))
    yield demo
    sys.modules.pop("shop", None)


def test_the_page_runs_from_top_to_bottom(page, trifacet, capfd):
    space = {}
    said = {}
    for language, block in BLOCKS:
        if language == "console":
            for command in block.splitlines():
                code, out, err = trifacet(*shlex.split(command)[1:])
                assert code == 0, (command, err)
                said[command.split()[1]] = out
        elif name := re.match(r"# (\w+\.py)\n", block):
            (page / name[1]).write_text(block)
        else:
            exec(compile(block, "docs/python.md", "exec"), space)
    assert space["text"].strip() and len(space["texts"]) == len(space["posts"])
    assert "says_colour" in said["score"]
    assert "warning price: names a price: $" in said["lint"]
    assert "accuracy" in said["compare"]
    assert re.search(r"kind, format\W+preference, shop:SHOP", said["data"])
    told = yaml.safe_load((page / "runs" / "own" / "recipe.yaml").read_text())["align"]["own"]["objective"]
    assert [term["name"] for term in told["terms"]] == ["text", "image"], "the terms are kept, not the name"


def test_every_name_of_the_face_is_on_the_page():
    left_out = [name for name in face.__all__ if not re.search(rf"\b{name}\b", PAGE)]
    assert left_out == ["__version__"]


def test_align_goes_on_where_it_was_refuses_other_records_and_trains_as_the_command_does(page, trifacet):
    pairs = face.read_samples("runs/demo/data/preference.jsonl", "preference")[:6]
    settings = {"max_steps": 2, "batch_size": 2, "learning_rate": 1e-3}
    start = "runs/demo/models/sft/model"

    def align(records, **changed):
        return face.align(
            start, records, "dpo", output="runs/again", images="runs/demo/data", **settings, **changed
        )  # fmt: skip

    weights = (align(pairs) / "model.safetensors").stat().st_mtime_ns
    values = [one.model_dump(exclude_defaults=True) for one in pairs]
    assert (align(values) / "model.safetensors").stat().st_mtime_ns == weights, "the same records: finished before"
    with pytest.raises(face.TrifacetError, match=r"holds another run \(data.preference differs\)"):
        align(pairs[:4])
    (page / "six.jsonl").write_text("".join(one.model_dump_json(exclude_defaults=True) + "\n" for one in pairs))
    recipe = {"name": "command", "output": "runs/command", "model": {"path": start}, "align": {"dpo": {
        "objective": "dpo", **settings}}, "data": {"images": "runs/demo/data", "preference": "six.jsonl"}}  # fmt: skip
    (page / "command.yaml").write_text(yaml.safe_dump(recipe))
    assert trifacet("align", "command.yaml")[0] == 0
    ours, theirs = (load_model(f"runs/{name}/models/dpo/model").model.state_dict() for name in ("again", "command"))
    before = load_model(start).model.state_dict()
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())
    assert not all(torch.equal(weight, before[name]) for name, weight in ours.items())


def align_six_steps(output, data, start):
    pairs = face.read_samples(data / "preference.jsonl", "preference")[:6]
    settings = {"max_steps": 6, "batch_size": 2, "save_every": 1, "log_every": 1, "learning_rate": 1e-3}
    return face.align(start, pairs, "mcm-dpo", output=output, images=data, **settings)


@pytest.mark.endurance
def test_killed_and_called_again_align_ends_with_the_same_weights(tmp_path, world, tiny_folder):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    stage = killed / "models" / "mcm-dpo"
    process = processes.Process(target=on_one_thread, args=(align_six_steps, (killed, world, tiny_folder)))
    process.start()
    while not (stage / "checkpoint-2").exists():
        assert process.is_alive()
        time.sleep(0.002)
    process.kill()
    process.join()
    assert not (stage / "model").exists()
    for output in (whole, killed):
        align_six_steps(output, world, tiny_folder)
    for name in ("model/model.safetensors", "log.jsonl"):
        assert (stage / name).read_bytes() == (whole / "models" / "mcm-dpo" / name).read_bytes()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: face.describe(None, "nowhere.png"), "nowhere.png: no such file"),
        (lambda: face.generate(None, [{"image": 3}]), "row 1, field 'image': input should be a valid string"),
        (lambda: face.generate(None, [], beam=3), "unknown key 'beam'; did you mean 'beams'"),
        (lambda: face.align("m", [], output="x"), "nothing to write"),
        (lambda: face.align("m", [face.TestSample(id="a")], output="x"), "row 1: is a TestSample; give a Pref"),
        (lambda: face.align("m", [{}], "dpp", output="x"), "unknown objective 'dpp'; did you mean 'dpo'"),
        (lambda: face.score({"a": "b"}, {"a": "b"}, metrics=["shop_:f"]), "metric 'shop_:f': shop_ cannot be imported"),
        (lambda: face.score({"a": "b"}, {"a": "b"}, metrics=[lambda t, s: 3]), "gives no list of measures"),
        (lambda: face.score({"a": "b"}, {"a": "b"}, metrics=[lambda t, s: [face.mean_measure("length", {"a": 1.0})]]),
         "two metrics are called 'length'"),
        (lambda: face.score({"a": "b"}, {"a": "b"}, metrics=[lambda t, s: [face.mean_measure("m", {"c": 1.0})]]),
         "has a value for 'c', which is no sample"),
        (lambda: face.compare({"a": face.score({"a": "b"}, {"a": "b"})}, metrics=["no"]), "no metric 'no'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(call, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(face.TrifacetError, match=re.escape(said)) as problem:
        call()
    assert "\n" not in str(problem.value)


def test_the_report_of_a_run_runs_no_format_that_was_not_named(page, trifacet, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    (folder / "models").mkdir(parents=True)
    (tmp_path / "theirs.py").write_text(
        "from pathlib import Path\nfrom trifacet import Format\nPath('was-run').touch()\n"
        "ROWS = Format(lambda row: {'image': row['photo'], 'references': [row['alt']]})\n"
    )
    monkeypatch.chdir(tmp_path)
    shutil.copy(page / "pairs.jsonl", tmp_path / "test.jsonl")
    told = {"name": "theirs", "data": {"root": str(tmp_path), "test": "test.jsonl", "format": "theirs:ROWS"}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(told))
    (folder / "run.json").write_text(json.dumps({"name": "theirs", "seconds": {}}))
    code, _, err = trifacet("report", folder)
    assert code == 2 and "'theirs:ROWS' is code of somebody's own; name it with --format" in err
    assert not (tmp_path / "was-run").exists()
    assert trifacet("report", folder, "--format", "theirs:ROWS")[0] == 0
    assert (tmp_path / "was-run").exists()
    assert "theirs:ROWS" not in FORMATS and format_called("theirs:ROWS")
