"""Images come over real connections to servers on loopback; every kind of refusal is one that a server provoked."""

import email.utils
import gzip
import hashlib
import socket
import struct
import time
import zlib
from pathlib import Path

import pytest
from image_server import noisy_jpeg, picture, serving

from trifacet.building import downloads
from trifacet.building.addresses import is_public
from trifacet.building.downloads import fetch
from trifacet.building.image_files import Unusable
from trifacet.building.settings import Network

FAST = {"allow_private": True, "per_host": 1000.0, "timeout": 5.0}


@pytest.fixture
def server():
    with serving() as server:
        yield server


def get(root, *urls, max_pixels=10_000, **limits):
    results = fetch(urls, root, Network.model_validate(FAST | limits), max_pixels=max_pixels)
    return [results[url] for url in dict.fromkeys(urls)]


def reason(result) -> str:
    assert isinstance(result, Unusable), result
    return result.reason


def files(root) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in Path(root).rglob("*") if path.is_file())


def test_images_lie_under_the_hash_of_their_bytes_with_the_ending_of_their_kind(tmp_path, server):
    png, jpeg = picture("red"), picture("blue", format="JPEG")
    urls = [
        server.give("/a.jpg", png, Content_Type="text/html"),
        server.give("/same", png),
        server.give("/b.html?x=1", jpeg, Content_Type="application/pdf"),
    ]
    a, same, b = get(tmp_path, *urls)
    assert a == same
    for (name, image), data, ending in ((a, png, "png"), (b, jpeg, "jpg")):
        sha = hashlib.sha256(data).hexdigest()
        assert name == f"{sha[:2]}/{sha}.{ending}"
        assert (tmp_path / name).read_bytes() == data
        assert image.sha256 == sha and (image.width, image.height, image.frames) == (40, 30, 1)
    kept = [name for name in files(tmp_path) if not name.startswith("by-url/")]
    assert kept == sorted({a[0], b[0]}), "nothing else, no half-written file"


def test_what_was_fetched_is_not_fetched_again_unless_its_file_is_gone_or_damaged(tmp_path, server):
    url = server.give("/a", picture())
    (first,) = get(tmp_path, url, url)
    assert get(tmp_path, url) == [first]
    assert server.asked["/a"] == 1
    path = tmp_path / first[0]
    path.write_bytes(picture("green"))
    assert get(tmp_path, url) == [first] and server.asked["/a"] == 2
    path.unlink()
    assert get(tmp_path, url) == [first] and server.asked["/a"] == 3
    (tmp_path.parent / "stranger.png").write_bytes(picture())
    for link in (tmp_path / "by-url").rglob("*"):
        if link.is_file():
            link.write_text("../stranger.png")
    assert get(tmp_path, url) == [first] and server.asked["/a"] == 4


