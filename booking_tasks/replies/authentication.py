"""Whether the deployment's own mail server proved the sender of a mail (RFC 8601, RFC 7489). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from booking_tasks.enums import Authentication
from booking_tasks.replies.authentication_results import (
    MOST_RESULTS,
    AuthenticationResults,
    MethodResult,
    UnreadableHeaderError,
    authserv_id,
    parse,
    tokens,
)


def authentication(headers: Iterable[tuple[str, str]], authserv: str, sender: str) -> Authentication:
    """Return whether the server of this name proved the sender.

    `headers` are all headers of the mail from the top, `sender` is the one address in its From. Only what
    stands above the first Received of another server can be ours; the rest came with the mail. DMARC must
    have passed for the sender's domain. For a domain without a DMARC record (no result, or `none`) a DKIM
    signature of exactly that domain is enough; SPF never is.
    """
    domain = _domain(sender.rpartition("@")[2])
    try:
        found = [parse(one) for one in _own(headers, authserv)]
    except UnreadableHeaderError:
        return Authentication.UNREADABLE
    if sum(len(one.results) for one in found) > MOST_RESULTS:
        return Authentication.UNREADABLE
    return Authentication.PASSED if domain and _has_passed(found, domain) else Authentication.FAILED


def _own(headers: Iterable[tuple[str, str]], authserv: str) -> Iterator[str]:
    for name, value in headers:
        if name.lower() == "received" and not _is_added_by(value, authserv):
            return
        if name.lower() == "authentication-results" and _names(value, authserv):
            yield value


def _names(header: str, authserv: str) -> bool:
    """Return whether a header is of this server, by its own claim; one without a readable name is not."""
    try:
        return authserv_id(header).lower() == authserv.lower()
    except UnreadableHeaderError:
        return False


def _is_added_by(received: str, authserv: str) -> bool:
    """Return whether a Received was added by the server, or a host below its name (RFC 5321 section 4.4)."""
    found = tokens(received)
    if "by" not in found[:-1]:
        return False
    host = found[found.index("by") + 1].rstrip(";").lower()
    return f".{host}".endswith(f".{authserv.lower()}")


def _has_passed(found: list[AuthenticationResults], domain: str) -> bool:
    dmarc = [[one for one in header.results if one.method == "dmarc"] for header in found]
    if any(len(of_header) > 1 for of_header in dmarc):
        return False
    verdicts = [one for of_header in dmarc for one in of_header]
    if any(one.result != "none" for one in verdicts):
        return all(one.result == "pass" and _values(one, "header", "from") == {domain} for one in verdicts)
    return any(
        one.method == "dkim" and one.result == "pass" and _values(one, "header", "d") == {domain}
        for header in found
        for one in header.results
    )


def _values(result: MethodResult, type_: str, name: str) -> set[str]:
    return {_domain(one.value) for one in result.properties if (one.type, one.name) == (type_, name)}


def _domain(text: str) -> str:
    """Return a domain in the form in which domains are compared: ASCII, lower case; empty when it is none."""
    try:
        return text.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
