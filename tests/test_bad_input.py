"""What bad input gets: one line that says what to do, exit code 2 (130 for Ctrl-C), nothing half-written."""

import json
import os
import shutil
import signal
import subprocess

import pytest
from PIL import Image
from small_runs import Command, recipe_file

from trifacet.cli import main as command_line


@pytest.fixture
def data(tmp_path, unscored_world):
    return shutil.copytree(unscored_world, tmp_path / "data")


@pytest.fixture
def refused(tmp_path, data, tiny_folder, monkeypatch, capfd):
    """Run a recipe that is refused; its one line of error."""

    def run(*options, changes=None, code=2, verb="run"):
        recipe = recipe_file(tmp_path, tmp_path / "out", data, tiny_folder, changes)
        monkeypatch.setattr("sys.argv", ["trifacet", verb, str(recipe), *options])
        monkeypatch.setenv("COLUMNS", "500")
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            command_line.main()
        captured = capfd.readouterr()
        assert end.value.code == code
        assert "Traceback" not in captured.err
        errors = [line for line in captured.err.splitlines() if line.startswith("error:")]
        assert len(errors) == 1, captured.err
        assert captured.err.splitlines()[-1] == errors[0]
        assert captured.out == ""
        assert unfinished(tmp_path / "out") == []
        return errors[0]

    return run


def unfinished(folder):
    """What would be half-written: temporary files, and model folders that no finished stage stands behind."""
    found = [path for path in folder.rglob("*") if path.name.startswith(".") and path.name != ".lock"]
    return found + [path for path in folder.glob("models/*/model") if not (path.parent / "done.json").exists()]


def edit_row(file, number, change):
    lines = file.read_text().splitlines()
    row = json.loads(lines[number])
    change(row)
    lines[number] = json.dumps(row)
    file.write_text("\n".join(lines) + "\n")


def missing(path):
    path.unlink()


def unreadable(path):
    path.write_text("this is no picture")


def empty(path):
    path.write_bytes(b"")


def truncated(path):
    path.write_bytes(path.read_bytes()[:200])


def animated(path):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:])


def huge(path):
    Image.new("1", (9000, 9000)).save(path, format="PNG")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (missing, "no image file 'images/preference-00002.png'"),
        (unreadable, "is not an image of a known format"),
        (empty, "is not an image of a known format"),
        (truncated, "damaged or truncated"),
        (animated, "is animated"),
        (huge, "81000000|9000 x 9000 pixels, more than the limit"),
    ],
)
def test_a_bad_image_is_named_with_its_sample(refused, data, damage, message):
    import re

    damage(data / "images/preference-00002.png")
    error = refused(changes={"sft": None})
    assert "preference.jsonl, row 3, field 'image': " in error
    assert error.count("sample 'preference-00002': ") == 1
    assert re.search(message, error)


def test_an_image_outside_the_root_is_refused(refused, data):
    edit_row(data / "preference.jsonl", 1, lambda row: row.update(image="../../etc/passwd.png"))
    assert "lies outside the data root" in refused(changes={"sft": None})


def test_an_empty_context_is_legal_and_an_empty_response_is_not(tmp_path, data, refused, tiny_folder):
    for file in ("sft.jsonl", "preference.jsonl", "test.jsonl"):
        edit_row(data / file, 0, lambda row: row.update(context=""))
    changes = {"sft.max_steps": 1, "align.mcm.max_steps": 1, "generate.limit": 1}
    recipe = recipe_file(tmp_path, tmp_path / "legal", data, tiny_folder, changes)
    assert Command(tmp_path, "run", recipe).wait() == 0
    edit_row(data / "sft.jsonl", 4, lambda row: row.update(response="  "))
    error = refused()
    assert f"{data / 'sft.jsonl'}, row 5, field 'response': is empty" in error
    assert not (tmp_path / "out").exists()


def test_broken_json_is_named_by_its_line(refused, data, tmp_path):
    lines = (data / "preference.jsonl").read_text().splitlines()
    lines[6] = lines[6][:-10]
    (data / "preference.jsonl").write_text("\n".join(lines) + "\n")
    error = refused()
    assert f"{data / 'preference.jsonl'}, " in error
    assert "7" in error.partition("preference.jsonl")[2][:12]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"sft.learning_rat": 1}, (), "unknown key 'sft.learning_rat'; did you mean 'learning_rate'?"),
        ({"algin": {}}, (), "unknown key 'algin'; did you mean 'align'?"),
        ({}, ("--set", "generate.beam=2"), "unknown key 'generate.beam'; did you mean 'beams'?"),
        ({"align.mcm.objective": "mcm-dop"}, (), "unknown objective 'mcm-dop'; did you mean"),
        ({"sft.scheduler": "cosin"}, (), "sft.scheduler"),
        ({"data.sft": "none.jsonl"}, (), "data.sft: no file"),
        ({"model.path": "no/such/model"}, (), "no/such/model"),
        ({"model.device": "gpu"}, (), "model.device"),
        ({"model.device": "meta"}, (), "model.device: 'meta' holds no numbers; try auto"),
        ({"data.max_length": 20}, (), "data.max_length = 20"),
        ({"rejected.resample": True}, (), "set reference: online"),
    ],
)
def test_a_recipe_that_cannot_run_says_what_to_change(refused, changes, options, message):
    assert message in refused(*options, changes=changes)