def bomb(side=30_000) -> bytes:
    """A valid PNG of side x side black pixels, less than a megabyte."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packed = zlib.compress(bytes((side + 7) // 8 + 1) * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_content_is_judged_by_decoding(tmp_path, server):
    jpeg = noisy_jpeg()
    cases = {
        server.give("/page.png", b"<html>not found</html>", Content_Type="image/png"): "not an image",
        server.give("/empty.png", b""): "not an image",
        server.give("/cut.jpg", jpeg[: len(jpeg) // 2]): "image damaged",
        server.give("/bomb.png", bomb()): "image too large",
        server.give("/big.png", picture(size=(201, 200))): "image too large",
    }
    assert [reason(result) for result in get(tmp_path, *cases, max_pixels=40_000)] == list(cases.values())
    assert files(tmp_path) == []
    assert sum(server.asked.values()) == len(cases), "none of it passes by trying again"


def test_bounds_on_bytes_hold_with_and_without_a_stated_length(tmp_path, server):
    big = noisy_jpeg()
    stated = server.give("/stated", big)

    def chunked(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(100_000):
            handler.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            handler.server.sent += 1024

    server.pages["/endless"], server.sent = chunked, 0
    packed = server.give("/packed", gzip.compress(picture()), Content_Encoding="gzip")
    results = get(tmp_path, stated, server.url + "/endless", packed, max_bytes=len(big) - 1)
    assert [reason(result) for result in results] == ["download too large", "download too large", "download failed"]
    assert results[0].detail["bytes"] == len(big), "refused by what the server states, before a byte is read"
    assert "gzip" in results[2].detail["problem"]
    assert server.sent < 20_000_000
    assert not isinstance(get(tmp_path, stated, max_bytes=len(big), max_pixels=50_000)[0], Unusable)


def test_bounds_on_time_hold_against_a_slow_drip(tmp_path, server):
    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    server.pages["/drip"] = drip
    began = time.monotonic()
    (result,) = get(tmp_path, server.url + "/drip", timeout=0.4, tries=2)
    assert reason(result) == "download failed" and "0.4 seconds" in result.detail["problem"]
    assert time.monotonic() - began < 2.5 and server.asked["/drip"] == 2
    assert files(tmp_path) == []


def test_redirects_are_followed_so_far(tmp_path, server):
    end = server.give("/end", picture())
    server.give("/2", b"", 301, Location="/end")
    one = server.give("/1", b"", 302, Location=f"http://localhost:{server.server_port}/2")
    loop = server.give("/loop", b"", 302, Location="/loop")
    nowhere = server.give("/nowhere", b"", 302, Location="http://[broken/")
    a, b, looped, lost = get(tmp_path, one, end, loop, nowhere, redirects=2)
    assert a == b
    assert reason(looped) == "download failed" and "2 redirects" in looped.detail["problem"]
    assert server.asked["/loop"] == 3
    assert reason(lost) == "download failed"
    assert reason(get(tmp_path / "other", one, redirects=1)[0]) == "download failed"


SELVES = ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "[::ffff:127.0.0.1]", "[::1]", "[::]"]


@pytest.mark.parametrize("host", SELVES)
def test_this_machine_is_not_asked_without_permission(tmp_path, server, host):
    server.give("/a", picture())
    url = f"http://{host}:{server.server_port}/a"
    (result,) = get(tmp_path, url, allow_private=False)
    assert reason(result) in ("address not allowed", "download failed")  # the latter where a name has no address here
    assert host[0] in "lo" or reason(result) == "address not allowed"
    assert not server.asked


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pass@127.0.0.1:1/a",
        "ftp://127.0.0.1/a",
        "file:///etc/passwd",
        "http:///a",
        "http://[::1",
        "http://a\0b/",
        "http://127.0.0.1:65536/a",
        "http://127.0.0.1:0/a",
        f"http://127.0.0.1:{'9' * 30}/a",
        f"http://127.0.0.1:{'9' * 5000}/a",
    ],
)
def test_odd_addresses_are_refused_even_with_permission(tmp_path, url):
    assert reason(get(tmp_path, url)[0]) == "address not allowed"


@pytest.mark.parametrize("port", ["65536", "9" * 30])
def test_a_redirect_to_no_port_is_a_failed_row(tmp_path, server, port):
    url = server.give("/a", b"", 302, Location=f"http://127.0.0.1:{port}/b")
    (result,) = get(tmp_path, url)
    assert reason(result) == "address not allowed" and result.detail["problem"] == "no such port"


def test_a_redirect_to_a_forbidden_place_is_refused_like_a_first_address(tmp_path, server, monkeypatch):
    """127.0.0.2 stands for a public address here; what its server redirects to is checked for real."""
    monkeypatch.setattr("trifacet.building.addresses.is_public", lambda ip: ip == "127.0.0.2" or is_public(ip))
    with serving("127.0.0.2") as public:
        fine = public.give("/fine", picture())
        secrets = [
            server.give("/secret", picture()),
            f"http://localhost:{server.server_port}/secret",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
            fine.replace("//", "//user:pass@"),
        ]
        urls = [public.give(f"/{n}", b"", 302, Location=secret) for n, secret in enumerate(secrets)]
        results = get(tmp_path, *urls, public.give("/to-fine", b"", 302, Location="/fine"), allow_private=False)
        assert [reason(result) for result in results[:-1]] == ["address not allowed"] * len(secrets)
        assert not isinstance(results[-1], Unusable)
        assert all(public.asked[f"/{n}"] == 1 for n in range(len(secrets)))
    assert not server.asked


def test_the_name_is_resolved_once_and_the_checked_address_is_connected_to(tmp_path, server, monkeypatch):
    """A resolver that says a public address first and a private one afterwards gains nothing."""
    asked, connected = [], []
    real = socket.getaddrinfo

    def rebinding(host, port, *args, **options):
        if host not in ("rebind.example", b"rebind.example"):
            return real(host, port, *args, **options)
        asked.append(host)
        address = "203.0.113.9" if len(asked) % 2 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async def connect(self, address, port, *args):
        connected.append(address)
        raise downloads.httpcore2.ConnectError("refused here")

    server.give("/a", picture())
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(downloads.httpcore2.AnyIOBackend, "connect_tcp", connect)
    monkeypatch.setattr("trifacet.building.addresses.is_public", lambda address: address == "203.0.113.9")
    url = f"http://rebind.example:{server.server_port}/a"
    results = [get(tmp_path, url, allow_private=False, tries=1)[0] for _ in range(2)]
    assert [reason(result) for result in results] == ["download failed", "address not allowed"]
    assert connected == ["203.0.113.9"] and len(asked) == 2, "one look-up a connection"


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.254",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.7",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12::1",
        "fec0::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:100.64.0.1",
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001:0:1::1",
        "2001:db8::1",
        "100::1",
        "::127.0.0.1",
        "4000::1",
        "192.0.0.9",
        "192.0.0.192",
        "192.88.99.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.175.48.1",
        "168.63.129.16",
        "100.100.100.200",
        "fd00:ec2::254",
        "fd20:ce::254",
        "3fff::1",
        "3fff:fff:ffff::1",
        "5f00::1",
        "2001:1::1",
        "2001:20::1",
        "2001:30::1",
        "2620:4f:8000::1",
        "100:0:0:1::1",
        "::ffff:168.63.129.16",
        "::ffff:0:10.0.0.1",
        "64:ff9b::a83f:8110",
        "64:ff9b::a9fe:a9fe",
        "2002:808:808::1",
    ],
)
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "168.63.129.17", "192.0.1.1", "2606:4700::1111", "3ffe::1", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_addresses_that_are_public(address):
    assert is_public(address)


def test_failures_that_pass_are_tried_again(tmp_path, server):
    def first(fault):
        def page(handler):
            if handler.server.asked[handler.path] == 1:
                fault(handler)
            else:
                handler.answer(200, picture(), {})

        return page

    def hang_up(handler):
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    def break_off(handler):
        data = picture()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:20])
        hang_up(handler)

    server.pages |= {
        "/500": first(lambda handler: handler.answer(500, b"oops", {})),
        "/503": first(lambda handler: handler.answer(503, b"busy", {})),
        "/dropped": first(hang_up),
        "/cut": first(break_off),
    }
    results = get(tmp_path, *(server.url + path for path in server.pages))
    assert not [result for result in results if isinstance(result, Unusable)]
    assert set(server.asked.values()) == {2}


def test_failures_that_stay_are_told_with_the_status_and_only_some_are_tried_again(tmp_path, server):
    gone, broken = server.give("/gone", b"", 410), server.give("/broken", b"", 500)
    results = get(tmp_path, gone, broken, tries=3)
    assert [reason(result) for result in results] == ["download failed"] * 2
    assert results[0].detail == {"status": 410}
    assert (server.asked["/gone"], server.asked["/broken"]) == (1, 3)


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured_for_the_whole_host_and_bounded(tmp_path, server, as_date):
    wait = 2 if as_date else 1

    def page(handler):
        if handler.server.asked[handler.path] == 1:
            then = email.utils.formatdate(time.time() + wait, usegmt=True) if as_date else str(wait)
            handler.answer(429, b"", {"Retry-After": then})
        else:
            handler.answer(200, picture(), {})

    server.pages["/a"] = page
    assert not isinstance(get(tmp_path, server.url + "/a")[0], Unusable)
    assert server.times[1] - server.times[0] >= wait - 1.0 * as_date - 0.05  # a date has whole seconds
    late = server.give("/late", b"", 429, Retry_After="86400")
    (result,) = get(tmp_path, late)
    assert reason(result) == "download failed" and "86400" in result.detail["problem"] and server.asked["/late"] == 1


@pytest.mark.parametrize("wait", ["Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "9" * 400, "soon", ", ,"])
def test_whatever_retry_after_says_is_no_fault_of_ours(tmp_path, server, wait):
    (result,) = get(tmp_path, server.give("/a", b"", 429, Retry_After=wait), tries=1)
    assert reason(result) == "download failed"


def test_a_host_is_not_blamed_for_those_that_it_redirects_to(tmp_path, server):
    with socket.socket() as down:
        down.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        dead = f"http://localhost:{down.getsockname()[1]}/x"
        lost = [server.give(f"/0{n}", b"", 302, Location=dead) for n in range(downloads.GIVEN_UP + 1)]
        results = get(tmp_path, *lost, tries=1, concurrency=1)
        assert {reason(result) for result in results} == {"download failed"}
        found = [server.give(f"/1{n}", picture()) for n in range(3)]
        mixed = get(tmp_path, *lost, *found, tries=1, concurrency=1)
    assert not [result for result in mixed[len(lost) :] if isinstance(result, Unusable)]


def test_no_random_name_is_in_what_is_kept(tmp_path, server):
    urls = [server.give("/cut", noisy_jpeg()[:500]), server.give("/none", b"no"), server.give("/big", bomb())]
    first, second = ([result.detail for result in get(tmp_path / name, *urls)] for name in "ab")
    assert first == second
    assert all(".part" not in detail["problem"] for detail in first)


def test_a_pause_holds_for_the_hosts_other_images(tmp_path, server):
    server.give("/0", b"", 429, Retry_After="1")
    others = [server.give(f"/{n}", picture()) for n in range(1, 4)]
    get(tmp_path, server.url + "/0", *others, tries=1, concurrency=1)
    assert server.times[1] - server.times[0] >= 0.95


def test_the_rate_per_host_holds_over_all_downloads_and_is_shared_by_workers(tmp_path, server):
    urls = [server.give(f"/{n}", picture()) for n in range(8)]
    network = Network.model_validate(FAST | {"per_host": 40.0})
    fetch(urls, tmp_path, network, workers=2, max_pixels=10_000)
    gaps = [after - before for before, after in zip(server.times, server.times[1:], strict=False)]
    assert server.times[-1] - server.times[0] >= 7 / 20 * 0.95, "40 a second over two workers is 20 for each"
    assert max(gaps) < 0.5


def test_a_slow_host_does_not_hold_the_others_up(tmp_path, server):
    with serving() as other:
        slow = [server.give(f"/{n}", picture()).replace("127.0.0.1", "localhost") for n in range(6)]
        quick = [other.give(f"/{n}", picture()) for n in range(2)]
        get(tmp_path, *slow, *quick, per_host=4.0, concurrency=2)
        assert max(other.times) < sorted(server.times)[3], "two places, and six images wait for the slow host"


def test_a_host_that_never_answers_is_given_up(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        port = taken.getsockname()[1]
        urls = [f"http://127.0.0.1:{port}/{n}" for n in range(40)]
        began = time.monotonic()
        results = get(tmp_path, *urls, tries=2, concurrency=4, per_host=100.0)
    assert {reason(result) for result in results} == {"download failed"}
    assert sum("times in a row" in result.detail["problem"] for result in results) >= 10
    assert time.monotonic() - began < 20


def test_we_say_who_asks_and_nothing_else(tmp_path, server, monkeypatch):
    with serving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        a = server.give("/a", picture(), Set_Cookie="s=1; Path=/")
        b = server.give("/b", picture("blue"))
        get(tmp_path, a, concurrency=1)
        get(tmp_path, b, user_agent="tester")
        assert not proxy.asked
    assert [set(sent) for sent in server.headers] == [{"Host", "User-Agent", "Accept", "Accept-Encoding"}] * 2
    assert server.headers[1]["User-Agent"] == "tester" and server.headers[1]["Accept-Encoding"] == "identity"


def test_many_images_of_one_host_are_fetched_together(tmp_path, server):
    def page(handler):
        time.sleep(0.1)
        handler.answer(200, picture(), {})

    for n in range(60):
        server.pages[f"/{n}"] = page
    began = time.monotonic()
    results = get(tmp_path, *(server.url + path for path in server.pages), concurrency=30)
    assert not [result for result in results if isinstance(result, Unusable)]
    assert time.monotonic() - began < 60 * 0.1 * 0.6
    assert not list(tmp_path.glob(".*.part"))
