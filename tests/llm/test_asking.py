"""Answers are the same whatever the endpoint, the order and the number of questions at a time do; each is paid once."""

import asyncio
import base64
import hashlib
import io
import json
import random
import sys

import pytest
from PIL import Image
from questions import PROMPT, ask_all, backwards, parse, post_of, posts, spec, tally

from trifacet.base.errors import DataError, TrifacetError
from trifacet.demo.endpoint_server import (
    CONTENT,
    FAULT_KINDS,
    REFUSAL,
    Faults,
    ScriptedEndpoint,
    parts_of,
    request_images,
)
from trifacet.llm.books import Books
from trifacet.llm.endpoint import Endpoint
from trifacet.llm.model import PROBLEMS, LanguageModel
from trifacet.llm.prompts import make_prompt
from trifacet.llm.refusals import IN_A_ROW
from trifacet.llm.settings import Model


def values(answers):
    assert not isinstance(answers, Exception), answers
    return [answer.value for answer in answers]


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_any_fault_leaves_no_trace(kind, tmp_path):
    texts = posts(40)
    faults = Faults({kind: 0.4}, slow=1.2, retry_after=0.1)
    patience = 1.0 if kind == "slow" else 30.0  # a busy machine makes others slow too
    with ScriptedEndpoint(backwards, faults) as endpoint:
        answers, books = ask_all(spec(endpoint, timeout=patience), tmp_path / "a.sqlite", texts)
    assert values(answers) == [text[::-1] for text in texts]
    assert endpoint.calls.faults[kind] > 5
    noted = (tally(books).repeats if kind in CONTENT else tally(books).retries).total()
    late = noted - (0 if kind == "fenced" else endpoint.calls.faults[kind])
    assert endpoint.calls.twice <= late if kind == "slow" else endpoint.calls.twice == late == 0
    assert tally(books).answered <= endpoint.calls.delivered <= tally(books).answered + late


def test_a_fifth_of_all_requests_failing_changes_no_answer_and_nothing_is_paid_twice(tmp_path):
    texts = posts(400)
    with ScriptedEndpoint(backwards) as calm:
        answers, _ = ask_all(spec(calm), tmp_path / "calm.sqlite", texts)
    with ScriptedEndpoint(backwards, Faults.mixed(0.2, slow=1.7, seed=1)) as endpoint:
        shuffled = random.Random(3).sample(texts, len(texts))
        troubled, books = ask_all(spec(endpoint, timeout=1.5, concurrency=5), tmp_path / "a.sqlite", shuffled)
        late = tally(books).retries["time-out"] - endpoint.calls.faults["slow"]  # where the machine is busy
        received, delivered = endpoint.calls.received, endpoint.calls.delivered
        again, books = ask_all(spec(endpoint), tmp_path / "a.sqlite", texts)
    assert values(answers) == values(again) == [text[::-1] for text in texts]
    assert dict(zip(shuffled, values(troubled), strict=True)) == dict(zip(texts, values(answers), strict=True))
    assert endpoint.calls.faults.total() > 60 and len(endpoint.calls.faults) == len(FAULT_KINDS)
    assert endpoint.calls.received == received and tally(books).sent == 0, "a second run pays nothing"
    assert endpoint.calls.delivered == delivered and endpoint.calls.twice <= late
    assert all(len(keys) == 1 for keys in endpoint.calls.idempotency.values())


@pytest.mark.parametrize(
    ("says", "problem"),
    [("", "empty"), (REFUSAL, "refused"), ("I’m unable to do that.", "refused"), ('{"answer": 3}', "unparsed")],
)
def test_what_stays_without_a_value_is_counted_in_its_class(says, problem, tmp_path):
    with ScriptedEndpoint(lambda messages: says) as endpoint:
        answers, books = ask_all(spec(endpoint, reparse=2), tmp_path / "a.sqlite", posts(3))
    assert [(answer.value, answer.problem, answer.text) for answer in answers] == 3 * [(None, problem, says)]
    assert endpoint.calls.delivered == 9 and problem in PROBLEMS
    assert tally(books).problems == {problem: 3} and tally(books).repeats == {problem: 6}


@pytest.mark.parametrize(("fault", "problem"), [("cut off", "cut off"), ("filtered", "refused")])
def test_an_answer_that_was_cut_is_no_answer_even_if_it_could_be_read(fault, problem, tmp_path):
    with ScriptedEndpoint(lambda messages: "yes, yes", Faults({fault: 1.0}, most=9)) as endpoint:
        answers, _ = ask_all(spec(endpoint, reparse=0), tmp_path / "a.sqlite", posts(1))
    assert (answers[0].value, answers[0].problem) == (None, problem)


def test_a_rejected_question_is_a_class_of_its_own_and_asked_once(tmp_path):
    def answer(messages):
        if post_of(messages) == "post 1":
            raise ValueError("context too long")
        return backwards(messages)

    with ScriptedEndpoint(answer) as endpoint:
        answers, _ = ask_all(spec(endpoint), tmp_path / "a.sqlite", posts(3))
    assert [answer.problem for answer in answers] == [None, "rejected by the endpoint (400)", None]
    assert "context too long" in answers[1].text and endpoint.calls.refused == {400: 1}


def test_an_endpoint_that_rejects_everything_stops_the_build_instead_of_dropping_all_rows(tmp_path):
    def answer(messages):
        raise ValueError("no images, please")

    with ScriptedEndpoint(answer) as endpoint:
        stop, _ = ask_all(spec(endpoint), tmp_path / "a.sqlite", posts(3 * IN_A_ROW))
    assert isinstance(stop, TrifacetError) and "no images, please" in str(stop) and "\n" not in str(stop)


