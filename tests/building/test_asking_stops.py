"""What stops a build's asking, and its working: a full disk, an endpoint that refuses all, a worker that is killed."""

import itertools
import os
import signal
import time
from pathlib import Path

import pytest
from full_disk import files_up_to
from small_builds import finish, posts, start, write_recipe

from trifacet.base.errors import TrifacetError
from trifacet.building.build import run_build
from trifacet.building.recipe import load_build_recipe
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.demo.scribe import Scribe
from trifacet.llm.books import Books

AT_ONCE = 8
GRAMMAR = [{"alt-length": {"min_words": 3}}, {"grammar": {}}]


def recipe_at(endpoint, folder, rows):
    models = {"writer": {"base_url": endpoint.base_url, "model": "scripted", "timeout": 60.0, "concurrency": AT_ONCE}}
    return load_build_recipe(write_recipe(folder, folder / "out", rows, GRAMMAR, models=models))


def test_a_full_disk_stops_the_rows_that_wait_in_the_part_too(tmp_path):
    with ScriptedEndpoint(Scribe(), latency=0.01) as endpoint:
        recipe = recipe_at(endpoint, tmp_path, posts(300))
        Books(recipe.answers_file).close()
        with files_up_to(150_000), pytest.raises(TrifacetError, match="keeps the models' answers"):
            run_build(recipe, workers=1)
        with Books(recipe.answers_file) as books:
            kept = books.answered("writer")
        assert 0 < kept <= endpoint.calls.delivered <= kept + AT_ONCE
        run_build(recipe, workers=1)
        assert 0 < endpoint.calls.delivered - len(endpoint.calls.bodies) <= AT_ONCE


def test_an_endpoint_that_refuses_all_from_some_moment_on_seals_no_part(tmp_path):
    scribe, asked = Scribe(), itertools.count(1)

    def answer(messages):
        if next(asked) > 6:
            raise ValueError("no more today")
        return scribe(messages)

    with ScriptedEndpoint(answer) as endpoint:
        recipe = recipe_at(endpoint, tmp_path, posts(15))  # fewer questions than tell it on the way
        for _ in range(2):
            with pytest.raises(TrifacetError, match="rejected 10 requests in a row, at last: 400: no more today"):
                run_build(recipe, workers=1)
        endpoint._answer = scribe
        assert run_build(recipe, workers=1)["rows"]["sft"] > 0
        assert endpoint.calls.twice == 0


def workers_of(process):
    """The processes that a build has started to do its parts."""
    found = []
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return [child for child in found if b"_serve" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.parametrize("moment", ["as it starts", "as it works"])
def test_a_worker_that_is_killed_is_one_line_with_its_cure(tmp_path, moment):
    recipe = write_recipe(tmp_path, tmp_path / "out", posts(900), ["alt-length", "lint"], part_rows=30)
    build, until = start(recipe, "--workers", 2), time.monotonic() + 120
    records = tmp_path / "out/stages/01-alt-length/parts.jsonl"
    begun = records.exists if moment == "as it works" else lambda: workers_of(build)
    while not begun() and build.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    for worker in workers_of(build):
        os.kill(worker, signal.SIGKILL)
    code, _, err = finish(build)
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert code == 2
    assert "Traceback" not in err
    assert len(lines) == 1
    assert "a worker process ended amid its work" in lines[0]
    assert "take fewer --workers, then the same command continues" in lines[0]
    run_build(load_build_recipe(recipe), workers=1)