def test_a_checkpoint_without_a_processor_is_refused(refused, tmp_path, tiny_folder):
    bare = shutil.copytree(tiny_folder, tmp_path / "bare")
    for path in bare.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    assert "no usable processor" in refused(changes={"model.path": str(bare)})


def test_an_unsupported_family_is_refused(refused, tmp_path, tiny_folder):
    other = shutil.copytree(tiny_folder, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "aya_vision"}))
    assert "'aya_vision' is not supported; supported: llava" in refused(changes={"model.path": str(other)})


def test_a_folder_of_another_run_is_refused(refused, tmp_path):
    refused(changes={"sft.max_steps": 1, "align.mcm.max_steps": 1, "data.max_length": 20})
    (tmp_path / "out/models").mkdir(exist_ok=True)
    assert "holds another run" in refused(changes={"seed": 6})


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_a_folder_that_is_no_run_is_refused_and_kept(refused, tmp_path, options):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("years of work")
    assert "is not empty and holds no run" in refused(*options)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_a_stage_that_the_recipe_has_not_is_refused(refused):
    assert "no 'sft' section" in refused(changes={"sft": None}, verb="sft")


def one_line(command, code=2):
    assert command.wait() == code, command.stderr
    assert "Traceback" not in command.stderr
    (error,) = [line for line in command.stderr.splitlines() if line.startswith("error:")]
    return error


SAVING = {"sft.max_steps": 12, "sft.save_every": 4, "align": None, "data.test": None}


MORE = (pytest.param(share, marks=pytest.mark.endurance) for share in (0.01, 0.1, 0.2, 0.4, 0.6, 0.8, 0.99, 1.2, 1.5))


@pytest.mark.parametrize("share", [0.05, *MORE])
def test_a_file_that_cannot_be_written_whole_is_one_line(tmp_path, data, tiny_folder, share):
    """The largest file allowed is below, at and above what the parts of a checkpoint take."""
    size = (tiny_folder / "model.safetensors").stat().st_size
    recipe = recipe_file(tmp_path, tmp_path / "out", data, tiny_folder, SAVING)
    error = one_line(Command(tmp_path, "run", recipe, largest_file=int(size * share)))
    assert "free some space" in error
    assert unfinished(tmp_path / "out") == []
    assert list((tmp_path / "out").glob("models/sft/checkpoint-*")) == []
    assert Command(tmp_path, "run", recipe).wait() == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of eight megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = os.geteuid() == 0 and shutil.which("mount")
    if (
        not mounted
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_keeps_the_last_checkpoint_and_the_run_goes_on(tmp_path, data, tiny_folder, small_disk):
    changes = {**SAVING, "sft.max_steps": 40}
    recipe = recipe_file(tmp_path, small_disk / "out", data, tiny_folder, changes)
    sft = small_disk / "out/models/sft"
    ballast = small_disk / "ballast"
    command = Command(tmp_path, "run", recipe)
    command.stop_when((sft / "checkpoint-4/trainer_state.json").exists, signal.SIGINT)
    saved = {path.name for path in sft.glob("checkpoint-*")}
    with ballast.open("wb") as file:  # so that another checkpoint does not fit
        free = shutil.disk_usage(small_disk).free
        file.write(bytes(max(free - 200_000, 0)))
    error = one_line(Command(tmp_path, "run", recipe))
    assert "free some space" in error
    assert unfinished(small_disk / "out") == []
    assert {path.name for path in sft.glob("checkpoint-*")} == saved
    assert all((path / "trainer_state.json").exists() for path in sft.glob("checkpoint-*"))
    ballast.unlink()
    assert Command(tmp_path, "run", recipe).wait() == 0
    steps = [json.loads(line)["step"] for line in (sft / "log.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 41))


def test_ctrl_c_is_130_wherever_it_comes(tmp_path, data, tiny_folder):
    recipe = recipe_file(tmp_path, tmp_path / "out", data, tiny_folder, {"sft.max_steps": 400, "align": None})
    command = Command(tmp_path, "run", recipe)
    assert command.stop_when((tmp_path / "out/run.json").exists, signal.SIGINT) == 130
    assert "Traceback" not in command.stderr
    assert "interrupted: the same command continues from here" in command.stderr
    assert unfinished(tmp_path / "out") == []
