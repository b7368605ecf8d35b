"""An OpenAI-compatible endpoint on loopback that answers as it is told to, and fails on demand.

Invariant: whether a request fails, and how, depends on (seed, its messages, how often these came before), never on
time or order; the same messages fail ``Faults.most`` times at most, so that who asks again gets an answer in the end.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from PIL import Image

from trifacet.base.digests import json_digest
from trifacet.llm.estimate import image_tokens, text_tokens

Messages = list[dict[str, Any]]
TRANSPORT = ("408", "429", "429 retry-after", "429 until", "500", "503", "slow", "dropped", "dropped half", "cut json")
CONTENT = ("empty", "refusal", "gibberish", "cut off", "filtered", "fenced", "chatter")
FAULT_KINDS = TRANSPORT + CONTENT
MAX_BODY = 50_000_000
REFUSAL = "I'm sorry, but I can't help with that request."
GIBBERISH = '}{ lorem \u2028 {{"answer": ipsum'


@dataclass(frozen=True)
class Faults:
    """How often which fault happens: shares of the requests by kind (see KINDS), together 1 at most."""

    shares: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    most: int = 3  # the same messages fail so often at most
    slow: float = 1.0  # seconds until a slow answer breaks off
    retry_after: float = 0.2  # seconds that "429 retry-after" and "429 until" ask for

    @classmethod
    def mixed(cls, share: float, kinds: tuple[str, ...] = FAULT_KINDS, **others: Any) -> Faults:
        """All kinds alike, ``share`` of the requests together."""
        return cls({kind: share / len(kinds) for kind in kinds}, **others)

    def drawn(self, messages_digest: str, visit: int) -> str | None:
        """The fault of the ``visit``-th request (from 0) with these messages, or None."""
        if visit >= self.most:
            return None
        digest = hashlib.sha256(f"{self.seed}:{messages_digest}:{visit}".encode()).digest()
        point = int.from_bytes(digest[:8]) / 2**64
        for kind, share in self.shares.items():
            assert kind in FAULT_KINDS, kind
            point -= share
            if point < 0:
                return kind
        return None


@dataclass
class Calls:
    """What came and what was delivered whole. ``bodies`` counts delivered answers by the request's SHA-256."""

    received: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)  # by status: 400, 401, 404, 413
    bodies: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)  # when requests came, ``time.monotonic`` seconds
    idempotency: dict[str, set[str]] = field(default_factory=dict)  # keys that came with each body

    @property
    def delivered(self) -> int:
        """Answers that were sent whole: what a provider would charge for."""
        return sum(self.bodies.values())

    @property
    def twice(self) -> int:
        """Requests that were answered more than once: paid for again."""
        return sum(count > 1 for count in self.bodies.values())


