"""Types of settings, each with its impossible values and their remedy. Pure."""

from __future__ import annotations

import re
from datetime import timedelta
from email.errors import MessageError
from email.headerregistry import Address
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from booking_tasks.context import Weights
from booking_tasks.kit.lines import plain_line

_SHORT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|)\s*$")
_UNIT = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
#: Longer than any age or deadline; an instant that lies so far away can still be computed.
_LONGEST = timedelta(days=36525)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NO_SPACE = re.compile(r"[\x21-\x7e]+")


def _duration(value: object) -> object:
    if isinstance(value, str) and (short := _SHORT.match(value)):
        try:
            return timedelta(**{_UNIT[short[2]]: float(short[1])})
        except OverflowError:
            return timedelta.max
    return value


def _not_endless(value: timedelta) -> timedelta:
    if value > _LONGEST:
        raise ValueError("must be at most 100 years, which is 36525d")
    return value


def _durations(value: object) -> object:
    if isinstance(value, str):
        return tuple(_duration(part) for part in value.split(",") if part.strip())
    return value


def _texts(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _weights(value: object) -> object:
    """Read weights such as `fairness=20, earliest=5`; terms that are not named keep their defaults."""
    if not isinstance(value, str):
        return value
    changes: dict[str, float] = {}
    for part in filter(None, map(str.strip, value.split(","))):
        term, separator, weight = (one.strip() for one in part.partition("="))
        try:
            number = float(weight)
        except ValueError:
            number = None
        if not separator or number is None:
            raise ValueError("must be terms with their weights, such as fairness=20,earliest=5")
        if term in changes:
            raise ValueError(f"names {term} twice")
        changes[term] = number
    weights = Weights().with_changes(changes)
    if weights.problem is not None:
        raise ValueError(weights.problem)
    return weights


def _none_when_empty(value: object) -> object:
    """Read an empty variable as one that is not set, as Compose writes it."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return None if isinstance(text, str) and not text.strip() else value


def _domain(value: str) -> str:
    if len(value) > 253 or not _DOMAIN.fullmatch(value):
        raise ValueError("must be a domain such as booking.example.org, other scripts in the form xn--")
    return value


def _host(value: str) -> str:
    try:
        ip_address(value)
    except ValueError:
        if len(value) > 253 or not _DOMAIN.fullmatch(value):
            raise ValueError(
                "must be a host's name or address alone, such as smtp.example.org: no port, no scheme"
            ) from None
    return value


def _hosts(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_host, values))


def _mail_address(value: str) -> str:
    try:
        address = Address(addr_spec=value)
    except (MessageError, ValueError, IndexError):
        address = Address()
    if not address.username or not _DOMAIN.fullmatch(address.domain) or not _NO_SPACE.fullmatch(value):
        raise ValueError("must be one mail address such as booking@example.org, without a name")
    return value


def _web_address(value: str) -> str:
    """Check the address of a server that is called over http or https."""
    parts = _parts(value)
    if (
        parts.scheme not in {"https", "http"}
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ValueError(
            "must be an address such as https://booking.example.org, without query, fragment and account"
        )
    return value.rstrip("/")


def _redis_url(value: str) -> str:
    parts = _parts(value)
    database = parts.path.strip("/")
    if (
        parts.scheme not in {"redis", "rediss"}
        or not parts.hostname
        or (database and not database.isdecimal())
    ):
        raise ValueError("must be like redis://user:password@host:6379/0, or rediss:// with TLS")
    return value


def _broker_url(value: str) -> str:
    """Check the URL of a broker or a result backend, of any scheme; `;` separates several."""
    for one in value.split(";"):
        if not _parts(one).scheme or "://" not in one:
            raise ValueError("must be a URL such as amqp://user:password@host:5672/vhost")
        if one.startswith(("redis://", "rediss://")):
            _redis_url(one)
    return value


def _parts(value: str) -> SplitResult:
    """Return the parts of a URL. Raises ValueError without quoting it: it may contain a password."""
    if not _NO_SPACE.fullmatch(value):
        raise ValueError("contains a space, a line end or a letter that must be escaped with %")
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError("has a bracket without its pair: write an IPv6 address like [::1]:6379") from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(
            "has a port that is not a number from 1 to 65535; in a password write @ as %40, / as %2F"
        )
    return parts


def _token(value: str) -> str:
    if not _NO_SPACE.fullmatch(value):
        raise ValueError("must be letters, digits and signs without a space")
    return value


def _secret_token(value: SecretStr) -> SecretStr:
    _token(value.get_secret_value())
    return value


def _line(value: str) -> str:
    if not value.strip() or len(value) > 200:
        raise ValueError("must be one line of 1 to 200 letters")
    return plain_line(value)


def _file(value: Path) -> Path:
    if value == Path() or value.is_dir():
        raise ValueError("must be the path of a file, such as /tmp/booking-tasks-heartbeat")
    return value


Duration = Annotated[
    timedelta, BeforeValidator(_duration), Field(gt=timedelta(0)), AfterValidator(_not_endless)
]
DurationOrNone = Annotated[
    timedelta, BeforeValidator(_duration), Field(ge=timedelta(0)), AfterValidator(_not_endless)
]
Durations = Annotated[tuple[Duration, ...], NoDecode, BeforeValidator(_durations)]
WeightsSetting = Annotated[Weights, NoDecode, BeforeValidator(_weights)]

Domain = Annotated[str, AfterValidator(_domain)]
Host = Annotated[str, AfterValidator(_host)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_texts), AfterValidator(_hosts)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
BrokerUrl = Annotated[str, AfterValidator(_broker_url)]
Token = Annotated[str, AfterValidator(_token)]
SecretToken = Annotated[SecretStr, AfterValidator(_secret_token)]
Line = Annotated[str, AfterValidator(_line)]
FilePath = Annotated[Path, AfterValidator(_file)]

#: What may be left out: an empty variable counts as not set.
NoneWhenEmpty = BeforeValidator(_none_when_empty)
