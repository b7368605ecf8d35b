"""The gate: its numbers by hand, verifiers that accept all or none, controls, and nothing asked twice."""

import json
from collections import Counter

import pytest
from PIL import Image

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.seals import read_document
from trifacet.data.records import TestSample
from trifacet.demo.endpoint_server import ScriptedEndpoint, last_text, request_images
from trifacet.evolving.cast import Cast
from trifacet.evolving.gate import FILE, run_gate, samples_of_tasks
from trifacet.evolving.gate_document import FEWEST, NO_PICTURE, OTHER_ORDER
from trifacet.evolving.probes import make_probes

COUNT = 12


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The folder of pictures, and samples of two tasks."""
    root = tmp_path_factory.mktemp("described")
    things = [
        "dogs",
        "cats",
        "boats",
        "kites",
        "apples",
        "horses",
        "clocks",
        "lamps",
        "rivers",
        "towers",
        "birds",
        "cars",
    ]
    samples = []
    for n in range(COUNT):
        Image.new("RGB", (24, 24), (20 * n, 90, 200 - 10 * n)).save(root / f"{n}.png")
        text = f"Three {things[n]} stand on the left of a field near {things[n - 5]}."
        task = "describe" if n % 2 else "other"
        samples.append(
            TestSample(id=f"s{n}", image=f"{n}.png", prompt="Tell.", references=(text,), extra={"task": task})
        )
    return root, samples


@pytest.fixture
def gated(described, evolve_recipe, endpoint_file, tmp_path):
    """Runs the gate with a verifier that is given (answer is right, picture is shown, reference comes first)."""
    root, samples = described
    calls = []

    def run(judge, *, given=None, endpoint=None, **settings):
        probes = make_probes(samples, COUNT, "task", "Answer.", 5) if given is None else given
        labels = {(one.sample.references[0], one.answer.text): one.label for one in probes}

        def answer(messages):
            text = last_text(messages)
            fields = [line.partition(": ") for line in text.splitlines() if ": " in line]
            values = {name: json.loads(value) for name, _, value in fields}
            names = [name for name, _, _ in fields]
            label = labels[values["Reference"], values["Answer"]]
            said = judge(label, bool(request_images(messages)), names.index("Reference") < names.index("Answer"))
            return {True: "yes", False: "no"}.get(said, said)

        with ScriptedEndpoint(answer) as server:
            calls.append(server.calls)
            recipe = evolve_recipe(
                roles={"verifier": {"endpoint": endpoint_file(server, **(endpoint or {})), "max_new_tokens": 9}},
                verification={"form": "word"},
                data={"root": str(root)},
                gate={"samples": COUNT, **settings},
            )
            with Cast(recipe) as cast:
                return run_gate(samples, cast, recipe, tmp_path / "out"), probes

    run.calls = calls
    run.file = tmp_path / "out" / FILE
    return run


def test_a_good_verifier_passes_and_its_numbers_are_ones(gated):
    report, probes = gated(lambda right, shown, order: right)
    told = report.document()
    assert report.passed and report.failures == [] and told["few"] == []
    assert set(told["tasks"]) == {"describe", "other"}
    for block in (told["all"], *told["tasks"].values()):
        assert block["passed"] and block["right"] == block["wrong"] >= FEWEST
        assert (block["precision"]["value"], block["recall"]["value"], block["false_accepts"]["value"]) == (1, 1, 0)
        assert block["malformed"]["value"] == 0 and block["yes_share"]["value"] == 0.5
        assert block["precision"]["interval"][0] < 1  # so few show little
    assert told["all"]["probes"] == len(probes) == told["all"]["yes_share"]["count"]
    assert all(one["accepted"]["value"] == one["label"] for one in told["kinds"].values())
    assert told["mistakes"] == []
    assert read_document(gated.file, "") == json.loads(json.dumps(told))


def test_numbers_by_hand(gated):
    """Accepts all right ones but those of two samples, and three of the wrong ones."""
    seen = {True: 0, False: 0}

    def judge(right, shown, order):
        if not (shown and order):
            return right
        seen[right] += 1
        return seen[right] > 4 if right else seen[right] <= 3

    report, probes = gated(judge, otherwise="go on")
    each = len(probes) // 2
    told = report.document()["all"]
    assert told["precision"]["value"] == pytest.approx((each - 4) / (each - 4 + 3))
    assert told["recall"]["value"] == pytest.approx((each - 4) / each)
    assert told["false_accepts"]["value"] == pytest.approx(3 / each)
    assert told["yes_share"]["value"] == pytest.approx(((each - 4) / each + 3 / each) / 2)
    counted = {name: told[name]["count"] for name in ("precision", "recall", "false_accepts", "malformed")}
    assert counted == {"precision": each - 1, "recall": each, "false_accepts": each, "malformed": 2 * each}
    mistakes = report.document()["mistakes"]
    assert len(mistakes) == 7 and all((one["outcome"] == "accepted") != one["label"] for one in mistakes)


@pytest.mark.parametrize(("said", "missed"), [
    (True, "task 'describe': precision 0.50 [0.50, 0.50], 0.20 below 0.7; task 'describe': accepts 1.00 ["),
    (False, "task 'describe': accepted none of "),
    ("hm", "right answers (100% of its answers could not be read)"),
])  # fmt: skip
def test_a_verifier_that_says_one_thing_stops_the_run(said, missed, gated):
    with pytest.raises(TrifacetError) as error:
        gated(lambda *_: said)
    told = str(error.value)
    assert told.startswith("the verifier is not to be trusted: ") and missed in told and "\n" not in told
    assert "task 'other'" in told and "all tasks" not in told
    assert "gate.otherwise to 'go on'" in told and str(gated.file) in told
    kept = read_document(gated.file, "")
    assert not kept["passed"] and {one["task"] for one in kept["failures"]} == {"describe", "other"}
    malformed = kept["all"]["malformed"]["value"]
    assert malformed == (1 if said == "hm" else 0)


def test_a_bound_is_told_with_how_much_is_missing(gated):
    turn = iter(range(10_000))

    def judge(right, shown, order):
        return right or next(turn) % 2 == 0

    report, _ = gated(judge, otherwise="go on", precision=0.9, false_accepts=0.25, controls=False)
    assert not report.passed
    for one in report.document()["failures"]:
        block = report.document()["tasks"][one["task"]]
        value, limit = block[one["bound"]]["value"], {"precision": 0.9, "false_accepts": 0.25}[one["bound"]]
        assert one["short"] == pytest.approx(abs(value - limit)) and f"{one['short']:.2f}" in one["told"]
        assert one["value"] == value and one["limit"] == limit
    assert {one["bound"] for one in report.document()["failures"]} == {"precision", "false_accepts"}


def test_half_malformed_counts_as_not_accepted(gated):
    turn = iter(range(10_000))
    report, _ = gated(lambda right, *_: right if next(turn) % 2 else "hm", controls=False, otherwise="go on")
    block = report.document()["all"]
    assert block["malformed"]["value"] == pytest.approx(0.5, abs=0.02)
    assert block["precision"]["value"] == 1 and block["false_accepts"]["value"] == 0
    assert 0 < block["recall"]["value"] < 1
    assert report.passed and all(one["outcome"] != "accepted" for one in report.document()["mistakes"])


def test_controls_tell_who_looks_and_who_hangs_on_the_order(gated):
    looks, _ = gated(lambda right, shown, order: right if shown else True)
    control = looks.document()["controls"]
    assert control[NO_PICTURE]["as_expected"] and control[NO_PICTURE]["agreement"]["value"] == 0.5
    assert control[NO_PICTURE]["drop"]["value"] == 0.5 and control[NO_PICTURE]["same"]["value"] == 0.5
    assert control[OTHER_ORDER]["as_expected"] and control[OTHER_ORDER]["drop"]["value"] == 0


def test_controls_tell_who_does_not_look(gated):
    blind, _ = gated(lambda right, shown, order: right if order else "hm")
    control = blind.document()["controls"]
    assert not control[NO_PICTURE]["as_expected"] and control[NO_PICTURE]["same"]["value"] == 1
    assert not control[OTHER_ORDER]["as_expected"] and control[OTHER_ORDER]["malformed"]["value"] == 1
    assert "right less often with the fields in another order" in control[OTHER_ORDER]["told"]
    assert blind.passed  # controls tell, the bounds decide


def test_nothing_is_asked_twice(gated):
    first, probes = gated(lambda right, *_: right)
    before = gated.file.read_bytes()
    again, _ = gated(lambda right, *_: right)
    assert gated.calls[0].delivered == 3 * len(probes) and gated.calls[1].received == 0
    assert again == first and gated.file.read_bytes() == before
    gated.file.write_bytes(before.replace(b'"passed": true', b'"passed": false', 1))  # damaged: made again
    repaired, _ = gated(lambda right, *_: right)
    assert gated.calls[2].received == 0 and repaired == first and gated.file.read_bytes() == before
    other, _ = gated(lambda right, *_: right, precision=0.5)  # other bounds: the same answers
    assert gated.calls[3].received == 0 and other.document()["bounds"]["precision"] == 0.5


def test_a_run_that_stops_on_the_way_goes_on_from_there(gated):
    with pytest.raises(TrifacetError, match="budget"):
        gated(lambda right, *_: right, endpoint={"budget": 0.02, "price": {"input": 1.0}})
    assert not gated.file.exists()
    report, probes = gated(lambda right, *_: right)
    first, second = gated.calls
    assert report.passed and first.delivered > 0 and second.delivered > 0
    assert first.delivered + second.delivered == 3 * len(probes)
    assert not first.bodies.keys() & second.bodies.keys()


def probes_of(path, *, wrong, right=8):
    rows = [
        {"id": f"p{n}", "task": "few" if n < 3 else "count", "image": f"{n % COUNT}.png", "reference": f"Thing {n}",
         "answer": f"Thing {n}" if n < right else f"Thing {n + 1}", "label": n < right}
        for n in range(right + wrong)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_probes_of_a_file_and_a_task_with_too_few(gated, described):
    from trifacet.evolving.probes import read_probes

    path = probes_of(described[0] / "probes.jsonl", wrong=6)
    given = read_probes(path, described[0])
    report, _ = gated(lambda right, *_: right, given=given, probes="probes.jsonl", samples=0)  # below data.root
    again, _ = gated(lambda right, *_: right, given=given, probes=str(path), samples=0)
    assert gated.calls[1].received == 0 and again.document()["tasks"] == report.document()["tasks"]
    told = report.document()
    assert told["probes"].startswith("sha256 ") and told["all"]["probes"] == 14
    assert told["few"] == ["few"] and told["tasks"]["few"]["passed"] is None and told["tasks"]["count"]["passed"]
    assert {kind: one["accepted"]["value"] for kind, one in told["kinds"].items()} == {
        "given, right": 1,
        "given, wrong": 0,
    }
    assert report.passed


def test_where_every_task_has_too_few_all_together_are_held_to_the_bounds(gated, described, tmp_path):
    from trifacet.evolving.probes import read_probes

    path = probes_of(tmp_path / "probes.jsonl", wrong=6)
    rows = [json.loads(line) | {"task": f"t{n}"} for n, line in enumerate(path.read_text().splitlines())]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(TrifacetError, match=r"all tasks together: precision 0\.57"):
        gated(lambda *_: True, given=read_probes(path, described[0]), probes=str(path))


def test_no_gate_and_nothing_to_make_probes_of(evolve_recipe, questions, tmp_path):
    recipe = evolve_recipe(gate={"samples": 0})
    with Cast(recipe) as cast:
        report = run_gate(questions, cast, recipe, tmp_path)
    assert report.passed and report.document()["skipped"] == "gate.samples is 0"
    recipe = evolve_recipe(gate={"samples": 5})
    with (
        Cast(recipe) as cast,
        pytest.raises(TrifacetError, match=r"no probe can be made of .* name a file .*gate\.probes"),
    ):
        run_gate([TestSample(id="a", image="0.png")], cast, recipe, tmp_path)
    recipe = evolve_recipe(gate={"probes": str(tmp_path / "none.jsonl")})
    with Cast(recipe) as cast, pytest.raises(DataError, match="no such file"):
        run_gate(questions, cast, recipe, tmp_path)


def test_a_rare_task_has_as_many_of_the_gates_samples_as_another():
    tasks = ["count"] * 400 + ["describe"] * 400 + ["read"] * 8
    samples = [TestSample(id=f"s{n}", references=("x",), extra={"task": task}) for n, task in enumerate(tasks)]
    found = samples_of_tasks(iter(samples), 24, "task", 5)
    assert Counter(one.extra["task"] for one in found) == {"count": 8, "describe": 8, "read": 8}
    assert found == samples_of_tasks(reversed(samples), 24, "task", 5), "by the ids, not by their order"
    assert {one.id for one in found} != {one.id for one in samples_of_tasks(samples, 24, "task", 6)}
    everything = samples_of_tasks(samples, 10_000, "task", 5)
    assert len(everything) == len({one.id for one in everything}) == len(samples)
    assert samples_of_tasks(samples, 0, "task", 5) == []
