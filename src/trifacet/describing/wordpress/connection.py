"""Requests to one WordPress site, bounded in bytes and in time.

Invariant: nothing is sent to another place than the site that was named, and the application password only over https,
or to this machine; it is in no message and in no file. What fails and may pass is asked again where it changes nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import MissingPackageError
from trifacet.base.opening import read_text
from trifacet.describing.wordpress.answers import read_answer, refusal
from trifacet.llm.response import retry_after
from trifacet.web.access import is_loopback

if TYPE_CHECKING:
    import ssl

    from httpx2 import Response

PASSWORD = "WORDPRESS_APPLICATION_PASSWORD"  # the environment variable
_MAX_BYTES = 64_000_000  # of an answer
_SECONDS = 120.0  # for a request and its answer
_LONGEST_PAUSE = 120.0  # seconds that a site may ask us to wait
_LONGEST_SECRET = 1000
_REDIRECTS = 3
_PASSING = (408, 425, 429)  # and 5xx


class UnusableError(TrifacetError):
    """The site can't be asked any more by this run."""


class PassingError(TrifacetError):
    """A failure that may pass; ``wait`` is how long the site asks us to, in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True)
class Account:
    """Who asks. The password is shown nowhere."""

    user: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """The value of ``Authorization``."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def hidden(self, text: str) -> str:
        """A text without the password, however it is written in it."""
        for secret in (self.password, self.password.replace(" ", ""), self.header.removeprefix("Basic ")):
            text = text.replace(secret, "***")
        return text


def read_account(user: str, file: Path | None) -> Account:
    """The account, with the application password of a file or of the environment.

    Raises:
        TrifacetError: no password is given, or what cannot be one.
    """
    where = f"the environment variable {PASSWORD}" if file is None else str(file)
    password = (os.environ.get(PASSWORD, "") if file is None else read_text(file, _LONGEST_SECRET)).strip()
    if not user.strip():
        raise TrifacetError("give --user, the name of the account that has the application password")
    if ":" in user or not user.isprintable():
        raise TrifacetError("--user is no name of an account: it holds a colon or what nobody sees")
    if not password:
        raise TrifacetError(
            f"{where} holds no application password; make one under Users > Profile > Application Passwords, and set "
            f"{PASSWORD} or give --password-file"
        )
    if not (password.isascii() and password.isprintable() and len(password) <= _LONGEST_SECRET):
        raise TrifacetError(f"{where} holds what cannot be an application password; set it anew")
    return Account(user.strip(), password)


def site_address(address: str) -> str:
    """The address of a site as it is compared and shown. Raises TrifacetError for one that may not be asked."""
    try:
        parts = urlsplit(address.strip())
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise TrifacetError(f"{address.strip()[:200]!r} is no address of a site; write one such as https://example.org")
    if parts.username is not None or parts.password is not None:
        raise TrifacetError(f"the site's address holds an account; give --user, and the password by {PASSWORD}")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise TrifacetError(f"{parts.hostname} is to be asked by https, so that nobody reads the password on its way")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


@cache
def _certificates() -> ssl.SSLContext:
    """Those that this machine trusts, read once."""
    import httpx2

    return httpx2.create_ssl_context()


