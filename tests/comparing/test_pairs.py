"""Judged pairs through an endpoint: what good and bad judges lead to, and that nothing is paid for twice."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from trifacet.base.errors import TrifacetError
from trifacet.comparing.comparison import ComparisonSettings
from trifacet.comparing.contestants import Contestant, Entered
from trifacet.comparing.pairs import estimate, judge_pairs, text_pairs
from trifacet.data.records import TestSample
from trifacet.demo.endpoint_server import Faults, ScriptedEndpoint, last_text, request_images
from trifacet.llm.asking import AskedModel
from trifacet.llm.prompts import load_prompt

PROMPT = load_prompt("judge")


def entered(folder, count=10):
    """Text of "long" is the longer one, but in the last sample, where both are the same."""
    ids = [str(place) for place in range(count)]
    texts = {
        "short": {one: f"text {one}" for one in ids},
        "long": {one: f"text {one} that goes on" for one in ids[:-1]} | {ids[-1]: f"text {ids[-1]}"},
    }
    samples = {one: TestSample(id=one, image="a.png", context=f"post {one}") for one in ids}
    return Entered([Contestant(name, "", {}, known) for name, known in texts.items()], samples, None, [])


def sides(messages):
    lines = [line for line in last_text(messages).splitlines() if line.startswith("Text ")]
    return [json.loads(line.split(": ", 1)[1]) for line in lines]


def longer(messages):
    first, second = sides(messages)
    return json.dumps({"better": "A" if len(first) > len(second) else "B"})


def judged(answer, folder, faults=None, **options):
    with ScriptedEndpoint(answer, faults) as endpoint:
        spec = AskedModel(base_url=endpoint.base_url, model="scripted", tries=6, reparse=1, **options)
        pairs = text_pairs(entered(folder), ComparisonSettings(), None)
        found = judge_pairs(spec, PROMPT, folder / "answers.sqlite", pairs, draws=500, first_pause=0.01)
        return found, endpoint.calls


def test_a_judge_that_reads_is_counted(tmp_path):
    found, calls = judged(longer, tmp_path, price={"input": 100.0, "output": 100.0})
    (pair,) = found.pairs
    assert (pair.model, pair.other) == ("long", "short")
    assert pair.summary.counts == {"win": 9, "tie": 1, "lose": 0, "unparsed": 0}
    assert pair.same == 1  # a tie that nobody was asked about
    assert calls.delivered == 18
    assert pair.consistency == 1.0
    assert pair.first_position == 0.5
    assert pair.p == pytest.approx(2 / 2**9)
    low, high = pair.summary.intervals["win"]
    assert low < 0.9 < high
    assert found.asked.cost > 0
    assert not found.saw_images


def test_a_judge_of_pure_position_wins_nothing(tmp_path):
    found, _ = judged(lambda messages: '{"better": "A"}', tmp_path)
    (pair,) = found.pairs
    assert pair.summary.counts == {"win": 0, "tie": 10, "lose": 0, "unparsed": 0}
    assert pair.consistency == 0.0  # the sample that was not asked about does not count
    assert pair.first_position == 1.0
    assert pair.p == 1.0


def test_nonsense_is_a_class_of_its_own(tmp_path):
    found, _ = judged(lambda messages: "both are fine, I think", tmp_path)
    (pair,) = found.pairs
    assert pair.summary.counts == {"win": 0, "tie": 1, "lose": 0, "unparsed": 9}
    assert pair.consistency is None
    assert pair.first_position is None
    assert found.asked.problems["unparsed"] == 18


def test_nothing_is_paid_for_twice_and_the_estimate_knows(tmp_path):
    pairs = text_pairs(entered(tmp_path), ComparisonSettings(), None)
    with ScriptedEndpoint(longer) as endpoint:
        spec = AskedModel(base_url=endpoint.base_url, model="scripted", price={"input": 100.0}, max_tokens=20)
        before = estimate(spec, PROMPT, tmp_path / "a.sqlite", pairs)
        assert endpoint.calls.received == 0
        assert before.cost > 0
        poor = spec.model_copy(update={"budget": before.cost / 2})
        with pytest.raises(TrifacetError, match="budget"):
            judge_pairs(poor, PROMPT, tmp_path / "a.sqlite", pairs, draws=100)
        assert 0 < endpoint.calls.delivered < 18
        between = estimate(spec, PROMPT, tmp_path / "a.sqlite", pairs)
        assert 0 < between.cost < before.cost
        judge_pairs(spec, PROMPT, tmp_path / "a.sqlite", pairs, draws=100)
        assert (endpoint.calls.delivered, endpoint.calls.twice) == (18, 0)
        again = judge_pairs(spec, PROMPT, tmp_path / "a.sqlite", pairs, draws=100)
        assert endpoint.calls.delivered == 18
        assert again.asked.cached == 18
        assert estimate(spec, PROMPT, tmp_path / "a.sqlite", pairs).cost == 0


def test_faults_change_no_judgement(tmp_path):
    (tmp_path / "faulty").mkdir()
    plain, _ = judged(longer, tmp_path)
    faulty, _ = judged(longer, tmp_path / "faulty", Faults.mixed(0.3, ("429", "500", "dropped", "gibberish"), most=1))
    assert faulty.pairs[0].summary == plain.pairs[0].summary


def test_the_judge_sees_posts_and_pictures(tmp_path):
    from PIL import Image

    Image.new("RGB", (32, 32), (200, 10, 10)).save(tmp_path / "a.png")
    seen = []

    def look(messages):
        seen.append((len(request_images(messages)), last_text(messages)))
        return longer(messages)

    with ScriptedEndpoint(look) as endpoint:
        spec = AskedModel(base_url=endpoint.base_url, model="scripted")
        pairs = text_pairs(entered(tmp_path), ComparisonSettings(), tmp_path)
        assert judge_pairs(spec, PROMPT, tmp_path / "a.sqlite", pairs, draws=100).saw_images
    assert all(count == 1 and "post " in text for count, text in seen)


def test_models_without_texts_are_not_judged(tmp_path):
    silent = replace(entered(tmp_path), contestants=[Contestant("a", "", {}), Contestant("b", "", {})])
    with pytest.raises(TrifacetError, match="texts of a, b are not known"):
        text_pairs(silent, ComparisonSettings(), None)
