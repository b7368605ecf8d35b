"""A run of rounds: every row accounted for, hard ones asked again, models trained in between, nothing done twice."""

import itertools
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from ending import with_ends
from small_evolving import DPO, by_lot, endpoint_file, field_of, files_of, recipe_of, rows_of, words_of

from trifacet.base.errors import TrifacetError
from trifacet.base.seals import read_document, sealed
from trifacet.data.formats import read_samples
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.evolving.evolve import evolve
from trifacet.evolving.keeping import HeldOut
from trifacet.evolving.parts import MARK
from trifacet.evolving.preparing import settled
from trifacet.evolving.round_samples import UNSEEN, read_index
from trifacet.evolving.trying import estimate, preview
from trifacet.models.loading import load_model


@pytest.fixture(scope="module")
def model(tiny_folder, tmp_path_factory):
    return with_ends(tiny_folder, tmp_path_factory.mktemp("ends") / "model")


@pytest.fixture(scope="module")
def posts(unscored_world, world, tmp_path_factory):
    """Samples with references, and held-out posts without, which are scored at once."""
    folder = tmp_path_factory.mktemp("posts") / "world"
    shutil.copytree(unscored_world, folder)
    shutil.copy(world / "test.jsonl", folder / "samples.jsonl")
    rows = [json.dumps(row | {"references": []}) for row in rows_of(folder / "validation.jsonl")]
    (folder / "validation.jsonl").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def asked(tmp_path):
    """A verifier behind an endpoint, and what makes a recipe with it."""
    with ScriptedEndpoint(by_lot) as endpoint:
        yield endpoint, endpoint_file(tmp_path / "verifier.yaml", endpoint.base_url)


def evolved(output, posts, model, verifier, changes=None):
    recipe = recipe_of(
        output, posts, model, {"samples": "samples.jsonl", "roles.verifier.endpoint": verifier, **(changes or {})}
    )
    return evolve(recipe)


def document(folder: Path) -> dict:
    return json.loads((folder / "round.json").read_text(encoding="utf-8"))


def records(folder: Path, step: str) -> list[dict]:
    return list(itertools.chain.from_iterable(rows_of(file) for file in sorted((folder / step).glob("*.jsonl"))))


@pytest.fixture(scope="module")
def plain(posts, model, tmp_path_factory):
    """Two rounds without a training: the output folder and how often the verifier was asked."""
    folder = tmp_path_factory.mktemp("plain")
    with ScriptedEndpoint(by_lot) as endpoint:
        evolved(folder / "out", posts, model, endpoint_file(folder / "verifier.yaml", endpoint.base_url))
        yield folder, endpoint


def test_every_row_is_accounted_for_in_every_round(plain, posts):
    folder, _ = plain
    known = [sample.id for sample in read_samples(posts / "samples.jsonl", "test")]
    for number in (1, 2):
        home = folder / "out" / f"round-{number}"
        fates, told = records(home, "fates"), document(home)
        asked_about = [row["id"] for row in records(home, "samples")]
        assert [fate["sample"] for fate in fates] == asked_about
        assert sum(told["fates"].values()) == told["rows"] == len(fates)
        assert told["fates"] == dict(Counter(fate["what"] for fate in fates))
        assert told["pairs"] == len(rows_of(home / "preference.jsonl"))
        assert told["pairs"] + told["lengths"]["left_out"] == len(records(home, "pairs"))
        assert told["feedback_pairs"] == len(rows_of(home / "feedback.jsonl"))
        if number == 1:
            assert asked_about == known
            hard = [fate["sample"] for fate in fates if fate["answers"] and not fate["accepted"]]
        else:
            assert asked_about == hard
            assert hard, "the second round has something to do"
            assert len(hard) < len(known)


def test_a_verdict_is_of_a_candidate_and_a_pair_is_of_verdicts_and_shows_the_clean_picture(plain, posts):
    folder, _ = plain
    samples = {sample.id: sample for sample in read_samples(posts / "samples.jsonl", "test")}
    home = folder / "out" / "round-1"
    answers = {(row["sample"], row["answer"]): row for row in records(home, "answers")}
    verdicts = {(row["sample"], row["answer"]): row for row in records(home, "verdicts")}
    assert {key for key, row in answers.items() if row["problem"] is None} == verdicts.keys()
    assert {row["origin"] for row in answers.values()} == {"normal", "downscale", "dropout-ntp", "revised"}
    pairs = read_samples(folder / "out" / "preference.jsonl", "preference")  # a file like any other
    assert pairs
    for pair in pairs:
        sample = samples[pair.extra["sample"]]
        assert (pair.image, pair.context, pair.prompt) == (sample.image, sample.context, sample.prompt)
        if pair.extra["round"] == 1:
            good, bad = ((sample.id, number) for number in pair.extra["answers"])
            assert (verdicts[good]["outcome"], verdicts[bad]["outcome"]) == ("accepted", "refused")
            assert (answers[good]["text"], answers[bad]["text"]) == (pair.response, pair.rejected_responses[0])


