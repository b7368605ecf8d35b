"""An output folder is one piece of work's and one process's at a time, whatever is killed when."""

import contextlib
import json
import os
import signal
import sys
import time

import pytest

from trifacet.base.claims import (
    Claim,
    claimed,
    differences,
    refused,
    remove_torn,
    told,
)
from trifacet.base.errors import TrifacetError
from trifacet.base.seals import unsealed

MARK = "thing.json"


def started(work) -> int:
    """``work`` in a process of its own: exit code 0, or 2 where it was refused."""
    child = os.fork()
    if child:
        return child
    code = 1
    with contextlib.suppress(BaseException):
        try:
            work()
            code = 0
        except TrifacetError:
            code = 2
    os._exit(code)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(number: int) -> None:
    """Kill this process as it is about to remove or rename for the ``number``-th time."""
    left = [number]

    def hook(event, _):
        if event in ("os.remove", "os.rmdir", "os.rename"):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def wait_for(path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.01)


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"old {name}")


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- fingerprints -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "now", "said"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "b 2 there, 3 now"),
        ({"b": 2, "a": 1}, {"a": 2, "b": 3}, "a 1 there, 2 now, b 2 there, 3 now"),  # in the order of what is asked for
        ({"a": 1}, {}, "a 1 there, null now"),
        ({"a": {"x": {"y": 1}}}, {"a": {"x": {"y": 2}}}, "a.x.y 1 there, 2 now"),
        ({"a": None}, {"a": {"x": 1}}, 'a null there, {"x": 1} now'),
        ({"steps": [{"lint": {}}, {"split": {"test": 1}}]}, {"steps": [{"lint": {}}, {"split": {"test": 2}}]},
         "steps.2.split.test 1 there, 2 now"),
        ({"steps": [{"lint": {}}]}, {"steps": []}, 'steps {"1": {"lint": {}}} there, [] now'),
        ({"p": "/a" * 30 + "/x.jsonl"}, {"p": "/a" * 30 + "/y.jsonl"},
         'p "/a/a/a/a/a/a/a/...a/a/a/a/a/a/x.jsonl" there, "/a/a/a/a/a/a/a/...a/a/a/a/a/a/y.jsonl" now'),
        (dict.fromkeys("abcde", 1), dict.fromkeys("abcde", 2),
         "a 1 there, 2 now, b 1 there, 2 now, c 1 there, 2 now and 2 more"),
    ],
)  # fmt: skip
def test_what_differs_is_named_by_key_and_both_values(there, now, said):
    assert told(differences(there, now, ".")) == said


def test_equal_fingerprints_differ_in_nothing_and_a_key_without_value_is_one_that_is_not_there():
    values = {"a": [1, {"b": None}], "c": {"d": "e"}}
    assert differences(values, json.loads(json.dumps(values))) == []
    assert differences({"a": None}, {}) == differences({}, {"a": None}) == []


def test_a_refusal_says_all_that_would_be_right():
    message = str(refused("out holds another thing"))
    assert all(way in message for way in ("choose another output", "--overwrite", "the same settings"))


# --- marks ------------------------------------------------------------------------------------------------------


def test_a_claimed_folder_says_what_it_is_and_how_long_it_took_over_several_sittings(tmp_path):
    with claimed(tmp_path / "out", MARK) as claim:
        assert claim.held() is None
        claim.begin({"seed": 1, "seconds": {}})
        claim.took("reading", 1.5)
    with claimed(tmp_path / "out", MARK) as claim:
        assert claim.held(seed=int, seconds=dict)["seed"] == 1
        claim.took("reading", 2)
        with pytest.raises(KeyboardInterrupt), claim.timed("writing", "others"):
            time.sleep(0.02)
            raise KeyboardInterrupt
        claim.finish()
    facts = json.loads((tmp_path / "out" / MARK).read_text())
    assert facts["seconds"] == {"reading": 3.5} and facts["others"]["writing"] >= 0.02 and facts["finished"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "\0", '{"seed": "1"}', '{"other": 1}', "[" * 100_000, "\xff"])
