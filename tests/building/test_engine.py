"""The engine: what comes out is a function of recipe and sources, whoever works and whatever is killed or damaged."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from small_builds import finish, made, posts, samples, start, write_recipe

from trifacet.base.errors import TrifacetError
from trifacet.building import output, reading
from trifacet.building.build import run_build
from trifacet.building.plan import stages_of
from trifacet.building.recipe import load_build_recipe
from trifacet.building.stage_folder import events_of
from trifacet.data.formats import read_samples
from trifacet.demo.endpoint_server import Faults, ScriptedEndpoint
from trifacet.demo.scribe import Scribe
from trifacet.llm.prompts import load_prompt

STEPS = [{"alt-length": {"min_words": 3}}]
GRAMMAR = [*STEPS, {"grammar": {}}]
FAST = {"timeout": 60.0, "concurrency": 8}


def model_at(endpoint, **others):
    return {"writer": {"base_url": endpoint.base_url, "model": "scripted", **FAST, **others}}


def built(tmp_path, name, rows, steps, *, workers=1, **others):
    named = [next(iter(step)) if isinstance(step, dict) else step for step in steps]
    others = {"max_dropped": dict.fromkeys([*named, "write"], 1.0)} | others  # what is lost is looked at elsewhere
    recipe = load_build_recipe(write_recipe(tmp_path / name, tmp_path / name / "out", rows, steps, **others))
    return recipe, run_build(recipe, workers=workers)


def test_every_row_is_in_the_output_or_in_an_event_and_rows_keep_their_order(tmp_path):
    rows = posts(230)
    rows[40] = {"id": "post-3", "context": "an id used before", "alt": "one two three four"}
    recipe, manifest = built(tmp_path, "a", rows, STEPS, part_rows=32, write={"shard_rows": 50})
    kept = [row["id"] for row in rows[:40] + rows[41:] if len(row["alt"].split()) >= 3]
    assert [row["id"] for row in samples(recipe.folder)] == kept
    assert [shard["rows"] for shard in manifest["shards"]] == [50] * (len(kept) // 50) + [len(kept) % 50]
    gone = [event for event in events_of(stages_of(recipe)) if event["verdict"] in ("drop", "fail")]
    assert sorted([event["row"] for event in gone] + [int(one.split("-")[1]) for one in kept]) == list(range(230))
    for step in manifest["steps"]:
        left = sum(count for kind, count in step["counts"].items() if kind.startswith(("drop", "fail")))
        assert step["rows_in"] == step["rows_out"] + left
    (failed,) = pq.read_table(recipe.folder / "failed.parquet").to_pylist()
    assert (failed["id"], failed["row"], failed["source_row"], failed["reason"]) == ("post-3", 40, 41, "id used before")
    assert read_samples(recipe.folder / "sft", "sft")[3].id == kept[3]


@pytest.mark.parametrize("changes", [{"workers": 2}, {"part_rows": 7}])
def test_workers_and_parts_change_nothing_of_the_sets(tmp_path, changes):
    rows = posts(120)
    workers = changes.pop("workers", 1)
    _, one = built(tmp_path, "one", rows, STEPS, part_rows=40)
    _, other = built(tmp_path, "other", rows, STEPS, workers=workers, **{"part_rows": 40} | changes)
    assert one["shards"] == other["shards"]
    if "part_rows" not in changes:
        assert made(tmp_path / "one" / "out").keys() == made(tmp_path / "other" / "out").keys()


CLUSTER = """
import ray, sys
context = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@pytest.mark.endurance  # starting a cluster takes longer than any other test
def test_a_ray_cluster_makes_the_same_bytes(tmp_path):
    recipe = write_recipe(tmp_path, tmp_path / "here", posts(90), STEPS, part_rows=30)
    assert finish(start(recipe))[0] == 0
    variables = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=os.environ | variables,
    )  # fmt: skip
    try:
        address = cluster.stdout.readline().strip()
        command = start(recipe, "--set", f"output={tmp_path / 'there'}", "--ray", address, **variables)
        code, _, err = finish(command)
        assert code == 0, err
    finally:
        cluster.communicate(timeout=180)  # its input ends, and so does it
    assert made(tmp_path / "here") == made(tmp_path / "there")


