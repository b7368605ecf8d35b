"""What cannot be served is refused by its name, whatever is sent; and the server goes on."""

import base64
import io
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

SAID = [{"role": "user", "content": "Which?"}]
GOOD = {"model": "base", "messages": SAID, "max_tokens": 2}


def post(served, body, kind="application/json", path="/v1/chat/completions", headers=()):
    """Status and answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{served.address}{path}", data, {"Content-Type": kind, **dict(headers)})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def until_idle(served):
    """Every request has left its place; the last one's a moment after its answer."""
    end = time.monotonic() + 20
    while served.desk.scheduler.load != (0, 0):
        assert time.monotonic() < end
        time.sleep(0.02)


def pictured(url, **more):
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url, **more}}]}]


def schema(**given):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": given}}}


def as_url(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


UNSUPPORTED = {
    "tools": [{"type": "function", "function": {"name": "x"}}],
    "tool_choice": "required",
    "functions": [{"name": "x"}],
    "function_call": "auto",
    "audio": {"voice": "alloy"},
    "modalities": ["text", "audio"],
    "logit_bias": {"50256": -100},
    "frequency_penalty": 0.5,
    "presence_penalty": 1,
    "prediction": {"type": "content", "content": "x"},
    "reasoning_effort": "low",
    "service_tier": "flex",
    "store": True,
    "verbosity": "low",
    "web_search_options": {},
    "moderation": {"model": "omni-moderation-latest"},
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit"},
}
UNKNOWN = {"top_k": 5, "repetition_penalty": 1.2, "ignore_eos": True, "use_beam_search": True, "N": 2, "foo.bar\n": 1}
INVALID = [  # what is changed, the field that is named, words of the message
    ({"n": 0}, "n", "greater"),
    ({"n": 17}, "n", "16"),
    ({"n": True}, "n", "integer"),
    ({"n": 10**30}, "n", "16"),
    ({"n": "2"}, "n", "integer"),
    ({"n": 1.5}, "n", "integer"),
    ({"temperature": -0.1}, "temperature", "greater"),
    ({"temperature": 2.1}, "temperature", "2"),
    ({"temperature": 1e-9}, "temperature", "at least"),
    ({"temperature": "hot"}, "temperature", "number"),
    ({"top_p": 0}, "top_p", "greater"),
    ({"top_p": 1.01}, "top_p", "1"),
    ({"seed": -1}, "seed", "greater"),
    ({"seed": 2**63}, "seed", "less"),
    ({"max_tokens": 0}, "max_tokens", "greater"),
    ({"max_tokens": 1025}, "max_tokens", "1024"),
    ({"max_tokens": None, "max_completion_tokens": 4096}, "max_completion_tokens", "1024"),
    ({"max_completion_tokens": 3}, None, "differ"),
    ({"top_logprobs": 3}, None, "needs logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "20"),
    ({"logprobs": 1}, "logprobs", "boolean"),
    ({"stop": ["a"] * 5}, "stop", "4"),
    ({"stop": [""]}, "stop[0]", "at least 1"),
    ({"stop": ["x" * 201]}, "stop[0]", "200"),
    ({"stop": 7}, "stop", "list"),
    ({"stream": "yes"}, "stream", "boolean"),
    ({"stream_options": {"include_usage": True}}, None, "needs stream"),
    ({"stream": True, "stream_options": {"chunk": 1}}, "stream_options.chunk", "not a field"),
    ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation", "False"),
    ({"user": 7}, "user", "string"),
    ({"user": "x" * 600}, "user", "512"),
    ({"metadata": {"a": 1}}, "metadata.a", "string"),
    ({"metadata": {str(number): "" for number in range(17)}}, "metadata", "16"),
    ({"response_format": {"type": "xml"}}, "response_format", "xml"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing"),
    ({"response_format": "json"}, "response_format", ""),
    (schema(type="nothing"), "response_format", "nothing"),
    (schema(type="object", **{"not": {}}), "response_format", "not"),
    (schema(**{"$ref": "https://example.org/x.json"}), "response_format", "example.org"),
    (schema(**{"$ref": "file:///etc/passwd"}), "response_format", "passwd"),
    (schema(type="string", pattern="a("), "response_format", "regex"),
    (schema(**{"x-guidance": {"lenient": True}}), "response_format.json_schema.schema", "x-guidance"),
    (schema(properties={"a": {"x-guidance": {"lenient": True}}}), "response_format.json_schema.schema", "x-guidance"),
    (
        schema(anyOf=[{"type": "array", "prefixItems": [{"x-guidance": 1}]}]),
        "response_format.json_schema.schema",
        "x-gu",
    ),
    (schema(**{"$ref": "#/$defs/a", "$defs": {"a": {"x-guidance": {}}}}), "response_format.json_schema.schema", "x-gu"),
    (schema(type="string", maxlength=3), "response_format.json_schema.schema", "maxlength"),
    (schema(type="string", nullable=True), "response_format.json_schema.schema", "null"),
    (schema(type="object", additionalProperties={"\x1b[2J": 1}), "response_format.json_schema.schema", "no keyword"),
    (schema(**{"$ref": "#"}), "response_format", "NoExtension"),
    (schema(type="string", pattern="\x1b[2J("), "response_format", "regex"),
    (schema(type="integer", multipleOf=9_999_991), "response_format", "takes more than"),
    (schema(type="array", uniqueItems=True), "response_format", "uniqueItems"),
    (schema(description="x" * 70_000), "response_format.json_schema.schema", "65536"),
    ({"model": None}, "model", "string"),
    ({"model": 7}, "model", "string"),
    ({"messages": []}, "messages", "at least 1"),
    ({"messages": SAID * 65}, "messages", "64"),
    ({"messages": "Which?"}, "messages", "list"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "user"),
    ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "list"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content", "at least 1"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "missing"),
    ({"messages": [{"role": "user", "content": "x", "name": "ada"}]}, "messages[0].name", "not a field"),
    ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "messages[0].content[0]", "audio"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages[0].content[0].text", ""),
    ({"messages": [*SAID, {"role": "assistant", "content": "It is"}]}, None, "not continued"),
    ({"messages": [*SAID, {"role": "system", "content": "x"}, *SAID]}, None, "put it first"),
    ({"messages": [{**pictured("data:")[0], "role": "assistant"}, *SAID]}, "messages[0]", "user"),
    ({"messages": [*SAID, {"role": "assistant", "content": "x"}, *SAID], "post": "y"}, None, "post"),
    ({"post": 5}, "post", "string"),
    ({"messages": [{"role": "user", "content": "word " * 4000}]}, "messages", "more than the model"),
    ({"messages": [{"role": "user", "content": "word " * 30_000}], "post": "word " * 20_000}, None, "200000"),
]
PICTURES = [
    (pictured("data:image/png;base64,AAAA"), "known format"),
    (pictured("data:image/png;base64,A*A"), "base64"),
    (pictured("data:text/html;base64,PGI+"), "data:image"),
    (pictured("file:///etc/passwd"), "data:image"),
    (pictured("/etc/passwd"), "data:image"),
    (pictured("http://127.0.0.1:1/x.png"), "--remote-pictures"),
    (pictured("https://example.org/x.png"), "--remote-pictures"),
    (pictured(""), "at least 1"),
    (pictured("data:image/png;base64,AAAA", detail="low"), "write auto"),
    (pictured("data:image/png;base64,AAAA", detail=3), "string"),
    (pictured("data:image/png;base64,AAAA", size=3), "not a field"),
]


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_field_that_is_not_supported_is_refused_by_its_name(served, name):
    status, told = post(served, GOOD | {name: UNSUPPORTED[name]})
    assert (status, told["error"]["param"], told["error"]["code"]) == (400, name, "unsupported_parameter")
    assert name in told["error"]["message"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_field_is_refused_by_its_name(served, name):
    status, told = post(served, GOOD | {name: UNKNOWN[name]})
    assert (status, told["error"]["code"]) == (400, "unknown_parameter")
    assert name.strip() in told["error"]["message"] and "\n" not in told["error"]["message"]
    assert post(served, GOOD | {name: None})[0] == 400


@pytest.mark.parametrize(("change", "param", "words"), INVALID, ids=[str(n) for n in range(len(INVALID))])
def test_a_wrong_value_is_refused_by_its_field(served, change, param, words):
    status, told = post(served, GOOD | change)
    assert (status, told["error"]["param"]) == (400, param), told
    assert words in told["error"]["message"] and len(told["error"]["message"]) < 500
    assert told["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(("messages", "words"), PICTURES, ids=[words for _, words in PICTURES])
def test_a_picture_that_is_none_is_refused(served, messages, words):
    status, told = post(served, GOOD | {"messages": messages})
    assert status == 400 and words in told["error"]["message"]
    assert told["error"]["param"].startswith("messages[0].content[0].image_url")


def test_fields_may_be_there_with_the_value_that_does_nothing(served):
    """As front ends send them: LibreChat names the user, others send every field with its default."""
    neutral = {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "tools": [], "store": False,
               "tool_choice": "auto", "parallel_tool_calls": True, "stop": None, "seed": None, "response_format": None,
               "top_logprobs": None, "stream_options": None, "service_tier": "auto", "functions": [],
               "function_call": "none", "verbosity": "medium", "reasoning_effort": "none",
               "moderation": None}  # fmt: skip
    labels = {"user": "ada", "metadata": {"app": "x"}, "safety_identifier": "h", "prompt_cache_key": "k"}
    plain = post(served, GOOD)[1]["choices"]
    for more in (neutral, labels, neutral | labels | {"user": None, "metadata": None}):
        status, told = post(served, GOOD | more)
        assert status == 200 and told["choices"] == plain, told
    assert post(served, GOOD | {"frequency_penalty": False})[0] == 400


def test_what_a_picture_may_say_of_itself(served, shown):
    url = f"data:image/png;base64,{base64.b64encode((shown / '0.png').read_bytes()).decode()}"
    plain = post(served, GOOD | {"messages": pictured(url)})
    assert plain[0] == 200
    for detail in ("auto", None):
        assert post(served, GOOD | {"messages": pictured(url, detail=detail)})[1]["choices"] == plain[1]["choices"]


def test_a_schema_may_call_things_what_it_likes(served):
    """Keywords are looked at where keywords stand: not among names of properties, values and remarks."""
    wanted = schema(
        type="object",
        properties={"x-guidance": {"const": {"nullable": 1}, "title": "t", "x-order": 3}},
        required=["x-guidance"], additionalProperties=False, default={"x-guidance": 1}, examples=[{"foo": 1}],
    )  # fmt: skip
    status, told = post(served, GOOD | {"max_tokens": 100} | wanted)
    assert status == 200 and json.loads(told["choices"][0]["message"]["content"]) == {"x-guidance": {"nullable": 1}}


def test_a_schema_that_costs_hours_costs_seconds(served):
    """It is read where it can be ended: others are answered meanwhile, and the server's memory is its own."""
    began = time.monotonic()
    with ThreadPoolExecutor(5) as pool:
        costly = [pool.submit(post, served, GOOD | schema(type="integer", multipleOf=number))
                  for number in (9_999_991, 9_999_973, 9_999_971, 9_999_943)]  # fmt: skip
        time.sleep(0.5)
        assert post(served, GOOD)[0] == 200
        assert sum(one.done() for one in costly) < 3
        assert {one.result()[1]["error"]["code"] for one in costly} == {"unsupported_schema"}
    assert time.monotonic() - began < 120
    until_idle(served)


def test_a_message_of_an_answer_is_taken_as_it_came(served, turn):
    client = served.client()
    asked = turn(0, text="Which town?")
    answer = client.chat.completions.create(model="base", messages=asked, max_tokens=4).choices[0].message
    rest = turn(text="And who?")
    whole = client.chat.completions.create(model="base", messages=[*asked, answer, *rest], max_tokens=4)
    bare = {"role": "assistant", "content": answer.content}
    again = client.chat.completions.create(model="base", messages=[*asked, bare, *rest], max_tokens=4)
    assert whole.choices == again.choices and whole.usage == again.usage
    status, told = post(served, GOOD | {"messages": [*asked, bare | {"refusal": "No."}, *rest]})
    assert status == 400 and told["error"]["param"] == "messages[1].refusal"


def test_hostile_bodies_are_refused(served):
    deep = b'{"model":"base","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    twice = b'{"model":"base","model":"first","messages":[]}'
    said = json.dumps(SAID).encode()
    nan = b'{"model":"base","messages":%s,"temperature":NaN}' % said
    for body in (b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe", b"\x00", deep, twice, nan,
                 b'{"model":"base","messages":%s,"n":1e999}' % said,
                 b'{"model":"base","messages":%s,"n":%s}' % (said, b"9" * 5000),
                 b'{"model":"base","messages":[{"role":"user","content":"\\ud800"}]}',
                 b'{"model":"base","messages":%s,"response_format":{"type":"json_schema","json_schema":'
                 b'{"name":"x","schema":{"const":NaN}}}}' % said):  # fmt: skip
        status, told = post(served, body)
        assert status == 400 and told["error"]["message"], body[:80]
    assert post(served, GOOD)[0] == 200
    assert not served.told


def test_hostile_pictures_are_refused_and_cost_little(serving, base, shown):
    served = serving({"base": str(base)}, max_pixels=200_000, max_pictures=2)
    frames = [Image.new("RGB", (8, 8), (number, 0, 0)) for number in range(3)]
    whole = (shown / "0.png").read_bytes()
    cut = f"data:image/png;base64,{base64.b64encode(whole[: len(whole) // 2]).decode()}"
    for url, words in (
        (as_url(Image.new("1", (20_000, 20_000)), optimize=True), "is too large"),
        (as_url(Image.new("RGB", (500, 500))), "more than the limit of 200000"),
        (as_url(frames[0], "GIF", save_all=True, append_images=frames[1:]), "animated"),
        (cut, "damaged"),
        (f"data:image/svg+xml;base64,{base64.b64encode(b'<svg/>').decode()}", "known format"),
    ):
        status, told = post(served, GOOD | {"messages": pictured(url)})
        assert (status, told["error"]["code"]) == (400, "invalid_image"), told
        assert words in told["error"]["message"]
    good = as_url(Image.new("RGB", (40, 30)))
    three = [{"role": "user", "content": pictured(good)[0]["content"] * 3}]
    status, told = post(served, GOOD | {"messages": three})
    assert status == 400 and "at most 2" in told["error"]["message"]
    assert post(served, GOOD | {"messages": pictured(good)})[0] == 200


def test_a_body_is_bounded_and_has_its_type(serving, base):
    served = serving({"base": str(base)}, max_body=2000)
    long = GOOD | {"messages": [{"role": "user", "content": "x" * 3000}]}
    assert post(served, long)[0] == 413
    request = urllib.request.Request(f"{served.address}/v1/chat/completions", iter([b"{" * 1500] * 2),
                                     {"Content-Type": "application/json"})  # fmt: skip
    with pytest.raises(urllib.error.HTTPError) as error:  # in pieces, which tell no length
        urllib.request.urlopen(request, timeout=60)
    assert error.value.code == 413
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        status, told = post(served, GOOD, kind)
        assert (status, told["error"]["code"]) == (415, "unsupported_media_type")
    assert post(served, GOOD, "application/json; charset=utf-8")[0] == 200
    until_idle(served)


def test_an_unknown_model_and_an_unknown_address_say_so(served):
    status, told = post(served, GOOD | {"model": "gpt-4o"})
    assert status == 404 and "base, first, second" in told["error"]["message"]
    assert told["error"]["code"] == "model_not_found"
    status, told = post(served, {}, path="/v1/completions")
    assert (status, told["error"]["code"]) == (404, "not_found")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{served.address}/v1/chat/completions", timeout=60)
    assert error.value.code == 405


def test_a_remote_picture_is_fetched_by_the_rules_of_downloads(serving, base):
    served = serving({"base": str(base)}, remote_pictures=True)
    for url in ("http://127.0.0.1:1/x.png", "http://[::1]/x.png", "http://169.254.169.254/latest", "http://a:b@x/y",
                "http://0/x.png"):  # fmt: skip
        status, told = post(served, GOOD | {"messages": pictured(url)})
        assert status == 400 and told["error"]["param"] == "messages[0].content[0].image_url", (url, told)
        assert "address not allowed" in told["error"]["message"] or "download failed" in told["error"]["message"]


def test_a_remote_picture_shows_what_it_would_as_a_data_url(serving, base, shown, monkeypatch):
    from trifacet.building import addresses

    monkeypatch.setattr(addresses, "is_public", lambda address: True)  # the picture lies on this machine
    served = serving({"base": str(base)}, remote_pictures=True)
    data = (shown / "1.png").read_bytes()
    handler = type("Handler", (BaseHTTPRequestHandler,), {
        "do_GET": lambda self: (self.send_response(200), self.end_headers(), self.wfile.write(data)),
        "log_message": lambda self, *said: None,
    })  # fmt: skip
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as pictures:
        threading.Thread(target=pictures.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{pictures.server_port}/1.png"
        status, told = post(served, GOOD | {"messages": pictured(url)})
        pictures.shutdown()
    assert status == 200, told
    local = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    assert told["choices"] == post(served, GOOD | {"messages": pictured(local)})[1]["choices"]


def test_pictures_that_do_not_come_keep_nobody_waiting(serving, base, shown, monkeypatch):
    """A host that takes connections and says nothing: its requests hold no place, are bounded, and are given up."""
    from trifacet.building import addresses
    from trifacet.serving import desk, pictures

    monkeypatch.setattr(addresses, "is_public", lambda address: True)  # the host is this machine
    monkeypatch.setattr(pictures, "_SECONDS", 60.0)
    monkeypatch.setattr(desk, "_FETCH_SECONDS", 60.0)
    served = serving({"base": str(base)}, remote_pictures=True, at_a_time=1, queue=1)
    local = f"data:image/png;base64,{base64.b64encode((shown / '1.png').read_bytes()).decode()}"
    with ThreadPoolExecutor(17) as pool:
        with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.png"
            slow = [pool.submit(post, served, GOOD | {"messages": pictured(f"{url}?{number}")}) for number in range(17)]
            end = time.monotonic() + 20
            while not any(one.done() for one in slow):  # the seventeenth, that is one too many
                assert time.monotonic() < end
                time.sleep(0.02)
            assert served.desk.scheduler.load == (0, 0)
            for _ in range(3):
                assert post(served, GOOD | {"messages": pictured(local)})[0] == 200
            assert sum(one.done() for one in slow) == 1
            monkeypatch.setattr(desk, "_FETCH_SECONDS", 0.5)
            status, told = post(served, GOOD | {"messages": pictured(url)})
            assert status == 429, told
        answers = [one.result() for one in slow]  # the host is gone
    assert sorted(status for status, _ in answers) == [400] * 16 + [429]
    until_idle(served)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.png"
        status, told = post(served, GOOD | {"messages": pictured(url)})
        assert status == 400 and "within 0.5 seconds" in told["error"]["message"]


def test_pictures_that_are_fetched_have_together_the_bytes_of_a_body(serving, base, monkeypatch):
    from trifacet.building import addresses

    monkeypatch.setattr(addresses, "is_public", lambda address: True)
    served = serving({"base": str(base)}, remote_pictures=True, max_body=4000)
    files = []
    for seed in range(2):
        buffer = io.BytesIO()
        Image.effect_noise((50, 50), 60 + seed).save(buffer, "PNG")
        files.append(buffer.getvalue())
    assert all(2000 < len(data) < 4000 for data in files)
    handler = type("Handler", (BaseHTTPRequestHandler,), {
        "do_GET": lambda self: (
            self.send_response(200), self.end_headers(), self.wfile.write(files[int(self.path[1])])),
        "log_message": lambda self, *said: None,
    })  # fmt: skip
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as there:
        threading.Thread(target=there.serve_forever, daemon=True).start()
        parts = [pictured(f"http://127.0.0.1:{there.server_port}/{number}")[0]["content"][0] for number in range(2)]
        one, both = (
            post(served, GOOD | {"messages": [{"role": "user", "content": parts[:count]}]}) for count in (1, 2)
        )
        there.shutdown()
    assert one[0] == 200, one
    assert (both[0], both[1]["error"]["code"]) == (413, "request_too_large"), both
    until_idle(served)
