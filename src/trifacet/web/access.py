"""Who may see the page: links, cookies, the proof that a form is ours, and the names a request may call us by.

Invariant: all of them are made of the store's secret, compared in constant time, and none tells the secret; so a link
stays good when the same command is given again, and one of another store never fits.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Sequence
from functools import cache

LONGEST_NAME = 60  # characters of a judge's name


class Access:
    """The keys of one review.

    Args:
        secret: the store's.
        judges: who may vote, each by a link of their own; none: one link for all, where each gives a name.
    """

    def __init__(self, secret: bytes, judges: Sequence[str] = ()) -> None:
        self._secret = secret
        self.judges = tuple(judges)
        self.cookie = f"trifacet_review_{self._mac('cookie name', '')[:8]}"  # hosts share cookies among their ports

    def token(self, judge: str = "") -> str:
        """What the link of ``judge`` ends in; "" is the link for all."""
        return self._mac("link", judge)

    def admitted(self, token: str) -> str | None:
        """Whose link ``token`` is ("" for all), or None: nobody's."""
        found = None
        for judge in self.judges or ("",):  # all are compared, so that time tells nothing
            if hmac.compare_digest(self.token(judge).encode(), token.encode("utf-8", "replace")):
                found = judge
        return found

    def session(self, judge: str) -> str:
        """The cookie's value for ``judge``; "" is one who has come in but has no name yet."""
        name = base64.urlsafe_b64encode(judge.encode()).decode().rstrip("=")
        return f"{name}.{self._mac('session', judge)}"

    def visitor(self, session: str | None) -> str | None:
        """The judge ("" without a name yet) that a cookie belongs to, or None: nobody that may come in."""
        name, _, mac = (session or "").partition(".")
        try:
            judge = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
        except ValueError:
            return None
        if not hmac.compare_digest(self._mac("session", judge).encode(), mac.encode("utf-8", "replace")):
            return None
        return None if self.judges and judge not in self.judges else judge

    def proof(self, judge: str) -> str:
        """What every form of ours carries, so that no other page can send one in a judge's name."""
        return self._mac("proof", judge)

    def proven(self, judge: str, proof: str) -> bool:
        """Whether a form came from one of our pages."""
        return hmac.compare_digest(self.proof(judge).encode(), proof.encode("utf-8", "replace"))

    def _mac(self, purpose: str, text: str) -> str:
        digest = hmac.new(self._secret, f"{purpose}\0{text}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:24]).decode()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def may_be_called(header: str, bound: str) -> bool:
    """Whether a request's Host header may name a server that is bound to ``bound``.

    A page of a stranger's whose name is made to point at us (DNS rebinding) sends that name. So addresses are taken,
    only loopback ones where we are bound to loopback, and of the names localhost, the machine's own and ``bound``.
    """
    host = header.rpartition("]")[0].removeprefix("[") if header.startswith("[") else header.partition(":")[0]
    host = host.lower().rstrip(".")
    if is_loopback(host):
        return True
    if is_loopback(bound):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == bound.lower() or host in _own_names()
    return True


@cache
def _own_names() -> set[str]:
    return {socket.gethostname().lower(), socket.getfqdn().lower()}
