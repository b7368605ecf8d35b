"""What a run has come to, told from its files: numbers add up, examples are drawn evenly, every sample is found."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from told_run import a_gate, make_run

from trifacet.base.errors import DataError, TrifacetError
from trifacet.evolving.document import evolve_document, explain
from trifacet.evolving.kept import parts_of, rounds_of
from trifacet.evolving.picking import ANSWERS, EXAMPLES
from trifacet.evolving.verified import verify
from trifacet.evolving.warnings import warnings_of
from trifacet.reports.evolving.page import render_evolve_page


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("evolve") / "run", 60, rounds=3, gate=a_gate())


@pytest.fixture(scope="module")
def document(folder):
    return evolve_document(folder)


def test_every_row_is_counted_once(folder, document):
    for told, (number, home) in zip(document["rounds"], rounds_of(folder), strict=True):
        parts = list(parts_of(home, number))
        answers = [one for part in parts for one in part.answers]
        assert told["total"]["answers"] == len(answers) == sum(one["answers"] for one in told["origins"].values())
        for counts in (told["total"], *told["origins"].values()):
            gone = counts["no_candidates"] + counts["waiting"]
            assert counts["verdicts"] == counts["accepted"] + counts["refused"] + counts["malformed"]
            assert counts["answers"] == counts["verdicts"] + gone
            assert counts["no_candidates"] == sum(counts["problems"].values())
        assert told["samples"] == told["finished"] == sum(told["fates"].values())
        assert told["pairs"] == sum(one["pairs"] for one in told["pair_origins"])
        assert told["pairs"] == sum(fate.pairs for part in parts for fate in part.fates)
        outcomes = Counter(one.outcome for part in parts for one in part.verdicts)
        assert {name: told["total"][name] for name in outcomes} == outcomes
    assert document["total"]["pairs"] == sum(one["pairs"] for one in document["rounds"])


def test_a_round_has_the_samples_that_the_one_before_left(document):
    first, second = document["rounds"][:2]
    assert second["samples"] == first["fates"].get("none accepted", 0) + first["fates"].get("refused", 0)


def test_examples_are_of_every_fate_and_bounded(folder, document):
    shown = document["examples"]
    assert len({(one["round"], one["id"]) for one in shown}) == len(shown) <= EXAMPLES
    for told in document["rounds"]:
        assert {one["fate"]["what"] for one in shown if one["round"] == told["round"]} == set(told["fates"])
    for one in shown:
        assert one["sample"]["id"] == one["id"] and len(one["answers"]) <= ANSWERS
    assert evolve_document(folder)["examples"] == shown


def test_of_many_answers_some_of_every_origin_and_outcome_are_shown(tmp_path):
    from trifacet.evolving.kept import PartRows
    from trifacet.evolving.picking import shown_answers
    from trifacet.evolving.records import Answer, Verdict

    rows = PartRows(0)
    for number in range(300):
        rows.answers.append(Answer("a", number, "normal" if number < 280 else "blur", f"text {number}"))
        rows.verdicts.append(Verdict("a", number, "accepted" if number in (5, 290) else "refused", 0, 1))
    shown = {one.answer for one in shown_answers(rows)}
    assert len(shown) == ANSWERS and {5, 290} <= shown


def test_a_finished_run_is_finished_and_an_unfinished_one_is_told(folder, document, tmp_path):
    assert document["finished"] and document["warnings"][0].startswith("The verifier is below")
    unfinished = make_run(tmp_path / "run", 12, rounds=1, finished=False)
    (unfinished / "round-1" / "round.json").unlink()
    for step in ("fates", "pairs", "feedback-pairs", "verdicts"):
        (unfinished / "round-1" / step / "00001.jsonl").unlink()
    told = evolve_document(unfinished)
    assert told["finished"] is None and not told["rounds"][0]["done"]
    one = told["rounds"][0]
    assert one["samples"] == 12 and one["finished"] == 10 and one["total"]["waiting"] > 0


def test_explain_tells_a_sample_over_all_rounds(folder, document):
    last = document["rounds"][-1]["round"]
    name = next(one["id"] for one in document["examples"] if one["round"] == last)
    story = explain(folder, name)
    assert [one["round"] for one in story["rounds"]] == list(range(1, last + 1))
    assert story["sample"]["references"]
    for told in story["rounds"]:
        assert len(told["answers"]) == 6 and told["more"] == 0
        assert told["fate"]["sample"] == name
        feedback = [said for one in told["answers"] for said in one["feedback"]]
        assert [said["revised"] for said in feedback] == [4, 5]


def test_an_unknown_id_is_answered_with_the_nearest(folder):
    with pytest.raises(TrifacetError, match="has the id 'sample-00O13'; the nearest ids are 'sample-00013'"):
        explain(folder, "sample-00O13")
    with pytest.raises(TrifacetError, match="the nearest ids are 'sample-"):
        explain(folder, "\0")


def test_a_folder_of_other_work_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    for look in (evolve_document, verify, lambda folder: explain(folder, "x")):
        with pytest.raises(TrifacetError, match="holds no run of 'trifacet evolve'"):
            look(tmp_path)


def test_a_damaged_row_is_named_and_a_torn_one_was_never_there(tmp_path):
    folder = make_run(tmp_path / "run", 12, rounds=1)
    verdicts = folder / "round-1" / "verdicts" / "00000.jsonl"
    whole = verdicts.read_bytes()
    verdicts.write_bytes(whole[:-10])
    assert evolve_document(folder)["rounds"][0]["total"]["waiting"] == 1
    lines = whole.split(b"\n")
    verdicts.write_bytes(b"\n".join([lines[0], lines[1].replace(b"refused", b"Accepted"), b"{", *lines[3:]]))
    with pytest.raises(DataError, match=r"verdicts/00000\.jsonl, row [23]: is damaged"):
        evolve_document(folder)


def test_code_that_a_folder_names_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "spoiling_everything.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    folder = make_run(tmp_path / "run", 4, rounds=1)
    recipe = folder / "recipe.yaml"
    spoilt = recipe.read_text().replace("strategies: [diffusion, crop]", "strategies: ['spoiling_everything:X']")
    recipe.write_text(f"{spoilt}align: {{objective: 'spoiling_everything:Loss'}}\n")
    assert recipe.read_text().count("spoiling") == 2
    assert evolve_document(folder)["total"]["samples"] == 4


def test_damage_is_found_by_verify(tmp_path):
    folder = make_run(tmp_path / "run", 12, rounds=1, gate=a_gate())
    assert verify(folder) == []
    document = folder / "gate.json"
    document.write_text(document.read_text().replace("0.86", "0.87"))
    kept = json.loads((folder / "round-1" / "round.json").read_text())
    (folder / "round-1" / "round.json").write_text(json.dumps({**kept, "round": 2}))
    assert {path.name for path, _ in verify(folder)} == {"gate.json", "round.json"}


def test_a_gate_without_enough_probes_is_told(document):
    few = a_gate() | {"passed": True, "failures": [], "all": {"passed": None, "right": 2, "wrong": 3}}
    (said,) = (one for one in warnings_of(document | {"gate": few}) if "too few probes" in one)
    assert "2 right, 3 wrong" in said and "gate.samples" in said
    enough = few | {"all": {"passed": True, "right": 50, "wrong": 50}}
    assert not any("too few probes" in one for one in warnings_of(document | {"gate": enough}))


def test_a_biased_judge_an_alignment_that_did_harm_and_lengths_that_stay_apart_are_warned_of(tmp_path):
    document = evolve_document(make_run(tmp_path / "run", 12, rounds=1, gate=a_gate(True)))
    first = document["rounds"][0]
    quiet = warnings_of(document)
    first["biases"] = dict(first["biases"]) | {
        "judge": {"first": {"value": 0.9, "interval": [0.85, 0.94], "count": 90}}
    }
    first["lengths"] = {"longer": "chosen", "at": 0.4, "left_out": 31, "difference": 90.0, "after": 44.0}
    document["outcome"] = {"metric": "accepted", "value": 0.25, "against": "base", "its_value": 0.5, "harm": True}
    told = [line for line in warnings_of(document) if line not in quiet]
    assert len(told) == 3
    assert any("takes the text shown first in 0.85 to 0.94" in line for line in told)
    assert any(
        "chosen texts stay 44 characters longer in the mean, though 31 pairs are left out" in line for line in told
    )
    assert any(line.startswith("The alignment at the end did harm: accepted 0.250, base 0.500") for line in told)
    for p, said in ((0.04, "did harm"), (0.05, "got worse, which may be chance")):
        document["outcome"] |= {"p": p}
        (line,) = [one for one in warnings_of(document) if one.startswith("The alignment at the end ")]
        assert line.startswith(f"The alignment at the end {said}: accepted 0.250, base 0.500")
    page = render_evolve_page(document)
    assert "the text shown first" in page and "alignment" in page
