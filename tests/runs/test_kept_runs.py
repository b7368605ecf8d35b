"""Of what a run has kept nothing that is damaged is used: it is named, and made again where that can be."""

import json
import shutil

import pytest
from flips import flip, random_flips

from trifacet.base.errors import DataError, TrifacetError
from trifacet.evaluation.run_folder import read_run
from trifacet.models.loading import load_model
from trifacet.runs.keeping import verify
from trifacet.runs.run import run_recipe, run_stages
from trifacet.training.recipe import Recipe

TINY = {
    "hidden_size": 16, "layers": 1, "heads": 2, "vision_hidden_size": 16, "vision_layers": 2, "vision_heads": 2,
    "image_size": 32, "vocabulary": 300,
}  # fmt: skip
STEP = {"max_steps": 1, "batch_size": 2, "log_every": 1}
WEIGHTS = "models/sft/model/model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run with files of all kinds."""
    recipe = Recipe.model_validate(
        {
            "name": "small demo",
            "output": str(tmp_path_factory.mktemp("kept") / "out"),
            "model": {"tiny": TINY, "device": "cpu"},
            "data": {"world": {"sft": 4, "preference": 4, "validation": 2, "test": 2}},
            "sft": STEP,
            "align": {"mcm": {**STEP, "objective": "mcm-dpo"}},
            "generate": {"beams": 1, "max_new_tokens": 3},
        }
    )
    run_recipe(recipe)
    return recipe


@pytest.fixture
def recipe(whole, tmp_path):
    """A copy of it."""
    shutil.copytree(whole.folder, tmp_path / "out")
    return whole.model_copy(update={"output": str(tmp_path / "out")})


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for pattern in ("data/*.jsonl", "models/*/model/*", "reference/*", "rejected/*", "generations/*", "scores.json")
        for path in folder.glob(pattern)
    }


def test_weights_with_one_flipped_bit_are_trained_again_before_the_next_stage_starts_from_them(recipe, capfd):
    """As of a run that was stopped before its alignment; and the cached reference is not blamed."""
    sound = files_of(recipe.folder)
    shutil.rmtree(recipe.folder / "models/mcm")
    flip(recipe.folder / WEIGHTS, 8 * 5000)
    run_recipe(recipe)
    err = capfd.readouterr().err
    assert f"{recipe.folder / WEIGHTS} is not as it was written: this stage is trained anew" in err
    assert "base: finished" not in err
    again = files_of(recipe.folder)
    assert {name for name in sound if sound[name] != again[name]} <= {"models/sft/model/complete.json"}


def test_a_stage_alone_does_not_start_from_damaged_weights(recipe):
    shutil.rmtree(recipe.folder / "models/mcm")
    flip(recipe.folder / WEIGHTS, 8 * 5000)
    with pytest.raises(TrifacetError, match=r"sft/model/model\.safetensors is not as it was written; put it back"):
        run_stages(recipe, ["mcm"])
    assert not (recipe.folder / "models/mcm/model").exists()


@pytest.mark.parametrize(
    "name",
    [pytest.param("generation_config.json", marks=pytest.mark.endurance), "tokenizer_config.json", "complete.json"],
)
def test_what_stands_beside_the_weights_stops_the_run_and_may_be_kept_on_purpose(recipe, name):
    """A user may have corrected an adapter's base: training, which is dear, does not begin by itself."""
    path = recipe.folder / "models/sft/model" / name
    sound = path.read_bytes()
    path.unlink() if name.startswith("tokenizer") else path.write_bytes(sound.replace(b"e", b"o", 1))
    with pytest.raises(
        TrifacetError, match=rf"{name} is .*; put it back, or delete .*complete\.json .*, or delete .*sft "
    ):
        run_recipe(recipe)
    with pytest.raises(TrifacetError, match=rf"{name} is "):
        load_model(path.parent)
    path.write_bytes(sound)
    (path.parent / "complete.json").unlink(missing_ok=True)
    run_recipe(recipe)
    assert (path.parent / "complete.json").exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"steps": 1', b"\xff", None])
def test_a_damaged_record_of_a_stage_is_one_line(recipe, content):
    path = recipe.folder / "models/sft/done.json"
    path.write_bytes(path.read_bytes().replace(b'"steps": 1', b'"steps": 9') if content is None else content)
    with pytest.raises(DataError, match=r"sft/done\.json: is damaged; put it back, or delete .*models/sft to train"):
        run_recipe(recipe)


