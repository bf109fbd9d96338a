"""Mail addresses: which can be used, which name one mailbox, and which are the service's own. Pure."""

from __future__ import annotations

import re

_ATOM = r"[!#$%&'*+/=?^_`{|}~A-Za-z0-9-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#: A dot-atom before the @ and a domain name of several labels behind it (RFC 5321 section 4.1.2).
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}")
#: The mailbox to which mail servers return what they cannot deliver.
_BOUNCES = frozenset({"bounce", "bounces"})
_LONGEST, _LONGEST_LOCAL_PART = 254, 64


def is_usable(address: str) -> bool:
    """Whether mail can be sent to an address: ASCII, without quotes, comments and addresses of hosts."""
    local, _, _ = address.rpartition("@")
    return (
        len(address) <= _LONGEST
        and len(local) <= _LONGEST_LOCAL_PART
        and _ADDRESS.fullmatch(address) is not None
    )


def mailbox_key(address: str) -> str:
    """Return what two addresses of one mailbox have in common: the address in lower case."""
    return address.lower()


def is_of_service(address: str, own: str) -> bool:
    """Whether an address leads to the service's own mailbox.

    That is `own` in any case, also with a detail (`own+detail@`, RFC 5233), and the mailbox for bounces in
    its domain.
    """
    (mailbox, domain), (own_mailbox, own_domain) = _without_detail(address), _without_detail(own)
    return domain == own_domain and mailbox in _BOUNCES | {own_mailbox}


def _without_detail(address: str) -> tuple[str, str]:
    local, _, domain = mailbox_key(address).rpartition("@")
    return local.partition("+")[0], domain