def test_a_damaged_mark_is_refused_and_can_be_overwritten(tmp_path, text):
    fill(tmp_path, "result.txt")
    (tmp_path / MARK).write_bytes(text.encode("latin-1"))
    with claimed(tmp_path, MARK) as claim:
        with pytest.raises(TrifacetError, match=r"thing\.json is damaged; .*--overwrite"):
            claim.held(seed=int)
        assert names(tmp_path) == [".lock", "result.txt", MARK]
        claim.clear([tmp_path / "result.txt"], asked=True)
        assert claim.held(seed=int) is None
    assert names(tmp_path) == [".lock", MARK]


# --- what is not ours -------------------------------------------------------------------------------------------


def test_a_folder_of_something_else_is_not_touched(tmp_path):
    fill(tmp_path, "thesis.tex", "other.json")
    refusal = pytest.raises(TrifacetError, match=r"is not empty and holds no thing\.json \(other\.json")
    with refusal, claimed(tmp_path, MARK):
        pytest.fail("claimed")
    assert names(tmp_path) == ["other.json", "thesis.tex"]


def test_clearing_removes_what_was_written_and_nothing_else(tmp_path):
    foreign = [".notes.12345678.tmp/mine", "data/mine", "models.txt", "modelsx/mine"]
    fill(tmp_path, MARK, "models/a/weights", "scores.json", *foreign)
    with claimed(tmp_path, MARK) as claim:
        written = [tmp_path / name for name in ("scores.json", "models", "never")]
        claim.clear(written, asked=False)
        assert (tmp_path / "models/a/weights").exists()
        claim.clear(written, asked=True)
    assert names(tmp_path) == sorted([".lock", MARK, *foreign])


@pytest.mark.parametrize("linked", ["folder", "file"])
def test_what_a_link_leads_to_is_never_removed(tmp_path, linked):
    fill(tmp_path / "elsewhere", "folder/mine", "file")
    fill(tmp_path / "out", MARK)
    (tmp_path / "out/models").symlink_to(tmp_path / "elsewhere" / linked)
    ways = {"folder": pytest.raises(TrifacetError, match=r"cannot remove .*models: it is a link to a folder")}
    with claimed(tmp_path / "out", MARK) as claim, ways.get(linked, contextlib.nullcontext()):
        claim.clear([tmp_path / "out/models"], asked=True)
    assert names(tmp_path / "elsewhere") == ["file", "folder/mine"]


def test_only_files_that_a_kill_left_half_written_are_torn(tmp_path):
    torn = [".a.json.0a1b2c3d.tmp", "models/.b.0a1b2c3d.tmp"]
    kept = [".a.tmp", "a.0a1b2c3d.tmp", "deep/er/.c.0a1b2c3d.tmp"]
    fill(tmp_path, *torn, *kept)
    remove_torn(tmp_path, "*/")
    assert names(tmp_path) == sorted(kept)


# --- kills ------------------------------------------------------------------------------------------------------

WRITTEN = ("manifest.json", "scores.json", "models", "images")
MADE = ("manifest.json", "scores.json", "models/a", "models/b/c", "images/1", "images/2", "images/3")


def cleared(folder):
    with claimed(folder, MARK) as claim:
        claim.clear((folder / name for name in WRITTEN), asked=True)
        claim.begin({"seed": 2})


def test_a_kill_while_a_folder_is_cleared_leaves_none_that_passes_for_finished_or_continued(tmp_path):
    whole, kills = names_of(tmp_path / "whole"), 0
    while True:
        folder = tmp_path / str(kills)
        names_of(folder)

        def killed(folder=folder, kills=kills):
            kill_at(kills)
            cleared(folder)

        if ended(started(killed)) == 0:
            break
        kills += 1
        there = set(names(folder))
        if not set(MADE) <= there:
            assert "manifest.json" not in there, "what says that all is there goes first"
            assert json.loads((folder / MARK).read_text()).get("finished") is None
        for name in ("models/", "images/"):  # whole, or not at all
            assert {one for one in there if one.startswith(name)} in (
                set(),
                {one for one in MADE if one.startswith(name)},
            )
        with claimed(folder, MARK) as claim:
            claim.clear((folder / name for name in WRITTEN), asked=False)
            held = claim.held(seed=int)
            if held == {"seed": 1, "finished": "yesterday"}:
                assert set(names(folder)) == whole | {".lock"}, "killed before anything was begun"
            else:
                assert held in (None, {"seed": 2})
                assert names(folder) == [".lock", MARK] and not list(folder.glob(".*.cleared"))
    assert kills > 10 and unsealed(json.loads((folder / MARK).read_text())) == {"seed": 2}