def test_damaged_and_missing_files_are_made_again_and_only_they(tmp_path):
    recipe, _ = built(tmp_path, "a", posts(100), STEPS, part_rows=25)
    whole = made(recipe.folder)
    stage = stages_of(recipe)[1].folder / "rows"
    damaged, lost, fine = (stage / f"part-{part:06d}.parquet" for part in (0, 2, 3))
    damaged.write_bytes(damaged.read_bytes()[:-9] + b"scrambled")
    lost.unlink()
    shard = recipe.folder / "sft" / "sft-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:100])
    before = fine.stat().st_mtime_ns
    run_build(recipe, workers=1)
    assert made(recipe.folder) == whole
    assert fine.stat().st_mtime_ns == before


def test_a_kill_while_lost_parts_are_read_again_leaves_no_id_twice(tmp_path, monkeypatch):
    rows = posts(100)
    rows[70] = rows[7]
    recipe, _ = built(tmp_path, "a", rows, STEPS, part_rows=25)
    whole = made(recipe.folder)
    shutil.rmtree(recipe.folder / "sft")
    shutil.rmtree(stages_of(recipe)[1].folder)
    (stages_of(recipe)[0].folder / "rows" / "part-000000.parquet").unlink()

    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reading, "_settle_ids", killed)  # all parts are written, with the id twice
        with pytest.raises(KeyboardInterrupt):
            run_build(recipe, workers=1)
    run_build(recipe, workers=1)
    assert made(recipe.folder) == whole


def test_a_finished_build_is_left_alone(tmp_path):
    recipe, first = built(tmp_path, "a", posts(50), STEPS)
    before = {path: path.stat().st_mtime_ns for path in recipe.folder.rglob("*.parquet")}
    assert run_build(recipe, workers=1) == first
    assert {path: path.stat().st_mtime_ns for path in recipe.folder.rglob("*.parquet")} == before


def test_another_recipe_and_changed_sources_are_refused_and_overwrite_begins_anew(tmp_path):
    recipe, _ = built(tmp_path, "a", posts(50), STEPS)
    path = tmp_path / "a" / "recipe.yaml"
    other = load_build_recipe(path, ["seed=18"])
    with pytest.raises(TrifacetError, match="another recipe; choose another output, or --overwrite"):
        run_build(other, workers=1)
    (recipe.folder / "mine.txt").write_text("not the build's")
    run_build(other, overwrite=True, workers=1)
    assert (recipe.folder / "mine.txt").exists()
    with (tmp_path / "a" / "posts.jsonl").open("a") as file:
        file.write(json.dumps({"id": "new", "context": "x", "alt": "one two three"}) + "\n")
    with pytest.raises(TrifacetError, match="the sources have changed"):
        run_build(other, workers=1)


def test_a_prompt_that_was_edited_is_not_taken_for_the_old_one_and_the_manifest_names_it(tmp_path):
    ours = load_prompt("grammar")
    prompt = tmp_path / "prompt.txt"
    prompt.write_text(ours.text)
    with ScriptedEndpoint(Scribe()) as endpoint:
        steps = [{"grammar": {"prompt": str(prompt)}}, {"grammar": {}}]
        recipe, manifest = built(tmp_path, "a", posts(20), steps, models=model_at(endpoint))
        assert [one["step"] for one in manifest["outside"]] == ["1 grammar", "2 grammar"]
        assert all(one["version"].endswith(f"sha256 {ours.sha256}") for one in manifest["outside"])
        prompt.write_text(ours.text.replace("proofread", "mend"))
        with pytest.raises(TrifacetError, match=r"prompt of step 1 grammar has changed since .* --overwrite"):
            run_build(recipe, workers=1)


