"""A benchmark end to end: answers of a model, verdicts of a judge, numbers; through faults, nonsense and kills."""

import json
import multiprocessing
import re
import signal
import time

import pytest
from toy_benchmark import QUESTIONS, judge_file, lines, make_toy, questions

from trifacet.base.errors import TrifacetError
from trifacet.base.seals import unsealed
from trifacet.benchmarks.registry import own_benchmarks
from trifacet.benchmarks.results import load_result
from trifacet.demo.endpoint_server import Faults, ScriptedEndpoint, last_text, request_images

LABELS = {row["id"]: row["label"] for row in questions()}


def number_of(messages) -> int:
    return int(re.search(r"kite (\d+)", last_text(messages))[1])


def judge(messages) -> str:
    """Right where the kite's number is even; nonsense about the fourth, a refusal about the sixth."""
    number = number_of(messages)
    if number == 4:
        return "It depends, I would say. {"
    if number == 6:
        return "I'm sorry, but I can't help with that."
    return json.dumps({"right": number % 2 == 0})


@pytest.fixture
def toy(tmp_path):
    return make_toy(tmp_path)


@pytest.fixture
def arguments(toy, photos):
    file, data = toy
    return ["colours", "--file", file, "--data", data, "--images", photos]


def answers_file(folder, *, wrong=lambda number: True):
    """Answers that need a judge where ``wrong``."""
    path = folder / "answers.jsonl"
    rows = [
        {"id": name, "answer": f"perhaps {label}" if wrong(int(name[1:])) else label} for name, label in LABELS.items()
    ]
    path.write_text(lines(rows))
    return path


def test_scores_with_a_judge_that_fails_and_talks_nonsense(trifacet, arguments, tmp_path):
    answers = answers_file(tmp_path)
    with ScriptedEndpoint(judge, Faults.mixed(0.2, seed=3, slow=0.05, retry_after=0.01)) as endpoint:
        command = ["benchmarks", "score", *arguments, "--answers", answers, "--output", tmp_path / "result"]
        command += ["--judge", judge_file(tmp_path, endpoint, reparse=4), "--json", "-"]
        code, out, _ = trifacet(*command)
        first, delivered = json.loads(out), endpoint.calls.delivered
        assert endpoint.calls.faults.total() > 3
        second = json.loads(trifacet(*command)[1])
        assert endpoint.calls.delivered == delivered, "nothing is asked twice"
    assert code == 0 and first["items"] == first["of"] == QUESTIONS
    assert first["counts"] == {"right": 10, "judged": 22}
    assert first["metrics"]["accuracy"]["value"] == pytest.approx(100 * 10 / 22)
    assert first["judge"]["problems"] == {"unparsed": 1, "refused": 1} and first["judge"]["unparsed"] == 1
    assert first["judge"]["cost"] > 0 and first["judge"]["questions"] == QUESTIONS
    assert not first["official"] and not first["metrics"]["accuracy"]["official"]
    reason = first["metrics"]["accuracy"]["reason"]
    assert "the judge is scripted, the original's gpt-4-0314" in reason
    assert "2 of 24 answers have no verdict (1 refused, 1 unparsed)" in reason
    assert second["metrics"] == first["metrics"] and second["judge"]["cost"] == 0
    assert second["judge"]["paid"] == pytest.approx(first["judge"]["paid"])


