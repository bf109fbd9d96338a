"""The network addresses from which a calendar may be fetched. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

#: IPv6 networks that are translated to IPv4 (RFC 6052 section 2.1, RFC 8215): the IPv4 address counts.
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


def is_public(address: str) -> bool:
    """Whether an address belongs to one host on the public internet.

    Addresses of this host, of private networks, of a link, of a cloud's own services and of groups are not
    public, nor is an IPv6 address that stands for one of them.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(one.is_global and not one.is_multicast for one in (parsed, *_inside(parsed)))


def _inside(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for or is routed to."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if any(address in network for network in _TRANSLATED):
        yield IPv4Address(int(address) & 0xFFFF_FFFF)


def is_plainly_private(url: str, private_hosts: Collection[str]) -> bool:
    """Whether a URL names a host that cannot be public, decided without a lookup."""
    host = (urlsplit(url).hostname or "").casefold().rstrip(".")
    if host in {one.casefold() for one in private_hosts}:
        return False
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return not is_public(host)