@pytest.mark.parametrize("images", ["files", "embedded"])
def test_an_image_that_changed_or_went_while_a_build_ran_is_no_other_s_content(tmp_path, images):
    from PIL import Image

    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (40, 30), (80 * number, 90, 10)).save(folder / f"{number}.png")
    rows = [{**row, "image": f"{number}.png"} for number, row in enumerate(posts(12)[7:9] + posts(12)[6:7])]
    recipe, manifest = built(tmp_path, "a", rows, ["images", *STEPS], write={"images": images})
    assert manifest["rows"]["sft"] == 3
    (recipe.folder / "manifest.json").unlink()  # as if it had been killed
    half = recipe.folder / "images" / "00" / ".half.png.0a1b2c3d.tmp"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"half")
    assert run_build(recipe, workers=1) == manifest
    assert not half.exists()
    (recipe.folder / "manifest.json").unlink()
    (folder / "1.png").unlink()  # not written over: the build's own may be the same file
    with pytest.raises(TrifacetError, match=r"is gone .*1\.png.* --overwrite"):
        run_build(recipe, workers=1)
    Image.new("RGB", (40, 30), (1, 2, 3)).save(folder / "1.png")
    with pytest.raises(TrifacetError, match=r"1\.png is another image than .* --overwrite"):
        run_build(recipe, workers=1)
    assert not (recipe.folder / "manifest.json").exists()


def test_parts_of_other_versions_of_the_packages_are_not_mixed_and_a_finished_build_stands(tmp_path, monkeypatch):
    recipe, manifest = built(tmp_path, "a", posts(20), STEPS)
    monkeypatch.setattr(output, "step_versions", lambda: manifest["versions"] | {"pillow": "99.1", "httpx2": "99.1"})
    assert run_build(recipe, workers=1) == manifest
    (recipe.folder / "manifest.json").unlink()
    with pytest.raises(TrifacetError, match=r"begun with pillow [\d.]+, and this is 99\.1; install that one"):
        run_build(recipe, workers=1)
    monkeypatch.setattr(output, "step_versions", lambda: manifest["versions"] | {"httpx2": "99.1"})
    run_build(recipe, workers=1)  # it carries questions and decides nothing