def test_a_judge_that_says_nothing_to_be_read_is_told_and_not_paid_again(trifacet, arguments, tmp_path):
    answers = answers_file(tmp_path, wrong=lambda number: number < 10)
    with ScriptedEndpoint(lambda messages: "I like kites.\nAll of them.") as endpoint:
        command = ["benchmarks", "score", *arguments, "--answers", answers, "--output", tmp_path / "result"]
        command += ["--judge", judge_file(tmp_path, endpoint, reparse=1), "--json", tmp_path / "scores.json"]
        for _ in range(2):
            code, _, err = trifacet(*command)
            assert code == 2 and "scripted gave no verdict on any of 10 answers (10 unparsed)" in err
            assert "'I like kites. All of them.'" in err and endpoint.calls.delivered == 20
    verdicts = [json.loads(line) for line in (tmp_path / "result" / "verdicts.jsonl").open()]
    assert sum(row["problem"] == "unparsed" for row in verdicts) == 10
    assert not (tmp_path / "scores.json").exists() and not (tmp_path / "result" / "scores.json").exists()
    with ScriptedEndpoint(judge, model="another") as endpoint:
        command[-3] = judge_file(tmp_path, endpoint, model="mistyped")
        code, _, err = trifacet(*command)
        assert code == 2 and "knows no model 'mistyped'" in err
        judge_file(tmp_path, endpoint)
        assert trifacet(*command)[0] == 0, "a judge that gave no scores stands in the way of none"
        judge_file(tmp_path, endpoint, max_tokens=7)
        code, _, err = trifacet(*command)
        assert code == 2 and "holds a result of other settings (judge max_tokens" in err


def test_a_judge_without_a_price_was_not_paid(trifacet, arguments, tmp_path):
    command = ["benchmarks", "score", *arguments, "--answers", answers_file(tmp_path), "--output", tmp_path / "result"]
    with ScriptedEndpoint(lambda messages: "I like kites.") as endpoint:
        for price, said in (
            ({"input": 0, "output": 0}, "answers are kept: take"),
            ({"output": 1}, "kept and paid for"),
        ):
            judging = judge_file(tmp_path, endpoint, reparse=0, price=price, max_tokens=50 + len(said))
            code, _, err = trifacet(*command, "--judge", judging)
            assert (code, said in err) == (2, True), err


def test_a_judge_of_this_machine_that_is_not_there_is_told_before_a_model_is_opened(
    trifacet, arguments, tmp_path, tiny_folder
):
    judging = tmp_path / "judge.yaml"
    judging.write_text(json.dumps({"base_url": "local", "model": str(tmp_path / "nowhere")}))
    command = ["benchmarks", "run", *arguments, "--model", tiny_folder, "--output", tmp_path / "result"]
    code, _, err = trifacet(*command, "--judge", judging)
    assert code == 2 and "nowhere: cannot be loaded as a checkpoint" in err
    assert not (tmp_path / "result").exists()


def test_the_result_is_read_back_and_computed_again(trifacet, arguments, toy, tmp_path):
    file, data = toy
    with ScriptedEndpoint(judge, model="gpt-4-0314") as endpoint:
        command = ["benchmarks", "score", *arguments, "--answers", answers_file(tmp_path)]
        command += ["--judge", judge_file(tmp_path, endpoint, reparse=0), "--output", tmp_path / "result"]
        trifacet(*command, "--json", tmp_path / "scores.json", "--per-sample", tmp_path / "samples.jsonl")
    told = json.loads((tmp_path / "scores.json").read_text())
    with pytest.raises(TrifacetError, match="say --file to run that file"):
        load_result(tmp_path / "result")
    found = load_result(tmp_path / "result", own=own_benchmarks([file]))
    benchmark, answered, outcome, _ = found
    assert found.name == benchmark.name == "colours" and len(answered) == QUESTIONS
    assert found.outcome.measures[0].value == told["metrics"]["accuracy"]["value"]
    assert outcome.measures[0].unofficial == told["metrics"]["accuracy"]["reason"]
    assert "no verdict" in outcome.measures[0].unofficial and "the judge is" not in outcome.measures[0].unofficial
    samples = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [row["id"] for row in samples] == list(LABELS) and samples[4]["problem"] == "unparsed"
    assert samples[2]["metrics"] == {"accuracy": 100.0} and samples[4]["metrics"] == {}
    (data / "questions.jsonl").open("a").write("\n")
    with pytest.raises(TrifacetError, match="no longer holds the files"):
        load_result(tmp_path / "result", own=own_benchmarks([file]))


