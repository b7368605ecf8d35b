"""The commands that train: what they print, and where."""

import json

import pytest
from small_runs import recipe_file

QUICK = {"sft.max_steps": 1, "align.mcm.max_steps": 1}


def test_stages_print_their_model_folders_and_a_run_the_scores_and_the_report(
    tmp_path, world, tiny_folder, trifacet, monkeypatch
):
    monkeypatch.setattr("trifacet.metrics.paper.punkt_installed", lambda: False)
    monkeypatch.setattr("trifacet.metrics.paper._may_have_sentences", lambda text: True)
    out = tmp_path / "out"
    recipe = recipe_file(tmp_path, out, world, tiny_folder, QUICK)
    code, printed, said = trifacet("sft", recipe)
    assert (code, printed) == (0, f"{out}/models/sft/model\n")
    assert "what is trained" in said
    assert "Warning" not in said
    code, printed, _ = trifacet("align", recipe, "--only", "mcm")
    assert (code, printed) == (0, f"{out}/models/mcm/model\n")
    code, printed, said = trifacet("run", recipe)
    assert code == 0
    assert printed.splitlines()[-1] == f"{out}/report.html"
    assert all(word in printed for word in ("bleu_4", "base", "sft", "mcm"))
    assert "sft: finished before" in said
    assert all(f"{name}*" in printed for name in ("bleu_4", "bleu_4_cumulative", "meteor"))
    assert "* not official: bleu_4, bleu_4_cumulative, meteor: NLTK's punkt is not installed" in printed
    assert "rouge_l*" not in printed and "length*" not in printed
    assert json.loads((out / "run.json").read_text())["finished"] is not None


def test_set_and_overwrite(tmp_path, world, tiny_folder, trifacet):
    recipe = recipe_file(tmp_path, tmp_path / "out", world, tiny_folder, QUICK)
    assert trifacet("sft", recipe)[0] == 0
    code, _, said = trifacet("sft", recipe, "--set", "sft.learning_rate=1e-5")
    assert code == 2
    assert "sft.learning_rate differs" in said
    assert trifacet("sft", recipe, "--set", "sft.learning_rate=1e-5", "--overwrite")[0] == 0
    done = json.loads((tmp_path / "out/models/sft/done.json").read_text())
    assert done["learning_rate"] == 1e-5


@pytest.mark.parametrize("command", ["run", "sft", "align"])
def test_help_shows_an_example(trifacet, command):
    code, printed, _ = trifacet(command, "--help")
    assert code == 0
    assert f"trifacet {command} recipes/" in printed


def test_a_recipe_that_is_not_there(trifacet):
    code, printed, said = trifacet("run", "no-such.yaml")
    assert (code, printed) == (2, "")
    assert "no-such.yaml" in said