def test_a_question_in_flight_is_not_sent_again(tmp_path):
    with ScriptedEndpoint(backwards, latency=0.2) as endpoint:
        answers, books = ask_all(spec(endpoint), tmp_path / "a.sqlite", 30 * ["same"])
    assert values(answers) == 30 * ["emas"] and endpoint.calls.delivered == 1
    assert (tally(books).asked, tally(books).cached, tally(books).sent) == (30, 29, 1)


def test_an_answer_that_nobody_waits_for_any_more_is_kept(tmp_path):
    async def give_up():
        async with LanguageModel("judge", spec(endpoint, concurrency=2), books) as model:
            asking = [asyncio.create_task(model.ask(PROMPT, {"post": text}, parse)) for text in posts(6)]
            await asyncio.sleep(0.25)
            for question in asking:
                question.cancel()
        assert all(question.cancelled() for question in asking)

    with ScriptedEndpoint(backwards, latency=0.5) as endpoint:
        with Books(tmp_path / "a.sqlite") as books:
            asyncio.run(give_up())
        assert endpoint.calls.delivered == books.answered("judge") == 2, "what was sent; not what was to be sent"
        ask_all(spec(endpoint), tmp_path / "a.sqlite", posts(6))
    assert endpoint.calls.delivered == 6 and endpoint.calls.twice == 0


def test_draws_differ_and_come_back(tmp_path):
    def sampled(request):
        return json.dumps({"answer": str(request["seed"])})

    file = tmp_path / "a.sqlite"
    with ScriptedEndpoint(sampled, whole=True) as endpoint:
        drawn = [ask_all(spec(endpoint), file, ["x"], temperature=1.0, draw=draw)[0] for draw in (0, 1, 2, 1)]
    first, second, third, again = (values(answers)[0] for answers in drawn)
    assert len({first, second, third}) == 3 and again == second and endpoint.calls.delivered == 3


def test_images_are_scaled_and_encoded_anew(tmp_path):
    picture = Image.effect_noise((300, 150), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x010E] = "where the secret cottage stands"
    exif[0x0112] = 6  # turned by a quarter
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    seen = []

    def look(messages):
        urls = [part["image_url"]["url"] for part in parts_of(messages[-1]) if part["type"] == "image_url"]
        seen.extend(zip(request_images(messages), urls, strict=True))
        return backwards(messages)

    with ScriptedEndpoint(look) as endpoint:
        file, images = tmp_path / "a.sqlite", [tmp_path / "turned.jpg"]
        ask_all(spec(endpoint, image_side=100), file, ["x"], images=images)
        ask_all(spec(endpoint, image_side=100), file, ["x"], images=images)
        ask_all(spec(endpoint, image_side=None), file, ["x"], images=images)
        assert endpoint.calls.delivered == 2
        ask_all(spec(endpoint, image_side=4000), file, ["x"], images=images)
    assert [image.size for image, _ in seen] == [(50, 100), (150, 300)]
    for image, url in seen:
        sent = base64.b64decode(url.partition("base64,")[2])
        assert b"cottage" not in sent and not image.getexif() and image.format == "JPEG"
    assert Image.open(io.BytesIO(sent)).size == (150, 300)


def test_another_picture_under_the_same_name_is_another_question(tmp_path, photos):
    file, picture = tmp_path / "a.sqlite", tmp_path / "picture.png"
    digests = set()

    def look(messages):
        digests.add(hashlib.sha256(request_images(messages)[0].tobytes()).hexdigest())
        return backwards(messages)

    with ScriptedEndpoint(look) as endpoint:
        for name in ("0.png", "3.png"):
            picture.write_bytes((photos / name).read_bytes())
            ask_all(spec(endpoint), file, ["x"], images=[picture])
    assert endpoint.calls.delivered == len(digests) == 2


def test_a_broken_image_is_the_rows_own_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with ScriptedEndpoint(backwards) as endpoint:
        error, _ = ask_all(spec(endpoint), tmp_path / "a.sqlite", ["x"], images=[tmp_path / "broken.png"])
    assert isinstance(error, DataError) and endpoint.calls.received == 0


def test_lone_surrogates_and_control_characters_pass_through_the_file(tmp_path):
    with ScriptedEndpoint(lambda messages: "\x00 \ud800 é 👋") as endpoint:
        for _ in range(2):
            answers, _ = ask_all(spec(endpoint, reparse=0), tmp_path / "a.sqlite", ["\ud800 \x00 \u2028"])
            assert answers[0].text == "\x00 ? é 👋"
    assert endpoint.calls.delivered == 1


def test_an_answer_with_half_of_a_surrogate_pair_is_unparsed_since_no_file_could_hold_it(tmp_path):
    with ScriptedEndpoint(lambda messages: '{"answer": "\\ud800 é"}') as endpoint:
        delivered = []
        for _ in range(2):
            answers, _ = ask_all(spec(endpoint), tmp_path / "a.sqlite", ["x"])
            assert (answers[0].value, answers[0].problem) == (None, "unparsed")
            delivered.append(endpoint.calls.delivered)
    assert delivered[0] == delivered[1]  # the second time it is known


def test_fields_that_the_prompt_does_not_ask_for_are_a_programming_error():
    prompt = make_prompt("p", "---\n{post}")
    with pytest.raises(ValueError, match="takes"):
        prompt.render({"text": "x"})
    assert parse('{"answer": "x"}') == "x" and PROMPT.placeholders == {"post"}


@pytest.mark.parametrize("package", ["httpx2", "tenacity"])
def test_a_package_that_is_missing_is_told_with_its_cure(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(TrifacetError, match=rf"needs {package}, which .* pip install 'trifacet\[evaluate\]'"):
        Endpoint("judge", Model(base_url="http://127.0.0.1:9/v1", model="m"))
