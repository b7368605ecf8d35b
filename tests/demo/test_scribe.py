"""The scripted model: it sees, knows what is true, and misbehaves only when told to."""

import base64
import io
import json

import pytest
from PIL import Image

from trifacet.demo.alttext import clean, with_wrong_fact, write_alt_text
from trifacet.demo.facts import draw_scene, scene_generator
from trifacet.demo.posts import write_post
from trifacet.demo.raw_faults import encode
from trifacet.demo.raw_texts import INJECTIONS
from trifacet.demo.renderer import textured
from trifacet.demo.scribe import Scribe, quality, stated
from trifacet.demo.seeing import look
from trifacet.llm.prompts import load_prompt


def scene_of(k):
    rng = scene_generator(2, "scribe", k)
    scene = draw_scene(rng)
    return scene, " ".join(write_post(scene, rng)), textured(scene, 160, rng)


def messages(name, fields, picture=None):
    """A request as a language model would get it."""
    system, user = load_prompt(name).render(fields)
    content = [{"type": "text", "text": user}]
    if picture is not None:
        data = base64.b64encode(encode(picture, ".jpg")).decode()
        content.insert(0, {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}})
    return [{"role": "system", "content": system}, {"role": "user", "content": content}]


def judged(scribe, post, a, b, picture):
    return json.loads(scribe(messages("judge", {"context": post, "a": a, "b": b}, picture)))["better"]


@pytest.mark.parametrize("quality", [92, 60])
def test_it_sees_colour_shape_and_count(quality):
    for k in range(60):
        scene, _, picture = scene_of(k)
        seen = look(Image.open(io.BytesIO(encode(picture, ".jpg", quality))))
        assert seen == {"colour": scene.colour, "shape": scene.shape, "count": str(scene.count)}, k
    assert look(Image.new("RGB", (64, 64), (240, 240, 240))) == {}


def test_it_prefers_what_is_true_brief_and_complete_in_either_order():
    for k in range(12):
        scene, post, picture = scene_of(k)
        rng = scene_generator(3, "worse", k)
        good = clean(scene)
        for kind in ("generic", "verbose", "no-name", "wrong"):
            bad = write_alt_text(kind, scene, [post], rng)
            assert judged(Scribe(), post, good, bad, picture) == "A", (good, bad)
            assert judged(Scribe(), post, bad, good, picture) == "B", (good, bad)
        assert judged(Scribe(), post, good, f"Here: {good}", picture) == "tie"


def test_it_judges_by_the_picture_and_not_by_the_words():
    for k in range(12):
        scene, post, picture = scene_of(k)
        wrong = clean(with_wrong_fact(scene, scene_generator(3, "fact", k), "colour"))
        assert judged(Scribe(), post, wrong, clean(scene), picture) == "B"
        assert judged(Scribe(), post, wrong, clean(scene), None) == "tie"  # without it nothing speaks for either


@pytest.mark.parametrize("prompt", ["rejected-response", "rejected-again"])
def test_what_it_writes_is_worse(prompt):
    for k in range(40):
        scene, post, _ = scene_of(k)
        facts = {"colour": scene.colour, "shape": scene.shape, "count": str(scene.count), "name": scene.name}
        fields = {"context": post, "alt": clean(scene)} | ({"earlier": "x"} if prompt == "rejected-again" else {})
        worse = json.loads(Scribe()(messages(prompt, fields)))["alt_text"]
        assert quality(worse, facts) < quality(clean(scene), facts) - 0.5, worse
        lazy = json.loads(Scribe(lazy=1.0)(messages(prompt, fields)))["alt_text"]
        assert stated(lazy) == stated(clean(scene))


def test_it_mends_its_own_spellings_only():
    def proofread(text):
        return json.loads(Scribe()(messages("grammar", {"text": text})))

    assert proofread("Teh sign says HELLO fro all.") == {"error": True, "text": "The sign says HELLO for all."}
    assert proofread("The sign says HELLO for all.") == {"error": False, "text": ""}


def test_a_biased_judge_takes_the_first_of_its_share_of_pairs():
    scene, post, picture = scene_of(0)
    pairs = [(clean(scene), f"Nothing much {k}.") for k in range(40)]
    for bias, low, high in ((0.0, 0, 0), (0.3, 4, 22), (1.0, 40, 40)):
        scribe = Scribe(position_bias=bias)
        first = [judged(scribe, post, b, a, picture) == "A" for a, b in pairs]  # the bad one stands first
        assert low <= sum(first) <= high
        again = [judged(scribe, post, a, b, picture) == "A" for a, b in pairs]
        assert all(again)


@pytest.mark.parametrize("injection", INJECTIONS)
def test_it_obeys_orders_in_posts_only_when_told_to(injection):
    scene, post, picture = scene_of(1)
    texts = (f"{post} {injection}", "Nothing.", clean(scene), picture)
    assert judged(Scribe(), *texts) == "B"
    assert judged(Scribe(obeys_injections=True), *texts) == "A"


def test_another_task_gets_an_apology():
    assert "sorry" in Scribe()([{"role": "user", "content": "What is the capital of France?"}])
