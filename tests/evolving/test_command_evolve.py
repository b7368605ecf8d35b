"""``trifacet evolve`` on the command line: what is there is told, what cannot be is refused in one line."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
import yaml
from ending import with_ends
from hostile_pages import HOSTILE, only_our_markup
from small_evolving import by_lot, endpoint_file, recipe_file
from told_run import a_gate, make_run

from trifacet.cli.evolve_view import print_story
from trifacet.cli.main import main
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.evolving.document import evolve_document, explain
from trifacet.evolving.settings import EvolveRecipe, load_evolve_recipe


def trifacet(*arguments):
    """The exit code and what is printed, of the command as a user starts it but for the new process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    ends_by = signal.getsignal(signal.SIGTERM)
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["trifacet", "evolve", *map(str, arguments)])
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            signal.signal(signal.SIGTERM, ends_by)
    told = [one.buffer.getvalue().decode() for one in (out, err)]
    return ended.value.code or 0, *told


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """The recipe of a finished run, beside its folder."""
    home = tmp_path_factory.mktemp("evolve")
    folder = make_run(home / "run", 24, rounds=2, gate=a_gate())
    return written(home / "evolve.yaml", folder)


def written(path, folder, **others):
    values = {
        "name": "first evolve", "output": str(folder), "model": {"path": "models/base"},
        "data": {"root": str(path.parent / "given"), "images": "pictures"}, "samples": "samples.jsonl", **others,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_the_report_is_written_anew_and_its_path_comes_last(recipe):
    code, out, err = trifacet(recipe, "--report")
    assert code == 0, err
    assert out.splitlines()[-1] == str(recipe.parent / "run" / "report.html")
    assert out.splitlines()[0] == "rounds" and "accepted" in out
    assert "warning: The verifier is below the gate's bounds" in err
    assert (recipe.parent / "run" / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_sample_is_explained_and_an_unknown_one_answered_with_the_nearest(recipe):
    code, out, _ = trifacet(recipe, "--explain", "sample-00003")
    assert code == 0
    assert out.startswith("sample-00003\n") and "Round 1: " in out and "reference: " in out and "feedback: " in out
    code, out, err = trifacet(recipe, "--explain", "sample-0O003")
    assert (code, out) == (2, "")
    assert "has the id 'sample-0O003'; the nearest ids are " in err and "'sample-00003'" in err
    assert err.count("\n") == 1
    code, out, _ = trifacet(recipe, "--explain", "sample-00003", "--json", "-")
    assert code == 0 and json.loads(out)["rounds"][0]["round"] == 1


def test_verify_names_what_is_damaged(recipe, tmp_path):
    assert trifacet(recipe, "--verify")[0] == 0
    folder = make_run(tmp_path / "run", 6, rounds=1, gate=a_gate())
    (folder / "gate.json").write_text("{}".replace("}", '"seal": "0000000000000000"}'))
    code, out, err = trifacet(written(tmp_path / "evolve.yaml", folder), "--verify")
    assert (code, out) == (1, f"{folder / 'gate.json'}: is damaged\n")
    assert "1 file is damaged" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--report", "--verify"], "are commands of their own; give one"),
        (["--overwrite", "--estimate"], "--overwrite begins the run anew; give it alone"),
        (["--dry-run", "--sample", "0"], "--sample"),
        (["--dry-run", "--ray", "auto"], "leave out --ray"),
        (["--set", "verification.vote=3"], "verification.vote"),
        (["--set", "verification.votes=3"], "3 votes at temperature 0 are one vote"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(recipe, arguments, said):
    code, out, err = trifacet(recipe, *arguments)
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1


def test_folders_that_are_no_run_and_recipes_that_are_none_are_named(tmp_path):
    code, _, err = trifacet(tmp_path / "nope.yaml")
    assert code == 2 and "nope.yaml" in err and err.count("\n") == 1
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    recipe = written(tmp_path / "evolve.yaml", tmp_path / "run")
    for asked in (["--explain", "x"], ["--report"], ["--verify"]):
        code, _, err = trifacet(recipe, *asked)
        assert code == 2 and "holds no run of 'trifacet evolve'" in err
    code, _, err = trifacet(recipe)
    assert code == 2 and str(tmp_path / "run") in err
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_story_of_hostile_texts_is_seen_and_not_obeyed(tmp_path, capsys):
    folder = make_run(tmp_path / "run", 3, rounds=1, word=lambda text: f"{text} {HOSTILE}" if text else text)
    row = json.loads((folder / "round-1" / "samples" / "00000.jsonl").read_text().splitlines()[0])
    print_story(explain(folder, row["id"]))
    said = capsys.readouterr().out
    assert "Round 1" in said and "<hostile-one" in said
    assert not {"\x1b", "\0", "\x07", "\u202e"} & set(said)


def test_a_role_that_is_drawn_stays_so_when_something_else_of_it_is_set(tmp_path):
    recipe = load_evolve_recipe(
        written(tmp_path / "e.yaml", "x", roles={"generator": {"max_new_tokens": 9}, "reviser": {"batch_size": 1}})
    )
    assert recipe.roles.generator.temperature == recipe.roles.reviser.temperature == 0.7
    assert recipe.roles.verifier.temperature == 0
    assert EvolveRecipe.model_fields["seed"].default == recipe.seed


def test_help_and_reading_a_run_import_no_torch(recipe):
    for module in ("trifacet.evolving.document", "trifacet.cli.evolve", "trifacet.reports.evolving.page"):
        code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, module


@pytest.fixture(scope="module")
def real(tiny_folder, unscored_world, world, tmp_path_factory):
    """A recipe of two rounds by a tiny model, verified by lot behind an endpoint, which is up meanwhile."""
    home = tmp_path_factory.mktemp("real")
    model = with_ends(tiny_folder, home / "model")
    posts = shutil.copytree(unscored_world, home / "posts")
    shutil.copy(world / "test.jsonl", posts / "samples.jsonl")
    with ScriptedEndpoint(by_lot) as endpoint:
        verifier = endpoint_file(home / "verifier.yaml", endpoint.base_url)
        changes = {"samples": "samples.jsonl", "roles.verifier.endpoint": verifier, "limit": 5, "gate.samples": 4}
        yield recipe_file(home / "evolve.yaml", home / "run", posts, model, changes | {"gate.otherwise": "go on"})


def test_a_run_ends_with_its_rounds_and_the_path_of_its_report(real):
    code, out, err = trifacet(real)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "rounds" and lines[-1] == str(real.parent / "run" / "report.html")
    assert err.startswith("small: gate, 2 rounds, report, in ") and "round 1: 5 samples" in err
    page = (real.parent / "run" / "report.html").read_text(encoding="utf-8")
    only_our_markup(page, "evolve.html.jinja")
    document = evolve_document(real.parent / "run")
    assert document["gate"]["tasks"] and document["rounds"][0]["biases"]["accept_rate"]["all"]["count"]
    assert document["rounds"][0]["total"]["waiting"] == 0
    assert "Precision" in page and "Does the form decide?" in page
    again = trifacet(real)
    assert again[:2] == (0, out)
    code, _, err = trifacet(real, "--set", "pairs.most=1")
    assert code == 2 and "pairs.most" in err
    code, out, _ = trifacet(real, "--verify")
    assert (code, out) == (0, "")


def test_a_trial_and_an_estimate_leave_the_run_alone(real):
    code, out, err = trifacet(real, "--dry-run", "--sample", "2", "--set", f"output={real.parent / 'other'}")
    assert code == 0, err
    assert out.splitlines()[-1] == str(real.parent / "other.dry-run" / "report.html")
    assert not (real.parent / "other").exists()
    code, out, err = trifacet(real, "--estimate", "--set", f"output={real.parent / 'other'}")
    assert code == 0, err
    assert "verifier" in out and "at most" in out and not (real.parent / "other").exists()