def test_a_finished_run_is_not_done_again(plain, posts, model):
    folder, endpoint = plain
    before, calls = files_of(folder / "out"), endpoint.calls.received
    evolved(folder / "out", posts, model, str(folder / "verifier.yaml"))
    assert (files_of(folder / "out"), endpoint.calls.received) == (before, calls)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"sampling.normal": 3}, "sampling.normal"),
        ({"seed": 6}, "seed"),
        ({"pairs": {"most": 1}, "part": 3}, "pairs.most"),
    ],
)
def test_a_changed_recipe_is_refused_by_the_first_key_that_differs(plain, posts, model, changes, key):
    folder, _ = plain
    with pytest.raises(TrifacetError, match=rf"holds another run \({key} differs\)"):
        evolved(folder / "out", posts, model, str(folder / "verifier.yaml"), changes)


def test_samples_that_changed_are_refused(plain, posts, model, tmp_path):
    folder, _ = plain
    shutil.copytree(folder / "out", tmp_path / "out")
    other = shutil.copytree(posts, tmp_path / "posts")
    with (other / "samples.jsonl").open("a") as file:
        file.write('{"id": "more", "image": null, "context": "x", "references": ["y"]}\n')
    with pytest.raises(TrifacetError, match=r"data.root"):  # another place is another recipe
        evolved(tmp_path / "out", other, model, str(folder / "verifier.yaml"))
    before = (posts / "samples.jsonl").read_bytes()
    try:
        (posts / "samples.jsonl").write_bytes((other / "samples.jsonl").read_bytes())
        with pytest.raises(TrifacetError, match="samples has changed since"):
            evolved(tmp_path / "out", posts, model, str(folder / "verifier.yaml"))
    finally:
        (posts / "samples.jsonl").write_bytes(before)


def test_several_processes_leave_the_bytes_of_one(plain, posts, model, tmp_path):
    folder, _ = plain
    with ScriptedEndpoint(by_lot) as endpoint:
        again = endpoint_file(tmp_path / "verifier.yaml", endpoint.base_url)
        evolved(tmp_path / "out", posts, model, again, {"processes": 2, "model.threads": 1, "rounds.count": 1})
    ours, theirs = files_of(tmp_path / "out" / "round-1"), files_of(folder / "out" / "round-1")
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_the_size_of_parts_changes_no_row(plain, posts, model, asked, tmp_path):
    folder, _ = plain
    evolved(tmp_path / "out", posts, model, asked[1], {"part": 5, "rounds.count": 1})
    for step in ("answers", "feedback", "verdicts", "pairs", "feedback-pairs", "fates"):
        assert records(tmp_path / "out" / "round-1", step) == records(folder / "out" / "round-1", step)


@pytest.mark.parametrize(
    "step", ["answers", "pairs", "fates", "samples", "samples.json", "round.json", "preference.jsonl"]
)
def test_what_is_damaged_is_told_and_made_again(plain, posts, model, tmp_path, capfd, step):
    folder, endpoint = plain
    shutil.copytree(folder / "out", tmp_path / "out")
    file = tmp_path / "out" / "round-1" / step
    file = file / "00001.jsonl" if file.is_dir() else file
    content = file.read_bytes()
    file.write_bytes(content[:-3] + b"x\n")
    if step == "fates":  # a part that is looked at: without the round's document its parts are gone through
        (tmp_path / "out" / "round-1" / "round.json").unlink()
    if step in ("answers", "pairs", "samples"):
        (tmp_path / "out" / "round-1" / "preference.jsonl").unlink()
    calls = endpoint.calls.received
    capfd.readouterr()
    evolved(tmp_path / "out", posts, model, str(folder / "verifier.yaml"))
    assert files_of(tmp_path / "out") == files_of(folder / "out")
    assert endpoint.calls.received == calls
    assert "made again" in capfd.readouterr().err.replace("\n", " ")