def test_a_folder_that_is_no_build_is_left_alone(tmp_path):
    (tmp_path / "a" / "out").mkdir(parents=True)
    (tmp_path / "a" / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(TrifacetError, match="is not empty"):
        built(tmp_path, "a", posts(5), STEPS)


def test_what_does_not_decide_the_result_may_change_between_runs(tmp_path):
    _, manifest = built(tmp_path, "a", posts(50), STEPS)
    again = load_build_recipe(tmp_path / "a" / "recipe.yaml", ["budget=3", "network.per_host=1"])
    assert run_build(again, workers=1) == manifest


@pytest.mark.parametrize("change", ["allow_private=true", "max_bytes=10", "redirects=0"])
def test_what_decides_which_images_are_fetched_is_part_of_the_build(tmp_path, change):
    _, manifest = built(tmp_path, "a", posts(5), STEPS)
    name, _, _ = change.partition("=")
    assert name in manifest["recipe"]["network"]
    again = load_build_recipe(tmp_path / "a" / "recipe.yaml", [f"network.{change}"])
    with pytest.raises(TrifacetError, match="another recipe"):
        run_build(again, workers=1)


@pytest.mark.parametrize("address", ["https://me:s3cret@host/v1", "https://host/v1?key=s3cret"])
def test_a_key_in_an_address_is_refused_since_recipes_are_copied_and_not_shown(tmp_path, address):
    path = write_recipe(
        tmp_path, tmp_path / "out", posts(5), GRAMMAR, models={"m": {"base_url": address, "model": "x"}}
    )
    with pytest.raises(TrifacetError, match=r"models\.m: base_url .* OPENAI_API_KEY") as refused:
        load_build_recipe(path)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("output", [".", "..", "builds/.."])
def test_an_output_without_a_name_is_refused_since_answers_lie_beside_it(tmp_path, output):
    path = write_recipe(tmp_path, output, posts(5), STEPS)
    with pytest.raises(TrifacetError, match="names no folder; write one"):
        load_build_recipe(path)


def test_empty_sources_make_empty_sets(tmp_path):
    row = {"id": "x", "context": "no alt-text", "alt": ""}
    _, manifest = built(tmp_path, "a", [row], STEPS, max_dropped={"alt-length": 1})
    assert manifest["rows"] == {"sft": 0, "preference": 0, "test": 0}
    assert manifest["shards"] == []


def test_parts_of_which_no_row_is_left_go_through_all_steps_that_see_all_rows(tmp_path):
    from PIL import Image

    (tmp_path / "a").mkdir()
    for number in range(3):
        Image.new("RGB", (40, 30), (80 * number, 90, 10)).save(tmp_path / "a" / f"{number}.png")
    rows = [{**row, "image": f"{place}.png"} for place, row in enumerate([posts(9)[number] for number in (8, 0, 7)])]
    steps = [
        "images",
        "static-image",
        "hashtags",
        *STEPS,
        "lint",
        "exact-duplicates",
        {"near-duplicates": {"keep": "all"}},
    ]
    steps += [{"split": {"shares": {"preference": 1.0}}}, "rejected-context"]
    steps += [{"rejected-image": {"strategy": "randomness"}}]
    _, manifest = built(tmp_path, "a", rows, steps, part_rows=1)  # the second part is left without a row
    assert manifest["rows"]["preference"] == 2
    _, manifest = built(tmp_path, "b", rows[1:2], steps, max_dropped={"alt-length": 1}, sources=[
        {"path": str(tmp_path / "b" / "posts.jsonl"), "images": str(tmp_path / "a")}
    ])  # fmt: skip
    assert sum(manifest["rows"].values()) == 0


def test_faults_change_nothing_and_a_second_build_asks_nothing(tmp_path):
    rows = posts(60)
    with ScriptedEndpoint(Scribe()) as calm:
        recipe, _ = built(tmp_path, "calm", rows, GRAMMAR, models=model_at(calm))
        asked = calm.calls.received
        shutil.rmtree(recipe.folder)
        run_build(recipe, workers=1)
        assert calm.calls.received == asked > 0
    faults = Faults.mixed(0.2, slow=0.2, retry_after=0.05)
    with ScriptedEndpoint(Scribe(), faults) as rough:
        stormy, _ = built(tmp_path, "rough", rows, GRAMMAR, models=model_at(rough, timeout=2.0))
        assert rough.calls.faults.total() > 5
    ours, theirs = made(recipe.folder), made(stormy.folder)
    assert [name for name in ours if name != "manifest.json" and ours[name] != theirs[name]] == []


def test_a_budget_stops_the_build_cleanly_and_it_goes_on_when_raised(tmp_path):
    price = {"input": 1000.0, "output": 1000.0}
    with ScriptedEndpoint(Scribe()) as endpoint:
        models = model_at(endpoint, price=price, max_tokens=64)
        path = write_recipe(tmp_path / "a", tmp_path / "a" / "out", posts(60), GRAMMAR, models=models, part_rows=16)
        with pytest.raises(TrifacetError, match="budget of 2 reached after"):
            run_build(load_build_recipe(path, ["budget=2"]), workers=1)
        before = endpoint.calls.delivered
        assert before > 0
        run_build(load_build_recipe(path, ["budget=1000"]), workers=1)
        assert endpoint.calls.twice == 0
        assert endpoint.calls.delivered > before


def test_an_endpoint_that_is_away_stops_the_build_and_drops_nothing(tmp_path):
    models = {"writer": {"base_url": "http://127.0.0.1:9/v1", "model": "x", "tries": 1}}
    with pytest.raises(TrifacetError, match="the same command continues"):
        built(tmp_path, "a", posts(20), GRAMMAR, models=models)


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.endurance)])
def test_killed_again_and_again_a_build_ends_byte_for_byte_the_same_and_pays_once(tmp_path, times):
    rows, draw = posts(180), random.Random(7)
    with ScriptedEndpoint(Scribe(), latency=0.01) as endpoint:
        others = {"models": model_at(endpoint), "part_rows": 30}
        whole = write_recipe(tmp_path / "whole", tmp_path / "whole" / "out", rows, GRAMMAR, **others)
        began = time.monotonic()
        assert finish(start(whole, "--workers", 2))[0] == 0
        took = time.monotonic() - began
        asked = endpoint.calls.delivered
        endpoint.calls.bodies.clear()
        killed = write_recipe(tmp_path / "killed", tmp_path / "killed" / "out", rows, GRAMMAR, **others)
        kills = 0
        while kills < times:
            command = start(killed, "--workers", 2)
            time.sleep(draw.uniform(0.3, 0.8) * took)
            command.send_signal(signal.SIGKILL)
            kills += finish(command)[0] == -signal.SIGKILL
            if (tmp_path / "killed" / "out" / "manifest.json").exists():  # it was quicker: begin again
                shutil.rmtree(tmp_path / "killed" / "out")
        code, _, err = finish(start(killed, "--workers", 2))
        assert code == 0, err
        # an answer that came is never asked for again; of a kill, what was on its way is
        assert len(endpoint.calls.bodies) == asked
        assert endpoint.calls.delivered - asked <= times * FAST["concurrency"]
    ours, theirs = made(tmp_path / "whole" / "out"), made(tmp_path / "killed" / "out")
    assert [name for name in theirs if name != "manifest.json" and ours.get(name) != theirs[name]] == []
    assert ours.keys() == theirs.keys()