def test_all_else_is_made_again_as_it_was(recipe, capfd):
    sound = files_of(recipe.folder)
    victims = [
        "data/test.jsonl", "data/images/test-00000.png", "models/base/model/model.safetensors", "rejected/00-1.png",
        "generations/sft.jsonl", "scores.json", *(name for name in sound if name.startswith("reference/")),
    ]  # fmt: skip
    for name in victims:
        flip(recipe.folder / name, 8 * 100)
    named = {str(path.relative_to(recipe.folder)) for path, _ in verify(recipe.folder)}
    assert named == set(victims)
    run_recipe(recipe)
    err = capfd.readouterr().err
    assert all(f"{recipe.folder / name} is not as it was written: made again" in err for name in victims)
    again = files_of(recipe.folder)
    gone = {name for name in sound if name not in again}
    assert all(name.startswith("reference/") for name in gone), "no stage is left that needs the reference"
    sound = {name: sound[name] for name in sound if name not in gone}
    other = {name for name in sound if sound[name] != again[name]}
    assert other <= {
        "models/base/model/complete.json",
        "rejected/index.json",
    }  # which has whole paths, and this is a copy
    assert verify(recipe.folder) == []


@pytest.mark.parametrize(
    "name", ["generations/sft.jsonl", "scores.json", "models/mcm/log.jsonl", "models/mcm/done.json"]
)
def test_what_is_told_of_a_run_is_not_told_of_damaged_files(recipe, name):
    path = recipe.folder / name
    path.write_bytes(path.read_bytes().replace(b"e", b"o", 1))
    with pytest.raises(DataError, match=rf"{name}: is (damaged|not as it was written); "):
        read_run(recipe.folder)


@pytest.mark.parametrize("models", [1.5, [], {"sft": 1}, {"sft": {"metrics": 2}}])
def test_scores_of_another_shape_are_one_line(recipe, models):
    unsealed(recipe.folder)
    (recipe.folder / "scores.json").write_text(json.dumps({"models": models}))
    with pytest.raises(
        DataError, match=r"scores\.json, field 'models': is no object of models; delete it and run again"
    ):
        read_run(recipe.folder)


def test_a_run_from_before_there_were_seals_goes_on_and_is_sealed(recipe, capfd):
    unsealed(recipe.folder)
    before = files_of(recipe.folder)
    run_recipe(recipe)
    assert "made again" not in capfd.readouterr().err
    again = files_of(recipe.folder)
    assert all("settings" in name for name in before if before[name] != again[name])
    flip(recipe.folder / WEIGHTS, 8 * 5000)
    flip(recipe.folder / "data/test.jsonl", 80)
    assert [path.name for path, _ in verify(recipe.folder)] == ["test.jsonl", "model.safetensors"]


def unsealed(folder):
    """Take away all seals, as in a folder that was made before there were any."""
    for path in folder.rglob("complete.json"):
        path.unlink()
    for path in (folder / "run.json", *folder.glob("models/*/done.json"), *folder.glob("generations/*.settings.json")):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({key: content[key] for key in content if key not in ("seal", "sealed", "files")}))


@pytest.mark.parametrize("count", [60, pytest.param(5000, marks=pytest.mark.endurance)])
def test_every_flipped_bit_is_named(whole, trifacet, count):
    for path, place in random_flips(whole.folder, count, seed=count):
        harmless = path.suffix == ".json" and same(path, place)
        assert harmless or path in [one for one, _ in verify(whole.folder)], (path, place)
    assert verify(whole.folder) == []


def same(path, place) -> bool:
    """Whether a document says the same with the flip: 1e-5 and 1E-5 are one number."""
    try:
        now = json.loads(path.read_bytes())
        flip(path, place)
        then = json.loads(path.read_bytes())
        flip(path, place)
    except ValueError:
        return False
    return now == then


def test_the_command_names_what_is_damaged_and_changes_nothing(recipe, tmp_path, trifacet):
    path = tmp_path / "recipe.yaml"
    shutil.copy(recipe.folder / "recipe.yaml", path)
    options = ["run", path, "--set", f"output={recipe.folder}", "--verify"]
    assert trifacet(*options)[0] == 0
    flip(recipe.folder / WEIGHTS, 8 * 5000)
    before = {path: path.stat().st_mtime_ns for path in recipe.folder.rglob("*")}
    code, out, err = trifacet(*options)
    assert (code, out) == (1, f"{recipe.folder / WEIGHTS}: is not as it was written\n")
    assert "1 file is damaged" in err
    assert {path: path.stat().st_mtime_ns for path in recipe.folder.rglob("*")} == before
    assert trifacet("run", path, "--set", f"output={tmp_path / 'none'}", "--verify")[0] == 2
