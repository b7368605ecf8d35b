"""More requests than there is room for, askers that leave, memory that runs out, and the end: nothing is lost."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from trifacet.engine.growing import Grove
from trifacet.serving import app

LONG = 500  # tokens: longer than a test waits
FOREVER = {"type": "json_schema", "json_schema": {"name": "x", "schema": {
    "type": "array", "items": {"type": "boolean"}, "minItems": 20_000}}}  # fmt: skip


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)
    return found


def body(messages, **others):
    return {"model": "base", "messages": messages, "max_tokens": 6} | others


def send(served, asked, timeout=60):
    return httpx.post(f"{served.address}/v1/chat/completions", json=asked, timeout=timeout)


def idle(served):
    return until(lambda: served.desk.scheduler.load == (0, 0))


@pytest.fixture(scope="module")
def endless(serving, tmp_path_factory, base):
    """Starts servers of a model whose texts do not end by themselves, as far as anybody waits."""
    import shutil

    folder = tmp_path_factory.mktemp("endless") / "model"
    shutil.copytree(base, folder)
    return lambda **limits: serving({"base": str(folder)}, max_tokens=100_000, **limits)


@pytest.fixture
def slow(monkeypatch):
    """Every token takes a while."""
    grow = Grove.grow

    def slowly(self, leaves, tokens):
        time.sleep(0.02)
        return grow(self, leaves, tokens)

    monkeypatch.setattr(Grove, "grow", slowly)


def test_beyond_the_queue_is_429_and_all_others_are_answered(serving, base, turn, slow):
    served = serving({"base": str(base)}, at_a_time=2, queue=3)
    with ThreadPoolExecutor(16) as pool:
        asked = [body(turn(number % 6, text=f"Which {number}?"), max_tokens=20) for number in range(16)]
        answers = list(pool.map(lambda one: send(served, one), asked))
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 429} and codes.count(200) >= 5
    for answer in answers:
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
            assert answer.json()["error"]["code"] == "queue_full"
    idle(served)
    refused = [one for one, code in zip(asked, codes, strict=True) if code == 429]
    again = [send(served, one) for one in refused]  # those that were sent away may come back
    assert {answer.status_code for answer in again} == {200}
    page = httpx.get(f"{served.address}/metrics").text
    counted = re.findall(r'trifacet_requests_total\{model="\w*",status="429"\} (\S+)', page)
    assert sum(map(float, counted)) == codes.count(429)
    assert 'trifacet_requests_total{model="base",status="200"} 16.0' in page


def test_rows_that_are_free_are_taken_by_what_waits(serving, base, turn, slow):
    """A short request does not wait for a long one that is being written."""
    served = serving({"base": str(base)}, at_a_time=2, queue=8, max_tokens=LONG)
    with ThreadPoolExecutor(6) as pool:
        long = pool.submit(send, served, body(turn(0, text="Long?"), max_tokens=LONG, response_format=FOREVER))
        until(lambda: served.desk.scheduler.load.running == 1)
        short = [pool.submit(send, served, body(turn(number, text="Short?"))) for number in range(1, 5)]
        assert [one.result().status_code for one in short] == [200] * 4
        assert not long.done()
        assert long.result().status_code == 200


@pytest.mark.parametrize("stream", [True, False])
def test_who_leaves_is_not_written_for(endless, turn, slow, stream):
    served = endless(at_a_time=1, queue=4)
    asked = body(turn(0, text="Long?"), max_tokens=1900, temperature=2.0, seed=1, stream=stream,
                 response_format=FOREVER)  # fmt: skip
    if stream:
        with httpx.stream("POST", f"{served.address}/v1/chat/completions", json=asked, timeout=60) as answer:
            next(answer.iter_lines())
            assert served.desk.scheduler.load.running == 1
    else:
        with pytest.raises(httpx.ReadTimeout):
            send(served, asked, timeout=1.5)
    idle(served)
    assert send(served, body(turn(1, text="Which?"))).status_code == 200
    page = httpx.get(f"{served.address}/metrics").text
    assert 'status="499"' in page


def test_who_leaves_the_queue_is_never_written_for(endless, turn, slow):
    served = endless(at_a_time=1, queue=4)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, served, body(turn(0, text="Long?"), max_tokens=150, stop=["never"]))
        until(lambda: served.desk.scheduler.load.running == 1)
        with pytest.raises(httpx.ReadTimeout):
            send(served, body(turn(1, text="Which?")), timeout=0.5)
        until(lambda: served.desk.scheduler.load.waiting == 0)
        assert first.result().status_code == 200
    assert served.encoded() == 1


def test_what_takes_too_long_is_504_and_frees_its_row(endless, turn, slow):
    served = endless(at_a_time=1, queue=4, timeout=1.0)
    answer = send(served, body(turn(0, text="Long?"), max_tokens=1900, response_format=FOREVER))
    assert answer.status_code == 504 and answer.json()["error"]["code"] == "timeout"
    idle(served)
    streamed = send(served, body(turn(0, text="Long?"), max_tokens=1900, response_format=FOREVER, stream=True))
    events = [line for line in streamed.text.splitlines() if line]
    assert streamed.status_code == 200 and "within 1 seconds" in events[-1] and len(events) > 2
    idle(served)
    assert 'trifacet_requests_total{model="base",status="504"} 2.0' in httpx.get(f"{served.address}/metrics").text
    assert send(served, body(turn(1, text="Which?"))).status_code == 200


def dribbled(served, ended, seconds=0.05):
    """A client that sends its request byte by byte, as long as it may; what it was answered at last."""
    sent = json.dumps(body([{"role": "user", "content": "Which?"}])).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with socket.create_connection(served.bound.getsockname(), timeout=20) as client:
        client.sendall(f"{head}Content-Length: {len(sent) + 5000}\r\n\r\n".encode())
        with suppress(OSError):
            for byte in sent + b" " * 5000:
                client.sendall(bytes([byte]))
                client.settimeout(seconds)
                with suppress(TimeoutError):
                    return client.recv(100)
                if ended.is_set():
                    return b""
    return b""


def test_who_sends_slowly_takes_no_place(serving, base, turn, monkeypatch):
    monkeypatch.setattr(app, "_BODY_SECONDS", 3.0)
    served = serving({"base": str(base)}, at_a_time=1, queue=0)
    ended = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        slow = [pool.submit(dribbled, served, ended) for _ in range(8)]
        until(lambda: served.desk.arrivals == 8)
        try:
            for number in range(3):
                assert send(served, body(turn(number, text="Which?"))).status_code == 200
        finally:
            answers = [one.result() for one in slow]
            ended.set()
    assert all(b" 408 " in answer for answer in answers), answers
    until(lambda: served.desk.arrivals == 0)
    idle(served)


def test_a_body_that_does_not_come_is_given_up(serving, base, monkeypatch):
    monkeypatch.setattr(app, "_BODY_SECONDS", 0.3)
    served = serving({"base": str(base)})
    with socket.create_connection(served.bound.getsockname(), timeout=20) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                       b"Content-Length: 500\r\n\r\n{")  # fmt: skip
        assert b" 408 " in client.makefile("rb").readline()
    idle(served)


def test_what_is_on_its_way_is_bounded(serving, base, turn):
    """Bodies that begin and do not end: beyond so many bytes the next is told to come again, and later it may."""
    served = serving({"base": str(base)}, max_body=1000)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    begun = []
    try:
        for _ in range(8):
            begun.append(socket.create_connection(served.bound.getsockname(), timeout=20))
            begun[-1].sendall(head + b"Content-Length: 1000\r\n\r\n" + b" " * 999)
        until(lambda: served.desk.arriving_bytes == 8 * 999)
        small = body([{"role": "user", "content": "Which?"}])
        answer = send(served, small)
        assert answer.status_code == 429 and answer.headers["Retry-After"]
    finally:
        for one in begun:
            one.close()
    until(lambda: served.desk.arriving_bytes == 0)
    assert send(served, small).status_code == 200
    idle(served)


def test_where_memory_runs_out_half_as_many_go_on_and_the_texts_are_the_same(serving, base, turn, monkeypatch):
    served = serving({"base": str(base)}, at_a_time=8, queue=32)
    asked = [
        body(turn(number, text="Which?"), n=2, temperature=1.0, seed=number, max_tokens=12, stream=number % 2 == 0)
        for number in range(6)
    ]

    def said(one):
        answer = send(served, one)
        assert answer.status_code == 200, answer.text
        if not one["stream"]:
            return [choice["message"]["content"] for choice in answer.json()["choices"]]
        texts = ["", ""]
        for line in answer.text.splitlines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    texts[choice["index"]] += choice["delta"].get("content", "")
        return texts

    alone = [said(one) for one in asked]
    grow = Grove.grow

    def short_of_memory(self, leaves, tokens):
        if len({leaf.row for leaf in leaves}) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate a lot")
        return grow(self, leaves, tokens)

    monkeypatch.setattr(Grove, "grow", short_of_memory)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(said, asked)) == alone
    assert served.told and all("no memory left: going on with" in line for line in served.told)
    idle(served)


def test_what_is_too_large_alone_fails_alone(serving, base, turn, monkeypatch):
    """Where memory runs out with one row too, who is being written fails, and who is written next does not."""
    served = serving({"base": str(base)}, at_a_time=4, queue=16, timeout=15)
    large = body(turn(0, text="Which?"), n=12, temperature=1.0, seed=1, max_tokens=12)
    others = [body(turn(number, text="Which?"), max_tokens=30) for number in (1, 2, 3)]
    alone = [send(served, one).json()["choices"] for one in others]
    grow, plant = Grove.grow, Grove.plant

    def short_of_memory(self, leaves, tokens):
        time.sleep(0.02)
        if len(leaves) >= 12:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate a lot")
        return grow(self, leaves, tokens)

    def slowly(self, planted):
        time.sleep(0.05)
        return plant(self, planted)

    monkeypatch.setattr(Grove, "grow", short_of_memory)
    monkeypatch.setattr(Grove, "plant", slowly)
    for _ in range(4):  # the order in which they are taken up again is by chance
        with ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(send, served, one) for one in [*others[:1], large, *others[1:]]]
            first, failed, *rest = [one.result() for one in answers]
        assert failed.status_code == 500 and failed.json()["error"]["code"] == "no_memory", failed.text
        assert [one.json().get("choices") for one in (first, *rest)] == alone
    idle(served)


NO_WAY_ON = {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}, "required": ["a"]}
TOO_COMPLEX = {"type": "object", "properties": {f"p{number}": {"type": "integer"} for number in range(900)}}


def test_a_schema_that_leads_nowhere_fails_alone(endless, turn, slow):
    """Where no token is allowed a draw has no number to take: others, beside which it is written, are not to notice."""
    served = endless(at_a_time=4, queue=8)
    beside = body(turn(0, text="Long?"), max_tokens=60, response_format=FOREVER)
    alone = send(served, beside).json()["choices"]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, served, beside)
        until(lambda: served.desk.scheduler.load.running == 1)
        for schema, words in ((NO_WAY_ON, "NoExtension"), (TOO_COMPLEX, "max is 2000")):
            asked = {"type": "json_schema", "json_schema": {"name": "none", "schema": schema}}
            for how in ({}, {"temperature": 1.0, "n": 3, "logprobs": True, "stream": True}):
                answer = send(served, body(turn(1, text="Which?"), max_tokens=40, response_format=asked, **how))
                assert answer.status_code in ((200, 400) if how else (400,)), answer.text  # a stream may have begun
                assert "constraint_failed" in answer.text and words in answer.text, answer.text
                assert "<state>" not in answer.text and len(answer.text) < 9000
        assert first.result().json()["choices"] == alone
    assert not served.told


def test_a_model_that_fails_is_a_500_and_the_next_is_served(serving, base, turn, monkeypatch):
    served = serving({"base": str(base)})
    with monkeypatch.context() as broken:
        broken.setattr(Grove, "plant", lambda self, planted: 1 / 0)
        answer = send(served, body(turn(0, text="Which?")))
    assert answer.status_code == 500 and answer.json()["error"]["code"] == "internal_error"
    assert "ZeroDivisionError" not in answer.text and "ZeroDivisionError" in served.told[0]
    assert send(served, body(turn(0, text="Which?"))).status_code == 200


class Command:
    """``trifacet serve`` as a process; ``address`` as it printed it."""

    def __init__(self, *arguments, **environment):
        paths = os.pathsep.join(path for path in sys.path if path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trifacet", "serve", "--port", "0", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"} | environment,
        )  # fmt: skip
        self.line = self.process.stdout.readline()
        found = re.search(r"http://[\w.:]+", self.line)
        assert found, self.process.communicate(timeout=60)
        self.address = found[0]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        return self.process.communicate(timeout=60)


def test_sigterm_lets_what_is_written_come_to_its_end(base, turn):
    token = "a-token-of-this-test-0123456789"
    command = Command("--model", f"base={base}", TRIFACET_SERVE_TOKEN=token)
    bearing = {"Authorization": f"Bearer {token}"}
    try:
        schema = {"type": "array", "items": {"type": "boolean"}, "minItems": 60, "maxItems": 60}
        asked = body(turn(0, text="Which?"), max_tokens=1000, stream=True, response_format={
            "type": "json_schema", "json_schema": {"name": "x", "schema": schema}})  # fmt: skip
        address = f"{command.address}/v1/chat/completions"
        with httpx.stream("POST", address, json=asked, headers=bearing, timeout=60) as answer:
            lines = answer.iter_lines()
            got = [next(lines) for _ in range(4)]
            command.process.send_signal(signal.SIGTERM)
            until(lambda: httpx.get(f"{command.address}/health").status_code == 503)
            refused = httpx.post(address, json=body(turn(1, text="Which?")), headers=bearing)
            assert refused.status_code == 503 and refused.json()["error"]["code"] == "stopping"
            assert int(refused.headers["Retry-After"]) > 0
            got += lines
        assert got[-2] == "data: [DONE]" or "data: [DONE]" in got
        pieces = [json.loads(line[6:])["choices"][0]["delta"].get("content", "") for line in got
                  if line.startswith("data: {")]  # fmt: skip
        assert len(json.loads("".join(pieces))) == 60
        assert command.process.wait(30) == 0
    finally:
        said = command.line + "".join(command.end())
    assert "stopped" in said and token not in said and "Traceback" not in said


@pytest.mark.parametrize("what", ["leaves", "again"])
def test_a_stop_waits_for_nobody_who_left_and_not_after_a_second_signal(base, turn, what):
    """Amid a stream that would go on for long: its client hangs up, or whoever started the server insists."""
    command = Command("--model", f"base={base}", "--max-tokens", 100_000, "--timeout", 600)
    try:
        asked = body(
            turn(0, text="Which?"), n=16, temperature=2.0, max_tokens=1800, stream=True, response_format=FOREVER
        )
        with httpx.stream("POST", f"{command.address}/v1/chat/completions", json=asked, timeout=60) as answer:
            lines = answer.iter_lines()
            for _ in range(4):
                next(lines)
            command.process.send_signal(signal.SIGTERM)
            until(lambda: httpx.get(f"{command.address}/health").status_code == 503)
            time.sleep(0.3)
            assert command.process.poll() is None  # it waits for the stream
            if what == "again":
                command.process.send_signal(signal.SIGTERM)
                command.process.wait(30)
        code = command.process.wait(30)
    finally:
        said = command.line + "".join(command.end())
    assert code == 0 and "Traceback" not in said, said


def test_not_on_loopback_it_wants_a_token(base, tmp_path, trifacet, monkeypatch):
    monkeypatch.delenv("TRIFACET_SERVE_TOKEN", raising=False)
    code, _, said = trifacet("serve", "--model", base, "--host", "0.0.0.0", "--port", "0")
    assert code == 2 and "must bear a token" in said and "TRIFACET_SERVE_TOKEN" in said
    for text in ("", "short", "with a blank in the middle of it", "ünicode-ünicode-ünicode", "x" * 5000):
        (tmp_path / "token").write_text(text)
        code, _, said = trifacet("serve", "--model", base, "--token-file", tmp_path / "token", "--port", "0")
        assert code == 2 and (not text or text[:40] not in said)
    assert trifacet("serve", "--model", tmp_path / "none", "--port", "0")[0] == 2
    code, _, said = trifacet("serve", "--model", base, "--model", base, "--port", "0")
    assert code == 2 and "name them apart" in said


def test_what_lacks_the_token_is_refused(serving, base, turn):
    token = "sesame-sesame-sesame"
    served = serving({"base": str(base)}, token=token)
    for path in ("/v1/models", "/metrics", "/v1/models/base", "/suggestions", "/nowhere"):
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": token},
                        {"Authorization": f"Bearer {token}x"}, {"Authorization": f"bearer {token}"}):  # fmt: skip
            answer = httpx.get(f"{served.address}{path}", headers=headers)
            assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
            assert token not in answer.text
    assert httpx.get(f"{served.address}/health").status_code == 200
    assert httpx.get(f"{served.address}/").status_code == 200
    assert token not in httpx.get(f"{served.address}/").text
    assert [one.id for one in served.client(token).models.list()] == ["base"]
    answer = served.client(token).chat.completions.create(model="base", messages=turn(0, text="Which?"), max_tokens=3)
    assert answer.usage.completion_tokens


def test_a_strange_name_reaches_nothing(served):
    answer = httpx.get(f"{served.address}/v1/models", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert "default-src 'none'" in httpx.get(f"{served.address}/").headers["Content-Security-Policy"]


def test_requests_of_one_model_do_not_keep_out_those_of_another(served, turn, slow):
    """While one model's requests keep coming, another's gets its turn."""
    done = threading.Event()

    def keep_asking(number):
        while not done.is_set():
            send(served, body(turn(number % 3, text="Which?"), max_tokens=10))

    with ThreadPoolExecutor(4) as pool:
        for number in range(4):
            pool.submit(keep_asking, number)
        until(lambda: served.desk.scheduler.load.running)
        try:
            answer = send(served, body(turn(4, text="Which?"), model="second", max_tokens=10), timeout=30)
        finally:
            done.set()
    assert answer.status_code == 200
    idle(served)
