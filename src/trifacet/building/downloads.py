"""Fetching images from addresses that nobody has vouched for.

Invariant: a connection is opened only to an address that was checked, the very one that is connected to, for the first
request as for each redirect; what is kept was decoded as an image and lies under the hash of its bytes.
Bounded are bytes, time, redirects, attempts and the rate of requests to a host. Nothing is sent that tells more than
``user_agent``: no cookies, no credentials, no proxies from the environment.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpcore2
import httpx2
from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from trifacet.base.errors import TrifacetError
from trifacet.base.files import cannot_write, replacing, write_atomically
from trifacet.building.addresses import CheckedBackend
from trifacet.building.image_files import ImageFile, Unusable, inspect_image

if TYPE_CHECKING:
    from trifacet.building.settings import Network

EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tiff"}
_LONGEST_PAUSE = 60.0  # seconds that a host may ask us to wait; asked for more, we leave its image out
GIVEN_UP = 8  # images in a row for which a host did not answer or sent us away: then it is not asked again
_LINKS = "by-url"
_KEPT = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})\.[a-z]{3,4}")
_REDIRECTS = {301, 302, 303, 307, 308}
_RESOLVERS = 16  # host names that are looked up at the same time

Fetched = tuple[str, ImageFile]  # the path below the root, and what the file is


def fetch(
    urls: Iterable[str], root: Path, network: Network, *, workers: int = 1, max_pixels: int
) -> dict[str, Fetched | Unusable]:
    """Download images, many at a time, each address once.

    Args:
        urls: http and https addresses; one that was fetched before is not fetched again.
        root: folder below which images are kept, as ``ab/<sha256>.<ext>``, and which address led to which.
        network: the recipe's section: limits, tries, rates.
        workers: how many processes share the rate per host.
        max_pixels: largest image.

    Returns:
        For each address the path below ``root`` with the facts of the file, or why there is none.

    Raises:
        TrifacetError: a file can't be written.
    """
    return asyncio.run(_Downloads(root, network, workers, max_pixels).all(set(urls)))


class _Passing(Exception):  # noqa: N818 - see Unusable
    """A failure that may pass: try again. ``busy``: the host that sent us away or did not answer at all."""

    def __init__(self, problem: str, busy: _Host | None = None) -> None:
        super().__init__(problem)
        self.busy = busy


class _Host:
    """How fast one host may be asked, and whether it answers."""

    def __init__(self, per_second: float) -> None:
        self.turn = asyncio.Lock()
        self.limiter = AsyncLimiter(1, 1 / per_second)  # evenly spaced, no burst
        self.resume = 0.0  # time.monotonic() before which the host wants no requests
        self.silent = 0  # images in a row that failed because it did not answer or sent us away


class _Downloads:
    """The downloads of one part: one pool of connections, one rate for each host."""

    def __init__(self, root: Path, network: Network, workers: int, max_pixels: int) -> None:
        self._root, self._network, self._max_pixels = root, network, max_pixels
        self._per_second = network.per_host / workers
        self._hosts: dict[str, _Host] = {}
        self._places = asyncio.Semaphore(network.concurrency)
        self._desk = ThreadPoolExecutor(1)  # decodes and stores one image at a time: several could fill the memory
        self._pool = httpcore2.AsyncConnectionPool(
            max_connections=network.concurrency,
            keepalive_expiry=10,
            network_backend=CheckedBackend(network.allow_private),
        )

    async def all(self, urls: set[str]) -> dict[str, Fetched | Unusable]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_RESOLVERS))  # closed with the loop
        ordered = sorted(urls)
        with self._desk:
            async with self._pool:
                return dict(zip(ordered, await asyncio.gather(*map(self._one, ordered)), strict=True))

    async def _one(self, url: str) -> Fetched | Unusable:
        try:
            return await self._at_desk(self._kept, url) or await self._tried(url)
        except Unusable as reason:
            return reason

    def _link(self, url: str) -> Path:
        name = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
        return self._root / _LINKS / name[:2] / name

    def _kept(self, url: str) -> Fetched | None:
        """What an earlier run fetched, if it is there and whole."""
        try:
            name = self._link(url).read_text(encoding="ascii")
        except (OSError, ValueError):
            return None
        told = _KEPT.fullmatch(name)
        if told is None:
            return None
        try:
            image = inspect_image(self._root / name, self._max_pixels)
        except Unusable:
            return None
        return (name, image) if image.sha256 == told[1] else None

    async def _tried(self, url: str) -> Fetched:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Passing),
            stop=stop_after_attempt(self._network.tries),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            reraise=True,
        )
        try:
            fetched: Fetched = await retrying(self._once, url)
        except _Passing as failure:
            if failure.busy is not None:
                failure.busy.silent += 1
            raise Unusable("download failed", problem=str(failure), attempts=self._network.tries) from None
        return fetched

    async def _once(self, url: str) -> Fetched:
        """One attempt: follow the redirects, take the bytes, look at them, keep them."""
        asked, spool = url, self._root / f".{uuid4().hex}.part"
        left = self._network.timeout
        try:
            for _ in range(self._network.redirects + 1):
                parsed = _parsed(url)
                host = self._host(parsed)
                await self._may_ask(host)
                began = time.monotonic()
                try:
                    async with asyncio.timeout(left):
                        target = await self._request(parsed, spool)
                except (TimeoutError, httpcore2.TimeoutException):
                    raise _Passing(f"not done in {self._network.timeout} seconds", host) from None
                except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
                    busy = host if isinstance(error, httpcore2.ConnectError) else None
                    raise _Passing(f"connection broken ({error})", busy) from None
                finally:
                    self._places.release()
                host.silent = 0
                if target is None:
                    return await self._at_desk(self._stored, asked, spool)
                url, left = target, left - (time.monotonic() - began)
            raise Unusable("download failed", problem=f"more than {self._network.redirects} redirects")
        finally:
            spool.unlink(missing_ok=True)

    def _host(self, url: httpx2.URL) -> _Host:
        if url.host not in self._hosts:
            self._hosts[url.host] = _Host(self._per_second)
        return self._hosts[url.host]

    async def _at_desk(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._desk, work, *args)

    async def _may_ask(self, host: _Host) -> None:
        """Wait for the host's turn, then take a place. Who waits for a slow host keeps no place from the others."""
        async with host.turn:
            await host.limiter.acquire()
            while True:
                if host.silent >= GIVEN_UP:
                    raise Unusable("download failed", problem=f"the host did not answer {GIVEN_UP} times in a row")
                await asyncio.sleep(host.resume - time.monotonic())
                await self._places.acquire()
                if time.monotonic() >= host.resume:  # else it has asked for a pause meanwhile
                    return
                self._places.release()

    async def _request(self, url: httpx2.URL, spool: Path) -> str | None:
        """One request: the bytes go to ``spool``; or where it redirects to."""
        core_url = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers = {
            b"Host": url.netloc,
            b"User-Agent": self._network.user_agent.encode("ascii", "replace"),
            b"Accept": b"image/*",
            b"Accept-Encoding": b"identity",
        }
        async with self._pool.stream("GET", core_url, headers=list(headers.items())) as response:
            got = {name.lower(): value.decode("utf-8", "replace") for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in got:
                return _joined(url, got[b"location"])
            self._check_status(response.status, got.get(b"retry-after"), self._host(url))
            if got.get(b"content-encoding", "identity").lower() != "identity":
                raise Unusable("download failed", problem=f"packed as {got[b'content-encoding'][:40]!r}, unasked")
            limit = self._network.max_bytes
            size = int(got.get(b"content-length", "0"))  # the protocol's parser lets nothing but digits through
            if size > limit:
                raise Unusable("download too large", bytes=size, limit=limit)
            with _writing(spool) as write:
                async for chunk in response.aiter_stream():
                    if write(chunk) > limit:
                        raise Unusable("download too large", limit=limit)
            return None

    def _check_status(self, status: int, retry_after: str | None, host: _Host) -> None:
        if status == 200:
            return
        pause = _seconds(retry_after)
        if status in (429, 503) and pause > _LONGEST_PAUSE:
            raise Unusable("download failed", status=status, problem=f"the host asks us to wait {pause:.0f} seconds")
        if status in (429, 503):
            host.resume = max(host.resume, time.monotonic() + pause)
        if status in (408, 425, 429) or status >= 500:
            raise _Passing(f"the host answers {status}", host if status in (429, 503) else None)
        raise Unusable("download failed", status=status)

    def _stored(self, url: str, spool: Path) -> Fetched:
        image = inspect_image(spool, self._max_pixels, "downloaded")  # the spool's own name is drawn at random
        name = f"{image.sha256[:2]}/{image.sha256}.{EXTENSIONS[image.format]}"
        path = self._root / name
        try:
            with replacing(path) as temporary:
                spool.replace(temporary)
        except TrifacetError:
            if not path.is_file():  # or else another worker has just stored the same bytes
                raise
        write_atomically(self._link(url), name)
        return name, image


@contextmanager
def _writing(path: Path) -> Iterator[Callable[[bytes], int]]:
    """A function that adds bytes to a new file and says how many it holds then."""

    def write(chunk: bytes) -> int:
        try:
            file.write(chunk)
        except OSError as error:  # told apart from the network's, which are retried
            raise cannot_write(path.parent, error) from None
        return file.tell()

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb", buffering=0)
    except OSError as error:
        raise cannot_write(path.parent, error) from None
    with file:
        yield write


def _parsed(url: str) -> httpx2.URL:
    """The parts of an address that may be asked."""
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise Unusable("address not allowed", problem=f"no address ({error})") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Unusable("address not allowed", problem="not http or https")
    if parsed.port is not None and not 0 < parsed.port <= 65535:
        raise Unusable("address not allowed", problem="no such port")
    if parsed.userinfo:
        raise Unusable("address not allowed", problem="holds credentials")
    return parsed


def _joined(url: httpx2.URL, location: str) -> str:
    try:
        return str(url.join(location))
    except (httpx2.InvalidURL, ValueError) as error:
        raise Unusable("download failed", problem=f"redirects to no address ({error})") from None


def _seconds(retry_after: str | None) -> float:
    """Seconds that a Retry-After header asks for: a number or a date."""
    if retry_after is None:
        return 0.0
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except Exception:  # whatever the parser trips over: years of 20 digits, letters
        return 0.0