def names_of(folder):
    fill(folder, *MADE)
    Claim(folder, MARK).begin({"seed": 1, "finished": "yesterday"})
    return set(names(folder))


def test_the_lock_of_a_dead_process_does_not_block_though_its_workers_live_on(tmp_path):
    out = tmp_path / "out"

    def work():
        with claimed(out, MARK) as claim:
            claim.begin({"seed": 1})
            worker = started(lambda: time.sleep(60))
            (tmp_path / "worker.tmp").write_text(str(worker))
            (tmp_path / "worker.tmp").rename(tmp_path / "worker")
            time.sleep(60)

    child = started(work)
    wait_for(tmp_path / "worker")
    with pytest.raises(TrifacetError, match="another process is running in"), claimed(out, MARK):
        pytest.fail("claimed")
    os.kill(child, signal.SIGKILL)
    assert ended(child) == -signal.SIGKILL
    worker = int((tmp_path / "worker").read_text())
    os.kill(worker, 0)  # it lives
    with claimed(out, MARK) as claim:
        assert claim.held(seed=int) == {"seed": 1}
    os.kill(worker, signal.SIGKILL)


# --- several at once --------------------------------------------------------------------------------------------


def test_of_processes_that_race_one_at_a_time_has_the_folder(tmp_path):
    out, log, go = tmp_path / "out", tmp_path / "log", tmp_path / "go"

    def work(number):
        wait_for(go)
        with claimed(out, MARK) as claim:
            with log.open("a") as file:
                file.write(f"{number}\n")
            claim.begin({"seed": number})
            time.sleep(0.02)
            with log.open("a") as file:
                file.write(f"{number}\n")

    children = [started(lambda number=number: work(number)) for number in range(8)]
    go.touch()
    codes = [ended(child) for child in children]
    lines = log.read_text().split()
    assert set(codes) <= {0, 2} and lines[0::2] == lines[1::2] and len(lines) == 2 * codes.count(0) >= 2
    assert unsealed(json.loads((out / MARK).read_text())) == {"seed": int(lines[-1])}


def test_of_two_kinds_of_work_that_race_one_gets_the_folder(tmp_path):
    def work(turn, mark):
        wait_for(tmp_path / f"go{turn}")
        with claimed(tmp_path / f"out{turn}", mark) as claim:
            claim.begin({"seed": 1})

    for turn in range(6):
        marks = ("one.json", "other.json") * 2
        children = [started(lambda turn=turn, mark=mark: work(turn, mark)) for mark in marks]
        (tmp_path / f"go{turn}").touch()
        assert {ended(child) for child in children} <= {0, 2}
        assert len(list(tmp_path.glob(f"out{turn}/*.json"))) == 1


def test_claims_may_be_nested_and_each_is_its_own(tmp_path):
    out = tmp_path / "out"
    with claimed(out, MARK) as outer:
        outer.begin({"seed": 1})
        with claimed(out / "a", "part.json") as inner:
            inner.begin({"seed": 2})
            for folder, mark in ((out, MARK), (out / "a", "part.json")):
                with pytest.raises(TrifacetError, match="another process is running"), claimed(folder, mark):
                    pytest.fail("claimed")
        with claimed(out / "a", "part.json") as inner:
            assert (inner.held(), outer.held()) == ({"seed": 2}, {"seed": 1})
        outer.clear([out / "a"], asked=True)
    assert names(out) == [".lock", MARK]
