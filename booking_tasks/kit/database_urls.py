"""The URL of the database, in SQLAlchemy's form or libpq's, with one host or several. Pure.

Several hosts are a primary and its standbys. Both forms become one that SQLAlchemy and libpq read alike:
`postgresql+psycopg://user@/name?host=a,b&port=5432,5433&target_session_attrs=read-write`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

_SCHEMES = {"postgres", "postgresql", "postgresql+psycopg"}
_DRIVER = "postgresql+psycopg"
#: With several hosts, the one that accepts writes is the primary. A standby would answer only reads.
_PRIMARY = ("target_session_attrs", "read-write")
_PRIMARIES = ("any", "read-write", "primary")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
#: The options of libpq 18; this module must not import psycopg, because effects read settings too.
_OPTIONS = frozenset(
    [
        "application_name",
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "dbname",
        "fallback_application_name",
        "gssdelegation",
        "gssencmode",
        "gsslib",
        "host",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "krbsrvname",
        "load_balance_hosts",
        "max_protocol_version",
        "min_protocol_version",
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_issuer",
        "oauth_scope",
        "options",
        "passfile",
        "password",
        "port",
        "replication",
        "require_auth",
        "requirepeer",
        "scram_client_key",
        "scram_server_key",
        "service",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcertmode",
        "sslcompression",
        "sslcrl",
        "sslcrldir",
        "sslkey",
        "sslkeylogfile",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "sslsni",
        "target_session_attrs",
        "tcp_user_timeout",
        "user",
    ]
)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.%]+\]|/[^:]*|[^:\[\]/]*)(?::(?P<port>.*))?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class _Host(NamedTuple):
    name: str
    port: str


def checked_database_url(value: str) -> str:
    """Return the URL with its driver, and several hosts in the form that SQLAlchemy and libpq both read.

    Raises ValueError with a text that names the fault and the remedy, and never quotes the password.
    """
    scheme, separator, rest = value.strip().partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ValueError("must start with postgresql://")
    parts = _split(rest)
    options = _options(parts.query)
    before_path = parts.netloc.rpartition("@")[2]
    hosts = [*_hosts(before_path), *_hosts_of_options(options, before_path)]
    others = [(name, text) for name, text in options if name not in {"host", "port"}]
    if len(hosts) == 1 and before_path:
        return f"{_DRIVER}://{rest}"
    if len(hosts) > 1 and _PRIMARY[0] not in dict(others):
        others.append(_PRIMARY)
    return _joined(parts, hosts, others)


def libpq_url(url: str) -> str:
    """Return a checked URL as libpq and psycopg read it, without SQLAlchemy's driver."""
    return url.replace("+psycopg://", "://", 1)


def _split(rest: str) -> SplitResult:
    try:
        parts = urlsplit(f"postgresql://{rest}")
    except ValueError:
        raise ValueError("has a bracket without its pair: write an IPv6 address like [::1]:5432") from None
    if parts.fragment or "#" in rest:
        raise ValueError("contains a #: write it as %23 in a password")
    if "@" in parts.path or parts.path.count("/") > 1:
        raise ValueError(
            "must be like postgresql://user:password@host:5432/name;"
            " in a password write / as %2F, @ as %40, ? as %3F and : as %3A"
        )
    if _BAD_ESCAPE.search(rest):
        raise ValueError("contains a % that is no escape such as %40: write a percent sign as %25")
    if re.search(r"\s", rest):
        raise ValueError("contains a space or a line end: remove it, or write it as %20")
    return parts


def _options(query: str) -> list[tuple[str, str]]:
    """Return the options after the question mark; only `host` may come twice."""
    try:
        options = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError("has options that are not like ?name=value&name=value") from None
    names = [name for name, _ in options]
    for name in names:
        if name != "host" and names.count(name) > 1:
            raise ValueError(f"names the option {name} twice: write it once")
    for name, text in options:
        if name not in _OPTIONS:
            raise ValueError(f"has an option that PostgreSQL does not know: {name[:40]!r}; remove it")
        _refuse_impossible(name, text)
    return options


def _refuse_impossible(name: str, text: str) -> None:
    allowed = {"target_session_attrs": _PRIMARIES, "sslmode": _SSL_MODES}.get(name)
    if allowed is not None and text not in allowed:
        raise ValueError(f"has an impossible {name}: write {', '.join(allowed[:-1])} or {allowed[-1]}")
    if name == "connect_timeout" and not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise ValueError("has an impossible connect_timeout: write whole seconds, such as 2")


def _hosts(text: str) -> Iterator[_Host]:
    """Return the hosts of `a:5432,b,[::1]:5433`, checked."""
    for one in text.split(",") if text else ():
        found = _HOST.fullmatch(one)
        if found is None or not found["name"]:
            raise ValueError(
                "has a host that cannot be read: write host:5432,host:5432 or host=a:5432&host=b:5432"
            )
        port = _checked_port(found["port"]) if found["port"] is not None else ""
        yield _Host(found["name"].strip("[]"), port)


def _checked_port(text: str) -> str:
    if not re.fullmatch(r"\d{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError("has a port that is not a number from 1 to 65535")
    return text


def _hosts_of_options(options: list[tuple[str, str]], before_path: str) -> Iterator[_Host]:
    """Return the hosts of `host=a:5432&host=b:5432`, or of `host=a,b&port=5432,5433`."""
    ports = [
        _checked_port(one) if one else ""
        for name, text in options
        if name == "port"
        for one in text.split(",")
    ]
    texts = [text for name, text in options if name == "host"]
    if texts and before_path:
        raise ValueError("names hosts before the path and as host=: write them in one place")
    if ports and before_path:
        raise ValueError("names hosts before the path and a port=: write each port behind its host")
    hosts = [host for text in texts for host in _hosts(text)]
    if any(host.port for host in hosts) and ports:
        raise ValueError("names ports behind the hosts and as port=: write them in one place")
    if len(ports) not in {0, 1, len(hosts)}:
        raise ValueError("has another number of ports than of hosts: write one port for each host")
    if not hosts:
        return iter([_Host("", ports[0])] if ports else [])
    if not ports:
        return iter(hosts)
    return (
        host._replace(port=port) for host, port in zip(hosts, ports * (len(hosts) // len(ports)), strict=True)
    )


def _joined(parts: SplitResult, hosts: list[_Host], others: list[tuple[str, str]]) -> str:
    user, at, _ = parts.netloc.rpartition("@")
    options = list(others)
    if any(host.port for host in hosts):
        options.insert(0, ("port", ",".join(host.port for host in hosts)))
    if any(host.name for host in hosts):
        options.insert(0, ("host", ",".join(unquote(host.name) for host in hosts)))
    query = "&".join(f"{name}={quote(text, safe='/,:-._')}" for name, text in options)
    return f"{_DRIVER}://{user}{at}{parts.path or '/'}" + (f"?{query}" if query else "")