def test_official_and_not_are_printed_with_every_number(trifacet, tmp_path, photos):
    for known in (True, False):
        folder = tmp_path / str(known)
        folder.mkdir()
        file, data = make_toy(folder, judged=False, known=known)
        answers = answers_file(folder, wrong=lambda number: number >= 12)
        command = ["benchmarks", "score", "colours", "--file", file, "--data", data, "--answers", answers]
        code, out, _ = trifacet(*command)
        row = next(line for line in out.splitlines() if "accuracy" in line)
        assert code == 0 and "50.00" in row and ("yes" in row) == known
        assert known == ("not official" not in out)
    assert "[1] not official: questions.jsonl is of another release than 1.0" in out


def test_missing_answers_are_refused_or_marked(trifacet, tmp_path):
    file, data = make_toy(tmp_path, judged=False)
    answers = answers_file(tmp_path)
    answers.write_text("".join(answers.read_text().splitlines(keepends=True)[:-3]))
    command = ["benchmarks", "score", "colours", "--file", file, "--data", data, "--answers", answers]
    code, _, err = trifacet(*command)
    assert code == 2 and "3 of 24 items have no answer: 'q21', 'q22', 'q23'" in err
    code, out, _ = trifacet(*command, "--partial")
    assert code == 0 and "not official: 21 of 24 items were answered" in out


def test_a_judge_is_asked_for_and_its_cost_told_before(trifacet, arguments, tmp_path):
    answers = answers_file(tmp_path, wrong=lambda number: number < 10)
    command = ["benchmarks", "score", *arguments, "--answers", answers]
    code, _, err = trifacet(*command)
    assert code == 2 and "colours needs a judge (the original took gpt-4-0314)" in err
    with ScriptedEndpoint(judge) as endpoint:
        command += ["--judge", judge_file(tmp_path, endpoint, reparse=0, max_tokens=50)]
        (row,) = json.loads(trifacet(*command, "--estimate", "--json", "-")[1])["estimate"]
        assert endpoint.calls.received == 0 and sorted(tmp_path.glob("*.sqlite")) == []
        assert row["questions"] == 10 and row["tokens_out"] == 500
        assert row["cost"] == pytest.approx((row["tokens_in"] + row["tokens_out"]) * 10 / 1e6)
        trifacet(*command)
        (row,) = json.loads(trifacet(*command, "--estimate", "--json", "-")[1])["estimate"]
        assert (row["questions"], row["answered_before"], row["cost"]) == (0, 10, 0.0)
        assert endpoint.calls.delivered == 10


def test_an_endpoint_that_rejects_all_is_not_asked_to_the_end(trifacet, tmp_path):
    rows = [{**row, "image": None} for row in questions(200)]
    file, data = make_toy(tmp_path, rows=rows)
    answers = tmp_path / "answers.jsonl"

    def rejects(messages):
        raise ValueError("max_tokens is not supported")

    with ScriptedEndpoint(rejects) as endpoint:
        command = ["benchmarks", "score", "colours", "--file", file, "--data", data, "--answers", answers, "--partial"]
        command += ["--judge", judge_file(tmp_path, endpoint, concurrency=2), "--output", tmp_path / "result"]
        answers.write_text(lines({"id": row["id"], "answer": "perhaps"} for row in rows))
        code, _, err = trifacet(*command)
        assert code == 2 and "rejected 20 requests in a row" in err and endpoint.calls.received <= 30
        answers.write_text(lines({"id": row["id"], "answer": "perhaps"} for row in rows[:5]))
        code, _, err = trifacet(*command, "--overwrite")
        assert code == 2 and "gave no verdict on any of 5 answers (5 rejected by the endpoint (400))" in err
        assert "max_tokens is not supported" in err and "nothing was paid for" in err and "kept" not in err