class ScriptedEndpoint:
    """The server, used as ``with ScriptedEndpoint(answer) as endpoint``; ``endpoint.base_url`` is its address.

    Args:
        answer: from a request's messages to the text of the answer; from the whole request where ``whole`` is set.
            Where it raises ValueError, the request is answered with 400.
        faults: how it misbehaves.
        key: the key that it wants; None takes any and none.
        model: the one model that it knows.
        latency: seconds that each answer takes.
        port: 0 for a free one.
        whole: hand the whole request to ``answer``, so that it can look at ``seed`` and ``temperature``.
    """

    def __init__(
        self,
        answer: Callable[[Any], str],
        faults: Faults | None = None,
        *,
        key: str | None = None,
        model: str = "scripted",
        latency: float = 0.0,
        port: int = 0,
        whole: bool = False,
    ) -> None:
        self.faults, self.key, self.model, self.latency = faults or Faults(), key, model, latency
        self.calls = Calls()
        self._answer, self._whole = answer, whole
        self._visits: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.endpoint = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def base_url(self) -> str:
        """What goes into a recipe's ``base_url``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ScriptedEndpoint:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def visit(self, request: dict[str, Any]) -> str | None:
        """Count a valid request; the fault that it meets."""
        digest = json_digest(request["messages"])
        with self._lock:
            visit = self._visits[digest]
            self._visits[digest] += 1
            fault = self.faults.drawn(digest, visit)
            if fault:
                self.calls.faults[fault] += 1
        return fault

    def completion(self, request: dict[str, Any], fault: str | None) -> bytes:
        """The body of an answer, changed by a fault of its content."""
        text, finish = self._answer(request if self._whole else request["messages"]), "stop"
        if fault == "cut off":
            text, finish = text[: len(text) // 2], "length"
        elif fault == "filtered":
            text, finish = "", "content_filter"
        elif fault in CONTENT:
            text = {
                "empty": "",
                "refusal": REFUSAL,
                "gibberish": GIBBERISH,
                "fenced": f"```json\n{text}\n```",
                "chatter": f"Sure! Here is the answer:\n\n{text}\n\nI hope this helps.",
            }[fault]
        tokens = sum(_part_tokens(part) for message in request["messages"] for part in parts_of(message))
        usage = {"prompt_tokens": tokens, "completion_tokens": text_tokens(text)}
        message = {"role": "assistant", "content": text}
        return json.dumps(
            {
                "id": "chatcmpl-0",
                "object": "chat.completion",
                "created": 0,
                "model": f"{self.model}-001",
                "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": usage | {"total_tokens": sum(usage.values())},
            }
        ).encode()

    def note(self, **counts: Any) -> None:
        """Count a request that came, one that was refused, or an answer that was delivered."""
        with self._lock:
            if "body" in counts:
                self.calls.received += 1
                self.calls.times.append(time.monotonic())
                self.calls.idempotency.setdefault(counts["body"], set()).add(counts["key"])
            if "refused" in counts:
                self.calls.refused[counts["refused"]] += 1
            if "delivered" in counts:
                self.calls.bodies[counts["delivered"]] += 1


def parts_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a message's content: text alone is one part."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def last_text(messages: Messages) -> str:
    """The texts of the last message, one below the other."""
    return "\n".join(part["text"] for part in parts_of(messages[-1]) if part["type"] == "text")


def request_images(messages: Messages) -> list[Image.Image]:
    """The images of all messages, decoded; raises ValueError for a part that is no image in a data URL."""
    return [_image(part) for message in messages for part in parts_of(message) if part["type"] == "image_url"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    endpoint: ScriptedEndpoint

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        endpoint, length = self.server.endpoint, int(self.headers.get("Content-Length", 0))
        if length > MAX_BODY:
            self.close_connection = True
            return self._refuse(413, "request too large")
        raw = self.rfile.read(length)
        digest = hashlib.sha256(raw).hexdigest()
        endpoint.note(body=digest, key=self.headers.get("Idempotency-Key", ""))
        given = self.headers.get("Authorization", "")
        if endpoint.key is not None and given != f"Bearer {endpoint.key}":
            return self._refuse(401, f"Incorrect API key provided: {given.removeprefix('Bearer ')}")  # as some do
        if self.path != "/v1/chat/completions":
            return self._refuse(404, f"no such path {self.path}")
        try:
            request = json.loads(raw)
            model = request["model"]
            assert all(isinstance(part["type"], str) for one in request["messages"] for part in parts_of(one))
            assert request["messages"] and isinstance(last_text(request["messages"]), str)
            request_images(request["messages"])
        except Exception as error:  # whatever it trips over, the request is bad
            return self._refuse(400, f"bad request: {type(error).__name__}")
        if model != endpoint.model:
            return self._refuse(404, f"no such model {model}")
        time.sleep(endpoint.latency)
        self._answer(request, digest)

    def _answer(self, request: dict[str, Any], digest: str) -> None:
        endpoint = self.server.endpoint
        fault = endpoint.visit(request)
        if fault == "slow":
            time.sleep(endpoint.faults.slow)
        if fault in ("slow", "dropped"):
            self.close_connection = True
            return
        if fault is not None and fault[0].isdigit():
            headers = {}
            if fault == "429 retry-after":
                headers["Retry-After"] = f"{endpoint.faults.retry_after:g}"
            elif fault == "429 until":
                headers["Retry-After"] = formatdate(
                    time.time() + endpoint.faults.retry_after, usegmt=True
                )  # whole seconds
            self._send(int(fault[:3]), json.dumps({"error": {"message": f"planted {fault}"}}).encode(), headers)
            return
        try:
            body = endpoint.completion(request, fault)
        except ValueError as error:
            return self._refuse(400, str(error))
        if fault == "dropped half":
            self._send(200, body, {}, sent=len(body) // 2)
            self.close_connection = True
        elif fault == "cut json":
            self._send(200, body[: len(body) // 2], {})
        else:
            endpoint.note(delivered=digest)  # before it is sent: who has the answer finds it counted
            self._send(200, body, {})

    def _refuse(self, status: int, message: str) -> None:
        self.server.endpoint.note(refused=status)
        self._send(status, json.dumps({"error": {"message": message}}).encode(), {})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], *, sent: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:sent])


def _image(part: dict[str, Any]) -> Image.Image:
    head, _, data = part["image_url"]["url"].partition(";base64,")
    if head not in ("data:image/jpeg", "data:image/png"):
        raise ValueError("not an image in a data URL")
    try:
        image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        image.load()
    except (binascii.Error, OSError) as error:
        raise ValueError(f"damaged image: {error}") from None
    return image


def _part_tokens(part: dict[str, Any]) -> int:
    return text_tokens(part["text"]) if part["type"] == "text" else image_tokens(*_image(part).size)
