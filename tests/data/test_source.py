"""One way from a recipe, or a finished run, to samples; each file is read once in a run."""

import json
import os

import pytest
import yaml

from trifacet.base.errors import DataError, TrifacetError
from trifacet.data import source as module
from trifacet.data.settings import Data
from trifacet.data.source import FilesRead, source_of
from trifacet.evaluation.run_folder import read_run


@pytest.fixture
def parses(monkeypatch):
    """The files that were parsed, in order."""
    seen = []
    parse = module.iter_samples

    def noting(file, *arguments, **options):
        seen.append(file.name)
        return parse(file, *arguments, **options)

    monkeypatch.setattr(module, "iter_samples", noting)
    return seen


def row(number, **changes):
    return {"id": f"s{number}", "image": "a.png", "context": "a post", "response": "A disc.", **changes}


def write(path, *rows):
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))


def test_a_file_is_parsed_once_for_each_kind_of_record_and_anew_once_it_changes(tmp_path, parses):
    write(tmp_path / "d.jsonl", row(1), row(2))
    data, files = Data(root=str(tmp_path), sft="d.jsonl", preference="d.jsonl"), FilesRead()
    for _ in range(3):
        assert [one.id for one in source_of(data, tmp_path, "preference", files=files).read()] == ["s1", "s2"]
    source_of(data, tmp_path, "sft", files=files).read()
    assert len(parses) == 2
    write(tmp_path / "d.jsonl", row(3))
    os.utime(tmp_path / "d.jsonl", ns=(1, 1))
    assert [one.id for one in source_of(data, tmp_path, "sft", files=files).read()] == ["s3"]
    assert len(parses) == 3


def test_what_a_reader_does_to_its_list_does_not_reach_the_next_one(tmp_path):
    write(tmp_path / "d.jsonl", row(1), row(2))
    source = source_of(Data(root=str(tmp_path), sft="d.jsonl"), tmp_path, "sft")
    source.read().clear()
    source.rows(lambda problem: None).clear()
    assert len(source.read()) == 2


def test_a_reader_is_told_of_skipped_rows_each_time(tmp_path, parses):
    write(tmp_path / "d.jsonl", row(1), row(2, response=""), row(3))
    data, files = Data(root=str(tmp_path), sft="d.jsonl", on_bad_row="skip"), FilesRead()
    for _ in range(2):
        told = []
        rows = source_of(data, tmp_path, "sft", files=files).rows(told.append)
        assert [number for number, _ in rows] == [1, 3]
        assert [problem.row for problem in told] == [2]
    assert len(parses) == 1
    strict = data.model_copy(update={"on_bad_row": "stop"})
    for _ in range(2):  # what was wrong once is wrong again
        with pytest.raises(DataError, match="row 2"):
            source_of(strict, tmp_path, "sft", files=files).read()


def test_digests_follow_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    files = FilesRead()
    first = files.digest(tmp_path / "a")
    assert files.digest(tmp_path / "a") == first
    (tmp_path / "a").write_bytes(b"another")
    assert files.digest(tmp_path / "a") != first


def test_a_finished_run_reads_posts_by_the_label_that_its_models_saw(tmp_path, trifacet):
    """MCM-DPO's rows hold request, label and post in one text: by another label there is no post in them."""
    rows = [
        {
            "id": f"s{k}",
            "image_path": "a.png",
            "question": f"Describe it.\nPost: dog {k} on a beach",
            "chosen": "A dog.",
        }
        for k in range(3)
    ]
    write(tmp_path / "test.jsonl", *rows)
    run = tmp_path / "run"
    (run / "generations").mkdir(parents=True)
    data = {"root": str(tmp_path), "test": "test.jsonl", "format": "mcm-dpo", "context_label": "Post:"}
    (run / "recipe.yaml").write_text(yaml.safe_dump({"name": "r", "data": data}))
    for name, text in (("sft", "Dog {} on a beach"), ("mcm", "A brown dog runs at the edge of the water")):
        write(run / f"generations/{name}.jsonl", *({"id": f"s{k}", "text": text.format(k)} for k in range(3)))
    trained_on = source_of(Data.model_validate(data), run, "test").read()
    assert [one.context for one in trained_on] == [f"dog {k} on a beach" for k in range(3)]
    assert read_run(run).samples == trained_on
    code, _, said = trifacet("compare", run, "--metrics", "lint_clean", "--json", tmp_path / "compared.json")
    assert code == 0, said
    (metric,) = json.loads((tmp_path / "compared.json").read_text())["metrics"]
    assert metric["values"]["sft"]["value"] == 0  # each text repeats its post
    assert metric["values"]["mcm"]["value"] == 100


def test_a_sweep_has_described_the_validation_posts(tmp_path):
    for split in ("validation", "test"):
        write(tmp_path / f"{split}.jsonl", row(split))
    run = tmp_path / "run"
    run.mkdir()
    data = {"root": str(tmp_path), "validation": "validation.jsonl", "test": "test.jsonl"}
    for sweep, split in ((None, "test"), ({"learning_rates": [1e-4]}, "validation")):
        (run / "recipe.yaml").write_text(yaml.safe_dump({"data": data, "sweep": sweep}))
        assert [one.id for one in read_run(run).samples] == [f"s{split}"]


def test_a_run_whose_recipe_is_damaged_says_so(tmp_path):
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"data": {"root": ["x"], "unknown": 1}}))
    with pytest.raises(TrifacetError, match=r"recipe\.yaml.*root"):
        read_run(tmp_path)