def test_the_budget_stops_and_the_same_command_goes_on(trifacet, arguments, tmp_path):
    command = ["benchmarks", "score", *arguments, "--answers", answers_file(tmp_path)]
    with ScriptedEndpoint(judge) as endpoint:
        keys = {"reparse": 0, "max_tokens": 20, "concurrency": 2}
        code, _, err = trifacet(*command, "--judge", judge_file(tmp_path, endpoint, budget=0.01, **keys))
        assert code == 2 and "budget of 0.01 reached" in err and 0 < endpoint.calls.delivered < QUESTIONS
        code, _, _ = trifacet(*command, "--judge", judge_file(tmp_path, endpoint, **keys))
        assert code == 0 and endpoint.calls.delivered == QUESTIONS and endpoint.calls.twice == 0


@pytest.mark.parametrize(
    ("keys", "said"),
    [({"modle": "x"}, "unknown key 'modle'; did you mean 'model'"), ({"budget": -1}, "budget"),
     ({"base_url": "http://me:secret@127.0.0.1/v1"}, "holds a password or a key")],
)  # fmt: skip
def test_a_judges_file_that_is_wrong(trifacet, arguments, tmp_path, keys, said):
    path = tmp_path / "judge.yaml"
    path.write_text(json.dumps({"base_url": "http://127.0.0.1:1/v1", "model": "m"} | keys))
    code, _, err = trifacet("benchmarks", "score", *arguments, "--answers", answers_file(tmp_path), "--judge", path)
    assert code == 2 and said in err and "secret" not in err


@pytest.fixture
def running(trifacet, tmp_path, photos, tiny_folder):
    """``run`` with the tiny model and no judge."""
    file, data = make_toy(tmp_path, judged=False, rows=questions(10))

    def run(*others, output="result"):
        return trifacet("benchmarks", "run", "colours", "--file", file, "--data", data, "--images", photos,
                        "--model", tiny_folder, "--output", tmp_path / output, "--max-new-tokens", 6,
                        "--batch-size", 2, *others)  # fmt: skip

    return run


def test_a_local_model_killed_on_its_way_ends_with_the_result_of_one_never_killed(running, tmp_path, monkeypatch):
    from trifacet.base.progress import Bar

    assert running()[0] == 0
    whole = {name: (tmp_path / "result" / name).read_bytes() for name in ("answers.jsonl", "scores.json")}

    def killed(bar, done, total):
        if done >= 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Bar, "update", killed)
        assert running(output="again")[0] == 130
    rows = (tmp_path / "again" / "answers.jsonl").read_text().splitlines()
    assert len(rows) == 4 and not (tmp_path / "again" / "scores.json").exists()
    code, out, _ = running(output="again")
    assert code == 0 and "10 of 10 items" in out
    assert whole == {name: (tmp_path / "again" / name).read_bytes() for name in whole}
    mark = tmp_path / "again" / "benchmark.json"  # of a version that knew another file, which was left out
    told = unsealed(json.loads(mark.read_text()))
    mark.write_text(json.dumps({**told, "files": {**told["files"], "more.json": ""}}))
    assert len(load_result(tmp_path / "again", own=own_benchmarks([tmp_path / "colours.py"])).answered) == 10
    assert running(output="again")[0] == 0
    answers = [json.loads(line) for line in whole["answers.jsonl"].splitlines()]
    assert [row["id"] for row in answers] == [f"q{number}" for number in range(10)]
    assert len({row["text"] for row in answers}) > 1


def test_other_settings_are_refused_by_name_or_begin_anew(running, tmp_path):
    assert running("--limit", 4)[0] == 0
    first = (tmp_path / "result" / "answers.jsonl").read_bytes()
    code, _, err = running("--limit", 4, "--beams", 2)
    assert code == 2 and "beams 1 there, 2 now" in err and "--overwrite" in err
    assert running("--limit", 5)[0] == 2
    assert (tmp_path / "result" / "answers.jsonl").read_bytes() == first
    code, out, _ = running("--limit", 5, "--overwrite")
    assert code == 0 and "5 of 10 items" in out and "not official: 5 of 10 items were answered" in out
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    code, _, err = running(output="mine")
    assert code == 2 and "is not empty" in err


