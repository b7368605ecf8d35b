"""The folder of a run: whose it is, and what --overwrite may remove."""

import fcntl
import json

import pytest
import yaml
from small_runs import recipe_of

from trifacet.base.errors import TrifacetError
from trifacet.runs.folder import WORLD_MARK, claimed


@pytest.fixture
def recipe(tmp_path):
    return lambda **changes: recipe_of(tmp_path / "out", "data", "model", changes)


def made(folder, *names):
    """As if a run had made these."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("made")


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_claimed_folder_says_what_it_is(recipe, tmp_path):
    with claimed(recipe()) as record:
        record.took("sft", 1.25)
        record.took("sft", 1.0)
        record.finish()
    facts = json.loads((tmp_path / "out/run.json").read_text())
    assert facts["name"] == "small"
    assert facts["seconds"] == {"sft": pytest.approx(2.2, abs=0.11)}
    assert facts["finished"] >= facts["started"]
    assert {"python", "torch", "transformers", "trifacet"} <= facts["versions"].keys()
    assert yaml.safe_load((tmp_path / "out/recipe.yaml").read_text())["seed"] == 5


def test_the_same_recipe_goes_on_and_another_is_refused(recipe, tmp_path):
    with claimed(recipe()):
        made(tmp_path / "out", "models/sft/log.jsonl")
    with claimed(recipe()):
        pass
    before = names(tmp_path / "out")
    message = r"holds another run \(sft.learning_rate differs\).*--overwrite"
    with pytest.raises(TrifacetError, match=message), claimed(recipe(**{"sft.learning_rate": 5e-5})):
        pass
    assert names(tmp_path / "out") == before


def test_a_run_that_made_nothing_yet_gives_way(recipe, tmp_path):
    """A mistake in the recipe that shows at once is mended without --overwrite."""
    with claimed(recipe(**{"model.path": "misspelt"})):
        pass
    with claimed(recipe()):
        pass
    assert yaml.safe_load((tmp_path / "out/recipe.yaml").read_text())["model"]["path"] == "model"


def test_a_folder_that_is_no_run_is_not_touched(recipe, tmp_path):
    made(tmp_path / "out", "thesis.tex", "models/mine.txt")
    for overwrite in (False, True):
        refused = pytest.raises(TrifacetError, match="is not empty and holds no run")
        with refused, claimed(recipe(), overwrite=overwrite):
            pass
        assert names(tmp_path / "out") == ["models/mine.txt", "thesis.tex"]


def test_overwrite_removes_what_a_run_makes_and_nothing_else(recipe, tmp_path):
    out = tmp_path / "out"
    foreign = ["data/mine.jsonl", "notes.txt", "seed-money/account.txt"]
    with claimed(recipe()):
        made(out, "models/sft/log.jsonl", "generations/sft.jsonl", "report.html", "reference/sft-all.safetensors")
        made(out, "seed-1/run.json", *foreign)
    with claimed(recipe(seed=6), overwrite=True):
        assert names(out) == sorted([".lock", *foreign, "recipe.yaml", "run.json"])


def test_overwrite_removes_a_world_that_the_run_made(recipe, tmp_path):
    with claimed(recipe()):
        made(tmp_path / "out", "data/sft.jsonl", f"data/{WORLD_MARK}")
    with claimed(recipe(), overwrite=True):
        assert not (tmp_path / "out/data").exists()


def test_two_processes_do_not_share_a_folder(recipe, tmp_path):
    with claimed(recipe()):
        pass
    with (tmp_path / "out/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TrifacetError, match="another process is running"), claimed(recipe()):
            pass


@pytest.mark.parametrize("text", ["", "[]", '{"recipe_sha256": 1}', "\0"])
def test_a_damaged_record_is_refused_and_can_be_overwritten(recipe, tmp_path, text):
    with claimed(recipe()):
        pass
    (tmp_path / "out/run.json").write_text(text)
    with pytest.raises(TrifacetError, match=r"damaged.*--overwrite"), claimed(recipe()):
        pass
    with claimed(recipe(), overwrite=True):
        pass


def test_a_kill_while_claiming_leaves_a_folder_that_can_be_claimed(recipe, tmp_path):
    made(tmp_path / "out", ".lock", ".run.json.123.tmp")
    with claimed(recipe()):
        assert names(tmp_path / "out") == [".lock", "recipe.yaml", "run.json"]


def test_an_output_that_is_a_file_is_refused(recipe, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(TrifacetError, match="cannot write to"), claimed(recipe()):
        pass
    assert (tmp_path / "out").read_text() == "a file"


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), RuntimeError("I/O error: No space left on device (os error 28)")],
)
def test_a_full_disk_is_one_line_wherever_it_shows(recipe, error):
    message = r"the disk of .* is full; free some space, then the same command continues"
    with pytest.raises(TrifacetError, match=message), claimed(recipe()):
        raise error


def test_other_errors_are_not_taken_for_a_full_disk(recipe):
    with pytest.raises(RuntimeError, match="shapes"), claimed(recipe()):
        raise RuntimeError("shapes cannot be multiplied")