class Connection:
    """To one site, by one account.

    Args:
        address: as ``site_address`` gives it.
        account: who asks.
        tell: is called with a line about what is odd and no error.
        pause: seconds before a request is sent again; they double.
        tries: how often a request is sent that fails and may pass.
        seconds: for a request and its answer.

    Raises:
        TrifacetError: a package is missing.
    """

    def __init__(
        self,
        address: str,
        account: Account,
        tell: Callable[[str], None] = lambda line: None,
        *,
        pause: float = 1.0,
        tries: int = 5,
        seconds: float = _SECONDS,
    ) -> None:
        try:
            import httpx2
        except ModuleNotFoundError as error:
            told = "asking a WordPress site needs httpx2, which is not installed; pip install 'trifacet[alt]'"
            raise MissingPackageError(told, name=error.name) from None
        self.address, self.account, self.tries = address, account, tries
        self._tell, self._pause, self._seconds = tell, pause, seconds
        self._origin = _origin(address)
        self._told = False  # that something stands before the JSON
        self._runner = asyncio.Runner()
        self._client = httpx2.AsyncClient(
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Trifacet"},
            timeout=httpx2.Timeout(min(30.0, seconds), connect=min(10.0, seconds)),
            verify=_certificates(),
            trust_env=urlsplit(address).scheme == "https",  # nothing goes to a proxy that could be read there
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._runner.run(self._client.aclose())
        self._runner.close()

    # --- one request ------------------------------------------------------------------------------------------------

    def ask(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> tuple[Any, Mapping[str, str]]:
        """The JSON of one answer, and its headers. Asked once.

        Raises:
            PassingError: it failed, and may work again.
            RefusedError: the site refuses it.
            TrifacetError: it failed otherwise.
        """
        place = f"{method} {self._shown(url)}"
        response, content = self.fetch(method, url, body)
        status = response.status_code
        if status in _PASSING or status >= 500:
            wait = retry_after(response.headers)
            if wait is not None and wait > _LONGEST_PAUSE:
                raise UnusableError(f"{place} answers {status} and asks to wait {wait:.0f} s; try again then")
            raise PassingError(f"{place} answers {status}", wait)
        try:
            value, before = read_answer(content, place)
        except TrifacetError as error:
            if status >= 400 and (other := refusal(status, None, place)) is not None:
                raise self._hidden(other) from None
            raise self._hidden(error) from None
        if before and not self._told:
            self._told = True
            self._tell(f"{self._shown(url)}: {before} characters stand before the JSON; a plugin prints them: mend it")
        if (refused := refusal(status, value, place)) is not None:
            raise UnusableError(self.account.hidden(str(refused))) if refused.status == 401 else self._hidden(refused)
        return value, response.headers

    def patient(self, url: str) -> tuple[Any, Mapping[str, str]]:
        """The same for what only reads, asked again while it fails and may pass.

        Raises:
            UnusableError: it did not pass.
            TrifacetError: it failed otherwise.
        """
        for attempt in range(1, self.tries + 1):
            try:
                return self.ask("GET", url)
            except PassingError as error:
                self.rest(error, attempt)
        raise AssertionError("unreachable")

    def rest(self, error: PassingError, attempt: int) -> None:
        """Wait before the next try. Raises UnusableError where ``attempt`` was the last."""
        if attempt >= self.tries:
            raise UnusableError(f"{error}, {attempt} times; the same command continues later") from None
        pause = min(self._pause * 2 ** (attempt - 1), _LONGEST_PAUSE)
        time.sleep(max(error.wait or 0.0, pause * random.uniform(0.5, 1)))

    def fetch(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> tuple[Response, bytes]:
        """One answer as it comes; what only reads follows redirects within the site. Raises as ``ask``."""
        for _ in range(_REDIRECTS + 1):
            if _origin(url) != self._origin:  # an address that the site itself gave
                raise UnusableError(f"{self.address} names {self._shown(url)[:200]} as its own; give that as the site")
            response, content = self._runner.run(self._exchange(method, url, body))
            if response.status_code // 100 != 3 or response.status_code == 304:
                return response, content
            url = str(response.url.join(response.headers.get("location", "")))
            if _origin(url) != self._origin or method != "GET":
                raise UnusableError(
                    f"{self.address} sends on to {self._shown(url)[:200]}; nothing is sent there: give that as the site"
                )
        raise UnusableError(f"{self.address} sends on more than {_REDIRECTS} times; see what stands before the site")

    async def _exchange(self, method: str, url: str, body: Mapping[str, Any] | None) -> tuple[Response, bytes]:
        import httpx2

        place = f"{method} {self._shown(url)}"
        headers = {"Authorization": self.account.header}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body).encode()
        try:
            async with asyncio.timeout(self._seconds):
                async with self._client.stream(method, url, content=content, headers=headers) as response:
                    return response, await self._content(response, place)
        except (TimeoutError, httpx2.TimeoutException):
            raise PassingError(f"{place}: no answer in time") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            said = self.account.hidden(" ".join(str(error).split())[:200] or type(error).__name__)
            if "CERTIFICATE" in said.upper():
                raise UnusableError(f"{place}: {said}; mend the site's certificate") from None
            raise PassingError(f"{place}: {said}") from None

    @staticmethod
    async def _content(response: Response, place: str) -> bytes:
        """The body as it came: nothing is unpacked, for a few bytes can make gigabytes."""
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise UnusableError(
                f"{place} packs its answer, though it was asked not to; see what stands before the site"
            )
        content = bytearray()
        async for part in response.aiter_raw():
            content += part
            if len(content) > _MAX_BYTES:
                raise TrifacetError(f"{place} answers with more than {_MAX_BYTES // 1_000_000} MB; ask for less")
        return bytes(content)

    def _shown(self, url: str) -> str:
        return self.account.hidden(url.split("&", 1)[0] if "rest_route=" in url else url.split("?", 1)[0])

    def _hidden(self, error: TrifacetError) -> TrifacetError:
        error.args = tuple(self.account.hidden(str(part)) for part in error.args)
        return error


def _origin(address: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", "", 0
    return parts.scheme, (parts.hostname or "").lower(), port