def test_a_model_that_was_mistyped_stands_in_the_way_of_none(running, trifacet, photos, tmp_path):
    (tmp_path / "no checkpoint").mkdir()
    assert running("--model", tmp_path / "no checkpoint", "--beams", 3)[0] == 2
    assert running()[0] == 0, "nothing had been answered"
    assert running("--beams", 3)[0] == 2
    file, data = tmp_path / "colours.py", tmp_path / "data"
    command = ["benchmarks", "run", "colours", "--file", file, "--data", data, "--images", photos]
    command += ["--output", tmp_path / "asked", "--endpoint"]
    with ScriptedEndpoint(lambda messages: "red") as endpoint:
        code, _, err = trifacet(*command, judge_file(tmp_path, endpoint, model="mistyped"))
        assert code == 2 and "knows no model 'mistyped'" in err
        assert trifacet(*command, judge_file(tmp_path, endpoint))[0] == 0
        code, _, err = trifacet(*command, judge_file(tmp_path, endpoint), "--beams", 2)
        assert code == 2 and "--beams is for a model that runs here" in err
        (tmp_path / "asked" / "answers.jsonl").unlink()  # as after a kill: what was paid for is in the SQLite file
        code, _, err = trifacet(*command, judge_file(tmp_path, endpoint, model="another"))
        assert code == 2 and 'model "scripted" there, "another" now' in err


def test_a_result_belongs_to_its_answers_its_judge_and_its_files(trifacet, arguments, toy, tmp_path):
    _, data = toy
    answers = answers_file(tmp_path, wrong=lambda number: number < 2)
    command = ["benchmarks", "score", *arguments, "--answers", answers, "--output", tmp_path / "result", "--judge"]
    with ScriptedEndpoint(judge) as endpoint:
        path = judge_file(tmp_path, endpoint)
        assert trifacet(*command, path)[0] == 0
        assert trifacet(*command, judge_file(tmp_path, endpoint, concurrency=2, timeout=9.0))[0] == 0, (
            "no setting of it"
        )
        code, _, err = trifacet(*command, judge_file(tmp_path, endpoint, max_tokens=99))
        assert code == 2 and "judge max_tokens 512 there, 99 now" in err
        judge_file(tmp_path, endpoint)
        (data / "questions.jsonl").open("a").write("\n")
        code, _, err = trifacet(*command, path)
        assert code == 2 and "files questions.jsonl" in err
        answers_file(tmp_path, wrong=lambda number: number < 3)
        assert "answers sha256" in trifacet(*command, path)[2]
        code, out, _ = trifacet(*command, path, "--overwrite")
        assert code == 0 and "another release" in out and endpoint.calls.twice == 0


def test_what_is_missing_is_told_before_the_model_is_loaded(trifacet, arguments, toy, tmp_path, photos):
    _, data = toy
    base = ["benchmarks", "run", *arguments, "--output", tmp_path / "result"]
    assert "say which model answers" in trifacet(*base)[2]
    code, _, err = trifacet(*base, "--model", "nowhere")
    assert code == 2 and "needs a judge" in err
    code, _, err = trifacet(*base, "--model", "nowhere", "--set", "tagger=x")
    assert code == 2 and "options of colours: unknown key 'tagger'; known keys here are none" in err
    (tmp_path / "judge.yaml").write_text("{base_url: 'http://127.0.0.1:1/v1', model: m}")
    base[base.index(photos)] = data
    code, _, err = trifacet(*base, "--model", "nowhere", "--judge", tmp_path / "judge.yaml")
    assert code == 2 and "4 of 4 pictures are missing or damaged: '0.png', '1.png', '3.png' ..." in err
    assert not (tmp_path / "result").exists()


