"""The network addresses from which a calendar may be fetched. Pure."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

#: IPv6 networks whose addresses stand for IPv4 addresses: NAT64 (RFC 6052 section 2.1, RFC 8215), 6to4
#: (RFC 3056) and Teredo (RFC 4380). No calendar needs them, and they could lead to this host.
_MAPPED_TO_IPV4 = tuple(
    IPv6Network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
#: For documentation (RFC 9637): newer than what some versions of Python know.
_DOCUMENTATION = IPv6Network("3fff::/20")
#: What the registries of special addresses (RFC 6890) say of single hosts: for protocols and relays only.
_FOR_PROTOCOLS = frozenset(
    IPv4Address(one) for one in ("192.0.0.8", "192.0.0.9", "192.0.0.10", "192.88.99.1")
)


def is_public(address: str) -> bool:
    """Whether an address belongs to one host on the public internet.

    Addresses of this host, of private networks, of a link, of a site, of a cloud's own services and of groups
    are not public, nor is an IPv6 address that stands for an IPv4 address, except for a mapped one (RFC 4291
    section 2.5.5.2), of which the IPv4 address counts. `is_global` alone calls some of these public.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_global and not _is_special(parsed)


def _is_special(address: IPv4Address | IPv6Address) -> bool:
    if address.is_multicast or address.is_unspecified or address.is_reserved:
        return True
    if isinstance(address, IPv4Address):
        return address in _FOR_PROTOCOLS
    special = (_DOCUMENTATION, *_MAPPED_TO_IPV4)
    return address.is_site_local or any(address in network for network in special)


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