def test_rows_without_a_reference_or_a_picture_are_refused_with_the_reason(posts, model, asked, tmp_path):
    lines = (posts / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:3]]
    rows[0]["references"] = []
    rows[1]["image"] = "images/gone.png"
    other = shutil.copytree(posts, tmp_path / "posts")
    (other / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"id": 3}\n')
    with pytest.raises(TrifacetError, match=r"row 4"):
        evolved(tmp_path / "out", other, model, asked[1])
    with pytest.raises(TrifacetError, match=r"gone.png"):
        (other / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        evolved(tmp_path / "two", other, model, asked[1])
    (other / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"id": 3}\n')
    evolved(tmp_path / "skipped", other, model, asked[1], {"data.on_bad_row": "skip", "rounds.count": 2})
    fates = records(tmp_path / "skipped" / "round-1", "fates")
    assert [(fate["what"], fate["why"].split(":")[0]) for fate in fates[:2]] == [
        ("refused", "no reference"), ("refused", UNSEEN),
    ]  # fmt: skip
    assert document(tmp_path / "skipped" / "round-1")["unread"] == 1
    second = tmp_path / "skipped" / "round-2" / "samples"
    assert {row["id"] for file in second.glob("*.jsonl") for row in rows_of(file)} <= {rows[2]["id"]}


def test_a_verifier_below_the_bounds_stops_the_run_and_a_corrected_recipe_goes_on(posts, model, tmp_path):
    with ScriptedEndpoint(lambda messages: "yes") as endpoint:
        verifier = endpoint_file(tmp_path / "verifier.yaml", endpoint.base_url)
        changes = {"gate": {"samples": 6, "controls": False}, "rounds.count": 1}
        with pytest.raises(TrifacetError, match="the verifier is not to be trusted"):
            evolved(tmp_path / "out", posts, model, verifier, changes)
        assert not (tmp_path / "out" / "round-1" / "answers").exists()
        asked_by_the_gate = endpoint.calls.delivered
        with pytest.raises(TrifacetError, match="the verifier is not to be trusted"):
            evolved(tmp_path / "out", posts, model, verifier, changes)
        assert endpoint.calls.delivered == asked_by_the_gate
        evolved(tmp_path / "out", posts, model, verifier, {**changes, "gate.otherwise": "go on", "part": 3})
        assert endpoint.calls.twice == 0
    told = document(tmp_path / "out" / "round-1")
    assert set(told["fates"]) <= {"all accepted", "refused"}
    assert (told["pairs"], read_index(tmp_path / "out" / "round-1")["parts"]) == (0, 2)


# --- models in between ------------------------------------------------------------------------------------------


def weights(folder: Path) -> dict:
    return dict(load_model(folder).model.state_dict())


def test_generator_and_reviser_learn_between_rounds_and_the_base_is_aligned_on_all_pairs(posts, model, asked, tmp_path):
    done = evolved(
        tmp_path / "out", posts, model, asked[1],
        {"rounds.generator": DPO, "rounds.reviser": DPO, "align": DPO, "data.test": "test.jsonl",
         "data.validation": "validation.jsonl", "rounds.keep": "best", "rounds.metric": "length"},
    )  # fmt: skip
    home = tmp_path / "out"
    first = document(home / "round-1")
    assert first["models"] == {role: f"round-1/{role}/models/{role}/model" for role in ("generator", "reviser")}
    assert not (home / "round-2" / "generator").exists(), "what nobody would use is not trained"
    outcome = first["metrics"]["generator"]
    assert (outcome["metric"], outcome["against"], outcome["samples"]) == ("length", "base", 6)
    revising = first["metrics"]["reviser"]
    assert (revising["metric"], revising["against"], revising["samples"]) == ("length", "base", 6)
    harm = {role: told["harm"] for role, told in first["metrics"].items()}
    assert first["next"] == {role: "base" if harm[role] else "round-1" for role in ("generator", "reviser")}
    second = document(home / "round-2")["made_with"]
    assert (second["reviser"]["weights"] == first["made_with"]["reviser"]["weights"]) == harm["reviser"]
    assert (second["generator"]["weights"] == first["made_with"]["generator"]["weights"]) == outcome["harm"]
    assert second["verifier"] == first["made_with"]["verifier"]
    assert done.model == home / "aligned" / "models" / "aligned" / "model"
    told = read_document(home / "held-out" / "aligned.json", "")
    assert (told["metric"], told["against"], told["samples"]) == ("length", "base", 6), (
        "what is handed over is measured"
    )
    assert done.document["outcome"] == told
    pairs = rows_of(done.pairs)
    assert pairs == [row for number in (1, 2) for row in rows_of(home / f"round-{number}" / "preference.jsonl")]
    scores = json.loads((home / "held-out" / "test" / "scores.json").read_text(encoding="utf-8"))
    assert list(scores["models"]) == ["base", "round-1", "aligned"]
    asked_of_the_reviser = rows_of(home / "round-1" / "feedback.jsonl")
    assert all(json.dumps(row["extra"]["answers"]) and row["prompt"] for row in asked_of_the_reviser)
    assert any((weights(done.model)[name] != one).any() for name, one in weights(model).items())


@pytest.mark.parametrize(("keep", "next_one"), [("best", "base"), ("last", "round-1")])
def test_a_round_that_did_harm_is_told_and_is_no_start_unless_asked(posts, model, tmp_path, capfd, keep, next_one):
    """The verifier takes the base's texts about the held-out posts and none of the trained model's."""
    known: set[str] = set()

    def verdict(messages):
        text = field_of(messages, "Answer")
        return "yes" if text in known or (by_lot(messages) == "yes" and len(text) % 2) else "no"

    held = shutil.copytree(posts, tmp_path / "posts")
    rows = [row | {"id": f"held {row['id']}"} for row in rows_of(held / "samples.jsonl")]
    (held / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with ScriptedEndpoint(verdict) as endpoint:
        verifier = endpoint_file(tmp_path / "verifier.yaml", endpoint.base_url)
        recipe = recipe_of(
            tmp_path / "out", held, model,
            {"samples": "samples.jsonl", "roles.verifier.endpoint": verifier, "data.validation": "validation.jsonl",
             "rounds.generator": DPO | {"learning_rate": 0.01}, "rounds.keep": keep},
        )  # fmt: skip
        before = HeldOut(recipe.model_copy(update={"output": str(tmp_path / "before")}), "validation")
        known |= {text.text for text in before.texts("base", model)}
        evolve(recipe)
    outcome = document(tmp_path / "out" / "round-1")["metrics"]["generator"]
    assert outcome["harm"]
    assert outcome["value"] < outcome["its_value"]
    assert document(tmp_path / "out" / "round-1")["next"] == {"generator": next_one}
    said = " ".join(capfd.readouterr().err.split())
    assert "round 1, generator got worse, which may be chance (accepted" in said  # of a few samples
    assert ("what follows starts from base" in said) == (keep == "best")


@pytest.mark.parametrize(("keep", "next_one"), [("best", "base"), ("last", "round-1")])
def test_a_reviser_whose_revisions_do_harm_is_told_and_is_no_start_unless_asked(
    posts, model, tmp_path, capfd, keep, next_one
):
    """Of texts about held-out posts the verifier takes what the base makes of them, and nothing else."""
    known: set[str] = set()

    def verdict(messages):
        if field_of(messages, "Reference").startswith("held-out"):
            return "yes" if field_of(messages, "Answer") in known else "no"
        return by_lot(messages)

    held = shutil.copytree(posts, tmp_path / "posts")
    rows = [
        row | {"id": f"held {row['id']}", "references": [f"held-out {row['id']}"]}
        for row in rows_of(held / "samples.jsonl")
    ]
    (held / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with ScriptedEndpoint(verdict) as endpoint:
        verifier = endpoint_file(tmp_path / "verifier.yaml", endpoint.base_url)
        recipe = recipe_of(
            tmp_path / "out", held, model,
            {"samples": "samples.jsonl", "roles.verifier.endpoint": verifier, "data.validation": "validation.jsonl",
             "rounds.reviser": DPO | {"learning_rate": 0.02}, "rounds.keep": keep},
        )  # fmt: skip
        before = HeldOut(recipe.model_copy(update={"output": str(tmp_path / "before")}), "validation")
        made = before.revised("base", model, "base", before.texts("base", model))
        known |= {text.text for text in made}
        evolve(recipe)
        assert endpoint.calls.twice == 0
        calls, files = endpoint.calls.received, files_of(tmp_path / "out")
        evolve(recipe)
        assert (endpoint.calls.received, files_of(tmp_path / "out")) == (calls, files)
    first = document(tmp_path / "out" / "round-1")
    outcome = first["metrics"]["reviser"]
    assert (outcome["metric"], outcome["against"], outcome["harm"]) == ("accepted", "base", True)
    assert outcome["value"] < outcome["its_value"] == sum(bool(text.text) for text in made) / len(made)
    assert first["next"] == {"reviser": next_one}
    second = document(tmp_path / "out" / "round-2")["made_with"]["reviser"]
    assert (second == first["made_with"]["reviser"]) == (keep == "best")
    said = " ".join(capfd.readouterr().err.split())
    assert "round 1, reviser got worse, which may be chance (accepted" in said


def test_held_out_samples_that_changed_are_refused_with_the_key(posts, model, asked, tmp_path):
    held = shutil.copytree(posts, tmp_path / "posts")
    changes = {"data.validation": "validation.jsonl", "data.test": "test.jsonl", "rounds.count": 1}
    evolved(tmp_path / "out", held, model, asked[1], changes)
    for split in ("validation", "test"):
        before = (held / f"{split}.jsonl").read_bytes()
        (held / f"{split}.jsonl").write_bytes(before[: before.index(b"\n") + 1])
        with pytest.raises(TrifacetError, match=f"data.{split} has changed since"):
            evolved(tmp_path / "out", held, model, asked[1], changes)
        (held / f"{split}.jsonl").write_bytes(before)
    evolved(tmp_path / "out", held, model, asked[1], changes)
    (held / "validation.jsonl").unlink()
    with pytest.raises(TrifacetError, match=r"data.validation: no file"):
        evolved(tmp_path / "out", held, model, asked[1], changes)


def test_a_metric_that_there_is_not_is_told_before_anything_is_sampled_or_trained(posts, model, asked, tmp_path):
    changes = {"data.validation": "validation.jsonl", "rounds.generator": DPO, "rounds.metric": "lenght"}
    with pytest.raises(TrifacetError, match=r"rounds.metric 'lenght' is not measured; there are .*length"):
        evolved(tmp_path / "out", posts, model, asked[1], changes)
    assert asked[0].calls.received == 0 and not (tmp_path / "out" / "round-1").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rounds.generator": DPO, "rounds.keep": "best"}, "set data.validation"),
        ({"rounds.reviser": DPO, "rounds.keep": "best"}, "set data.validation"),
        ({"rounds.metric": "length"}, "set data.validation"),
        ({"rounds.generator": DPO, "roles.generator": {"endpoint": "x.yaml"}}, "rounds.generator: null"),
        ({"judge": "judge.yaml"}, "rounds.generator"),
        ({"judge": "judge.yaml", "rounds.generator": DPO, "rounds.reviser": DPO}, "set it to null"),
        ({"samples": "gone.jsonl"}, "no file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(posts, model, tmp_path, changes, said):
    with pytest.raises(TrifacetError, match=said):
        evolve(recipe_of(tmp_path / "out", posts, model, changes))
    assert not (tmp_path / "out" / "round-1").exists()


def test_a_world_and_a_tiny_model_are_made_once_and_are_files_from_there_on(posts, model, tmp_path):
    tiny = {
        "hidden_size": 16, "layers": 1, "heads": 2, "vision_hidden_size": 16, "vision_layers": 2, "vision_heads": 2,
        "image_size": 16, "vocabulary": 300,
    }  # fmt: skip
    world = {"sft": 3, "preference": 3, "validation": 2, "test": 2}
    changes = {"model": {"tiny": tiny, "device": "cpu"}, "data": {"world": world}, "samples": "preference.jsonl"}
    recipe = recipe_of(tmp_path / "out", posts, model, changes)
    made = settled(recipe)
    assert (made.data.world, made.model.tiny) == (None, None)
    assert len(read_samples(Path(made.data.root) / made.samples, "test")) == 3
    before = files_of(tmp_path / "out")
    assert any(name.endswith("model.safetensors") for name in before)
    assert (settled(recipe), files_of(tmp_path / "out")) == (made, before)


# --- before a run -----------------------------------------------------------------------------------------------


def test_a_dry_run_takes_samples_drawn_from_all_and_what_it_paid_for_is_not_paid_for_again(
    posts, model, asked, tmp_path
):
    endpoint, verifier = asked
    changes = {"samples": "samples.jsonl", "roles.verifier.endpoint": verifier, "rounds.generator": DPO, "align": DPO}
    recipe = recipe_of(tmp_path / "out", posts, model, changes)
    done = preview(recipe, 3)
    assert done.folder == tmp_path / "out.dry-run"
    assert not (tmp_path / "out").exists()
    assert len(records(done.folder / "round-1", "fates")) == 3
    assert json.loads((done.folder / "round-1" / "samples.json").read_text())["of"] == 6
    assert done.model is None
    paid = endpoint.calls.delivered
    evolve(
        recipe.model_copy(
            update={"align": None, "rounds": recipe.rounds.model_copy(update={"generator": None, "count": 1})}
        )
    )
    assert endpoint.calls.twice == 0
    assert endpoint.calls.delivered > paid


def test_an_estimate_asks_no_endpoint_and_counts_what_a_run_asks(posts, model, asked, tmp_path):
    endpoint, verifier = asked
    prices = {"price": {"input": 1.0, "output": 4.0}}
    verifier = endpoint_file(tmp_path / "priced.yaml", endpoint.base_url, **prices)
    changes = {"samples": "samples.jsonl", "roles.verifier.endpoint": verifier, "gate.samples": 4}
    told = estimate(recipe_of(tmp_path / "out", posts, model, changes), amount=6)
    assert endpoint.calls.received == 0
    assert not (tmp_path / "out").exists()
    costs = {one.role: one for one in told.round}
    assert (told.samples, told.tried) == (6, 6)
    assert costs["generator"].seconds > 0
    assert costs["verifier"].seconds is None
    assert costs["verifier"].money > 0
    evolve(recipe_of(tmp_path / "out", posts, model, changes | {"gate.samples": 0, "rounds.count": 1}))
    asked_for = len(records(tmp_path / "out" / "round-1", "verdicts"))
    assert costs["verifier"].questions == asked_for
    assert endpoint.calls.delivered <= asked_for  # the same text is asked about once
    assert costs["gate"].questions > 0
    assert told.most[-1].questions == 2 * told.round[-1].questions


def test_words_of_a_message_are_found_beside_pictures():
    assert words_of([{"content": [{"type": "image_url"}, {"type": "text", "text": "x"}]}]) == "x"


def test_a_kill_between_a_file_and_its_seal_leaves_no_file_without_one(plain, posts, model, tmp_path):
    folder, _ = plain
    shutil.copytree(folder / "out", tmp_path / "out")
    mark = tmp_path / "out" / MARK
    facts = read_document(mark, "")
    lost = ["round-1/preference.jsonl", "round-2/feedback.jsonl", "preference.jsonl"]
    assert set(lost) <= set(facts["sealed"])
    facts["sealed"] = {name: seal for name, seal in facts["sealed"].items() if name not in lost}
    mark.write_text(json.dumps(sealed(facts)), encoding="utf-8")
    torn = tmp_path / "out" / lost[0]
    torn.write_bytes(torn.read_bytes()[:-3])  # nothing says that it is not as it was written
    evolved(tmp_path / "out", posts, model, str(folder / "verifier.yaml"))
    assert set(lost) <= set(read_document(mark, "")["sealed"])
    assert files_of(tmp_path / "out") == files_of(folder / "out")


def test_rounds_are_not_compared_by_verdicts_where_nothing_held_out_has_a_reference(posts, model, asked, tmp_path):
    changes = {"data.validation": "validation.jsonl", "rounds.generator": DPO, "rounds.keep": "best"}
    with pytest.raises(TrifacetError, match=r"none of data.validation \(validation.jsonl\) has a reference"):
        evolved(tmp_path / "out", posts, model, asked[1], changes)
    assert asked[0].calls.received == 0 and not (tmp_path / "out" / "round-1").exists()


@pytest.mark.parametrize("step", ["answers", "verdicts", "pairs"])
def test_a_damaged_part_of_a_finished_round_is_made_again_too(plain, posts, model, tmp_path, step):
    """Else the page, which reads it, would promise in vain that the same command makes it again."""
    folder, endpoint = plain
    shutil.copytree(folder / "out", tmp_path / "out")
    file = tmp_path / "out" / "round-1" / step / "00001.jsonl"
    file.write_bytes(file.read_bytes()[:-3] + b"x\n")
    calls = endpoint.calls.received
    evolved(tmp_path / "out", posts, model, str(folder / "verifier.yaml"))
    assert files_of(tmp_path / "out") == files_of(folder / "out")
    assert endpoint.calls.received == calls