def test_a_model_behind_an_endpoint_is_shown_the_picture_and_asked_the_question_alone(trifacet, tmp_path, photos):
    file, data = make_toy(tmp_path, judged=False)
    seen = {}

    def model(messages):
        number = number_of(messages)
        seen[number] = (messages[0]["role"], len(messages), last_text(messages), len(request_images(messages)))
        if number == 7:
            raise ValueError("too hard")
        return "" if number == 5 else LABELS[f"q{number}"]

    with ScriptedEndpoint(model, Faults.mixed(0.2, ("429 retry-after", "429 until"), retry_after=0.01)) as endpoint:
        command = ["benchmarks", "run", "colours", "--file", file, "--data", data, "--images", photos]
        command += ["--endpoint", judge_file(tmp_path, endpoint), "--output", tmp_path / "result", "--json", "-"]
        (cost,) = json.loads(trifacet(*command, "--estimate")[1])["estimate"]
        assert cost["questions"] == QUESTIONS and endpoint.calls.received == 0
        code, out, _ = trifacet(*command)
        told, delivered = json.loads(out), endpoint.calls.delivered
        trifacet(*command)
        assert endpoint.calls.delivered == delivered == QUESTIONS - 1
    assert code == 0 and told["counts"]["right"] == QUESTIONS - 2
    assert told["answers"]["asked"]["problems"] == {"empty": 1, "rejected by the endpoint (400)": 1}
    assert seen[3] == ("user", 1, "What colour has kite 3?", 1) and seen[2][3] == 0


def test_a_question_asked_twice_is_estimated_and_paid_once_and_its_cost_is_printed(trifacet, tmp_path):
    """As POPE's: its parts share many questions."""
    rows = [
        {**row, "image": None, "question": f"What colour has kite {int(row['id'][1:]) % 5}?"} for row in questions()
    ]
    file, data = make_toy(tmp_path, judged=False, rows=rows)
    with ScriptedEndpoint(lambda messages: "red") as endpoint:
        command = ["benchmarks", "run", "colours", "--file", file, "--data", data, "--output", tmp_path / "result"]
        command += ["--endpoint", judge_file(tmp_path, endpoint), "--max-new-tokens", 9]
        (cost,) = json.loads(trifacet(*command, "--estimate", "--json", "-")[1])["estimate"]
        code, out, _ = trifacet(*command)
        assert code == 0 and endpoint.calls.delivered == cost["questions"] == 5 and cost["tokens_out"] == 5 * 9
    told = json.loads((tmp_path / "result" / "scores.json").read_text())["answers"]["asked"]
    assert told["cost"] > 0 and f"model scripted: {QUESTIONS} questions, 19 answers kept before" in out
    assert f"cost {told['cost']:.6g}, paid in all {told['cost']:.6g}" in out


def test_a_kill_loses_no_verdict(trifacet, arguments, tmp_path):
    answers = answers_file(tmp_path)
    with ScriptedEndpoint(judge, latency=0.03) as endpoint:
        path = judge_file(tmp_path, endpoint, reparse=0, concurrency=1)
        command = ["benchmarks", "score", *arguments, "--answers", answers, "--output", tmp_path / "result"]
        command += ["--judge", path]
        child = multiprocessing.get_context("fork").Process(target=trifacet, args=command)  # fork: nothing to import
        child.start()
        until = time.monotonic() + 60
        while endpoint.calls.delivered < 5 and child.is_alive() and time.monotonic() < until:
            time.sleep(0.001)
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL, "it was to be killed half-way"
        assert not (tmp_path / "result" / "scores.json").exists() and endpoint.calls.delivered < QUESTIONS
        code, out, _ = trifacet(*command)
        assert code == 0 and "accuracy" in out
        assert endpoint.calls.delivered <= QUESTIONS + 1, "one was in flight at most"