def test_a_trial_takes_a_sample_and_an_estimate_asks_nothing(tmp_path):
    from trifacet.building import trial

    with ScriptedEndpoint(Scribe()) as endpoint:
        models = model_at(endpoint, price={"input": 1.0, "output": 2.0})
        path = write_recipe(tmp_path / "a", tmp_path / "a" / "out", posts(200), GRAMMAR, models=models)
        recipe = load_build_recipe(path)
        tried, costs = trial.estimate_build(recipe, 50, workers=1, show=lambda progress: None)
        assert (tried.rows, tried.of, endpoint.calls.received) == (50, 200, 0)
        grammar = costs[2]
        assert grammar.step == "grammar"
        dry = trial.dry_run(recipe, 50, workers=1, show=lambda progress: None)
        assert grammar.questions == 4 * endpoint.calls.delivered
        assert grammar.money > 0
        assert dry.manifest["steps"][0]["rows_in"] == 50
        run_build(recipe, workers=1)  # what the trial paid for is not asked again
        assert endpoint.calls.twice == 0
    assert not (tmp_path / "a" / "out" / "nothing").exists()


def test_a_trial_of_either_kind_tells_what_the_build_would_stop_for(tmp_path, trifacet):
    path = write_recipe(tmp_path, tmp_path / "out", posts(6), [{"alt-length": {"min_words": 60}}])
    for trial in ("--dry-run", "--estimate"):
        code, _, err = trifacet("build", path, trial)
        assert code == 0 and "the build would stop: step 1, 'alt-length', has lost 6 of 6 rows" in err


def test_a_trial_says_which_steps_may_drop_more_of_all_rows(tmp_path, trifacet):
    path = write_recipe(tmp_path, tmp_path / "out", posts(6), [{"exact-duplicates": {"same": ["context"]}}])
    note = "note: exact-duplicates compares rows with each other: of 6 a larger share may go than of 3"
    assert note in trifacet("build", path, "--dry-run", "--sample", "3")[2]
    assert "note:" not in trifacet("build", path, "--dry-run")[2]  # of all rows all is told


def test_a_package_that_a_step_lacks_is_named_before_a_row_is_read(tmp_path, monkeypatch, trifacet):
    path = write_recipe(tmp_path, tmp_path / "out", posts(3), ["language"])
    monkeypatch.setitem(sys.modules, "lingua", None)  # as where it is not installed
    code, _, err = trifacet("build", path)
    assert code == 2
    assert err == "error: step 'language' needs lingua, which is not installed; pip install 'trifacet[build]'\n"


