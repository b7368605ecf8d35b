"""Which network addresses a download may connect to.

Invariant: a name is resolved once, here, and the connection goes to the very address that was checked: an answer that
changes between check and connection (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import httpcore2

from trifacet.building.image_files import Unusable
from trifacet.building.special_addresses import GLOBAL_UNICAST, SPECIAL, WRAPPING_IPV4

_CONNECT_SECONDS = 5.0  # for one address of a host


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also where it wraps an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if any(ip in network for network in WRAPPING_IPV4):
        ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip.version == 6 and ip not in GLOBAL_UNICAST:
        return False
    return not any(ip in network for network in SPECIAL)


class CheckedBackend(httpcore2.AnyIOBackend):
    """Connects to addresses that were checked: the name is resolved here, once, and no more after that."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first address of ``host`` that is allowed and answers; raises Unusable if none is."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise httpcore2.ConnectError(f"name not resolved ({error.strerror})") from None
            raise Unusable("download failed", problem=f"no such host ({error.strerror})") from None
        except UnicodeError:
            raise Unusable("download failed", problem="not a host's name") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        allowed = [address for address in addresses if self._allow_private or is_public(address)]
        if not allowed:
            raise Unusable("address not allowed", host=host, addresses=addresses)
        for address in allowed[:3]:
            try:
                return await super().connect_tcp(address, port, _CONNECT_SECONDS, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure
