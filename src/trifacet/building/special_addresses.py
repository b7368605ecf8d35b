"""Ranges of addresses that are not the public internet's, as of ``AS_OF``.

Invariant: all of IANA's registries of special-purpose addresses whose ranges are not globally reachable, and those that
are but serve one network or machine only; Python's own list depends on its version and lacks some.
"""

from __future__ import annotations

from ipaddress import ip_network

AS_OF = "2026-11-29"

SPECIAL = [
    ip_network(one)
    for one in (
        # IANA IPv4 Special-Purpose Address Registry, and the blocks of multicast
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider's customers; 100.100.100.200 is a cloud's metadata server
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link local; 169.254.169.254 is the metadata server of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is a cloud's metadata server
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # automatic multicast tunnelling
        "192.88.99.0/24",  # relays of 6to4, no longer used
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        # public by number, a cloud's own host inside its networks
        "168.63.129.16/32",
        # IANA IPv6 Special-Purpose Address Registry, within 2000::/3: all else is not global unicast
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID, ...
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: wraps IPv4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
]
GLOBAL_UNICAST = ip_network("2000::/3")  # whatever is outside is loopback, local, multicast, reserved or translated
WRAPPING_IPV4 = [ip_network("::ffff:0:0/96"), ip_network("64:ff9b::/96")]  # mapped; NAT64, whose last 32 bits are meant