def test_fields_beyond_ours_are_written_as_the_recipe_says(tmp_path):
    rows = [row | {"author": "Ada", "likes": 3} for row in posts(20)]
    everything, _ = built(tmp_path, "all", rows, STEPS)
    some, _ = built(tmp_path, "some", rows, STEPS, write={"extra": ["likes"]})
    none, _ = built(tmp_path, "none", rows, STEPS, write={"extra": []})
    kept = [[row["extra"] for row in samples(recipe.folder)] for recipe in (everything, some, none)]
    assert all(json.loads(extra) == {"author": "Ada", "likes": 3} for extra in kept[0])
    assert all(json.loads(extra) == {"likes": 3} for extra in kept[1])
    assert set(kept[2]) == {None}


def test_a_build_that_stopped_has_a_report(tmp_path, trifacet):
    models = {"writer": {"base_url": "http://127.0.0.1:9/v1", "model": "x", "tries": 1}}
    path = write_recipe(tmp_path / "a", tmp_path / "a" / "out", posts(20), GRAMMAR, models=models)
    assert trifacet("build", path, "--report")[0] == 2
    assert trifacet("build", path, "--workers", 1)[0] == 2
    code, out, _ = trifacet("build", path, "--report")
    assert code == 0
    page = (tmp_path / "a" / "out" / "funnel.html").read_text()
    assert out.strip().endswith("funnel.html")
    assert "alt-text too short" in page


@pytest.mark.parametrize("times", [1, pytest.param(4, marks=pytest.mark.endurance)])
def test_an_interruption_at_any_moment_ends_with_130_and_the_same_command_continues(tmp_path, times):
    steps = [{"exact-duplicates": {"same": ["context"]}}]
    recipe = write_recipe(tmp_path, tmp_path / "out", posts(8_000), steps, part_rows=4_000)
    hits, waits = 0, itertools.cycle((0.0, 0.4, 0.1, 0.8))
    while hits < times:
        wait = next(waits)  # about when workers are at work
        command = start(recipe)
        while not command.stderr.readline().startswith("read: done"):
            assert command.poll() is None
        time.sleep(wait)
        command.send_signal(signal.SIGTERM)
        code, _, err = finish(command)
        if code == 0:  # it was quicker: begin again
            shutil.rmtree(tmp_path / "out")
            continue
        hits += 1
        assert (code, "the same command continues" in err) == (130, True), (wait, err)
        shutil.rmtree(tmp_path / "out" / "stages" / "01-exact-duplicates", ignore_errors=True)
    assert finish(start(recipe))[0] == 0


def test_a_recipe_that_could_not_be_begun_is_corrected_in_place(tmp_path):
    path = write_recipe(tmp_path / "a", tmp_path / "a" / "out", posts(20), STEPS)
    source = f"sources=[{{path: {tmp_path / 'a' / 'posts.jsonl'}, columns: {{alt: caption}}}}]"
    with pytest.raises(TrifacetError, match="caption"):
        run_build(load_build_recipe(path, [source]), workers=1)
    assert run_build(load_build_recipe(path), workers=1)["rows"]["sft"] > 0


def test_a_line_that_cannot_be_read_has_a_name_and_a_story(tmp_path, trifacet):
    path = write_recipe(tmp_path / "a", tmp_path / "a" / "out", posts(9), STEPS)
    with (tmp_path / "a" / "posts.jsonl").open("a") as file:
        file.write("{broken\n")
    run_build(load_build_recipe(path), workers=1)
    (failed,) = pq.read_table(tmp_path / "a" / "out" / "failed.parquet").to_pylist()
    assert (failed["id"], failed["source_row"]) == ("posts-10", 10)
    code, out, _ = trifacet("build", path, "--explain", "posts-10")
    assert code == 0
    assert "broken JSON" in out
