"""The server of a review under attack: what is slow, unfinished or too much ends, and the terminal stays quiet."""

import re
import resource
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from PIL import Image
from reviews import NAMES, write_review

pytest.importorskip("fastapi", reason="pip install 'trifacet[review]'")

from trifacet.review.app import create_app
from trifacet.review.desk import Desk
from trifacet.review.order import judges_order
from trifacet.review.pairs import read_review
from trifacet.review.pictures import Pictures
from trifacet.review.store import Store
from trifacet.web import server
from trifacet.web.access import Access

SECONDS = 0.6  # that a request may take here


class Served:
    """A server in a thread, its judge's cookie and what it told."""

    def __init__(self, folder, minutes, pictures=Pictures):
        review = read_review(folder / "a.jsonl", folder / "b.jsonl", folder / "test.jsonl", names=NAMES)
        self.store = Store(folder / "votes.sqlite", review)
        self.store.begin("Ada", sees=True)
        access, self.told = Access(self.store.secret), []
        self.cookie = f"Cookie: {access.cookie}={access.session('Ada')}\r\n"
        app = create_app(Desk(self.store, review, pictures(folder)), access, "127.0.0.1", self.told.append)
        self.bound = server.bind("127.0.0.1", 0)
        self.port = self.bound.getsockname()[1]
        serving = {"minutes": minutes, "tell": self.told.append}
        self.thread = threading.Thread(target=server.serve, args=(app, self.bound), kwargs=serving)
        self.thread.start()

    def send(self, text):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        client.sendall(text.encode())
        return client

    def request(self, path="/answers", method="GET", more=""):
        return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{self.cookie}{more}\r\n"

    def answer(self, path="/answers"):
        """The status line of a request of a judge's."""
        with self.send(self.request(path, more="Connection: close\r\n")) as client:
            return client.makefile("rb").readline()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    write_review(folder)
    for name in ("0.jpg", "1.jpg", "2.jpg", "3.jpg"):
        Image.effect_noise((1500, 1500), 200).convert("RGB").save(folder / name, quality=95)
    return folder


@contextmanager
def serving(folder, seconds=2.5, pictures=Pictures):
    served = Served(folder, seconds / 60, pictures)
    try:
        yield served
    finally:
        served.thread.join(30)
        served.store.close()
        assert not served.thread.is_alive()


def ended(client):
    """Seconds until the other side has ended the connection."""
    begun = time.monotonic()
    with suppress(ConnectionError):
        while client.recv(1 << 16):
            pass
    return time.monotonic() - begun


def test_unfinished_requests_and_unread_answers_end_in_time(folder, monkeypatch, capfd):
    monkeypatch.setattr(server, "REQUEST_SECONDS", SECONDS)
    with serving(folder) as served:
        form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n"
        begun = time.monotonic()
        clients = [
            served.send(""),
            served.send("GET / HTTP/1.1\r\nHost: 127"),
            served.send(served.request("/begin", "POST", form) + "name=A"),
            served.send(served.request("/nothing", "POST", form) + "name=A"),
        ]
        unread = served.send(served.request("/picture/1/0") * 40)  # more than the system's buffers hold
        assert max(map(ended, clients)) < 3 * SECONDS + 1
        assert served.answer().startswith(b"HTTP/1.1 200")
        time.sleep(max(0, begun + 3 * SECONDS - time.monotonic()))
        sent = b""
        with suppress(ConnectionError):
            while part := unread.recv(1 << 20):
                sent += part
        length = int(re.search(rb"content-length: (\d+)", sent)[1])
        assert length < len(sent) < 30 * length  # it was cut
    assert served.told == [] and capfd.readouterr() == ("", "")


def test_a_client_that_leaves_and_one_that_sends_no_http_are_no_news(folder, capfd):
    with serving(folder, 1.5) as served:
        form = "Content-Length: 100\r\n"
        for text in (served.request("/begin", "POST", form) + "name=A", served.request("/picture/1/0"), "\x16\x03\x01"):
            client = served.send(text)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset, not closed
            client.close()
        served.send("GARBAGE\r\n\r\n").close()
        assert served.answer().startswith(b"HTTP/1.1 200")
    assert served.told == [] and capfd.readouterr() == ("", "")


def test_more_connections_than_are_taken_end_at_once_and_the_others_work(folder, monkeypatch):
    monkeypatch.setattr(server, "_CONNECTIONS", 5)
    with serving(folder, 2) as served:
        kept = [served.send("") for _ in range(5)]
        time.sleep(0.2)
        assert max(ended(served.send("")) for _ in range(20)) < 0.5
        for client in kept:
            client.close()
        time.sleep(0.2)
        assert served.answer().startswith(b"HTTP/1.1 200")


def test_when_file_handles_run_out_one_line_says_so(folder, capfd):
    clients = [socket.socket() for _ in range(20)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serving(folder, 3) as served:
        assert served.answer().startswith(b"HTTP/1.1 200")
        taken = [int(path.name) for path in Path("/proc/self/fd").iterdir() if path.name.isdecimal()]
        spare = [open("/dev/null") for _ in range(max(taken) + 2 - len(taken))]  # noqa: PTH123, SIM115 - fills the gaps
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(spare) + len(taken), hard))
        try:
            for client in clients:  # these have their handles; the server's side of them has none
                client.connect(("127.0.0.1", served.port))
            time.sleep(1.5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for file in (*clients, *spare):
            file.close()
        assert served.answer().startswith(b"HTTP/1.1 200")
    (line,) = served.told
    assert "Too many open files" in line and "\n" not in line
    assert capfd.readouterr() == ("", "")


def test_what_nobody_has_foreseen_is_one_line_and_no_page_of_ours_without_its_guard(folder, monkeypatch, capfd):
    with serving(folder, 1.5) as served:
        monkeypatch.setattr(Desk, "answers", lambda desk, judge: {}["secret \x1b[31m"])
        with served.send(served.request(more="Connection: close\r\n")) as client:
            page = client.makefile("rb").read()
    assert page.startswith(b"HTTP/1.1 500") and b"content-security-policy: default-src 'none'" in page
    assert b"secret" not in page and b"Traceback" not in page
    (line,) = served.told
    assert line.startswith("KeyError in test_review_server.py, line ") and capfd.readouterr() == ("", "")


def test_a_picture_that_takes_long_keeps_nobody_from_another_sample(folder):
    free = threading.Event()

    class Slow(Pictures):
        def get(self, name):
            assert name != "0.jpg" or free.wait(30)
            return super().get(name)

    with serving(folder, 3, Slow) as served:
        order = judges_order(served.store.seed, "Ada", 4)
        slow = order.index(0) + 1
        waiting = [served.send(served.request(f"/sample/{slow}", more="Connection: close\r\n")) for _ in range(6)]
        for place in {1, 2, 3, 4} - {slow}:  # while that one is held
            assert served.answer(f"/sample/{place}").startswith(b"HTTP/1.1 200")
            assert served.answer(f"/picture/{place}/0").startswith(b"HTTP/1.1 200")
        assert served.answer("/answers").startswith(b"HTTP/1.1 200")
        free.set()
        for client in waiting:
            assert client.makefile("rb").readline().startswith(b"HTTP/1.1 200")
            client.close()
