"""URLs of the database: both forms of several hosts, and one clear line for a malformed one."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from booking_tasks.kit.database_urls import _OPTIONS, checked_database_url, libpq_url
from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.settings import load_settings

SECRET = "hush-hush"


def read_by_both(url: str) -> dict[str, str]:
    """What libpq reads in a checked URL; SQLAlchemy must hand over the same."""
    by_libpq = {name: str(value) for name, value in conninfo_to_dict(libpq_url(url)).items()}
    engine = create_engine(url)
    arguments = engine.dialect.create_connect_args(make_url(url))[1]
    arguments.pop("context", None)
    if not str(arguments.get("port", "")).strip(","):
        arguments.pop("port", None)  # only commas: the usual port for each host
    assert {name: str(value) for name, value in arguments.items()} == by_libpq
    return by_libpq


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgresql://app@a:5432/booking", "a", "5432"),
        ("postgres://app@a/booking", "a", None),
        ("postgresql+psycopg://app:p%40ss@[::1]:5433/booking?sslmode=require", "::1", "5433"),
        ("postgresql://app@/booking?host=/var/run/postgresql", "/var/run/postgresql", None),
        ("postgresql://app@a:5432,b:5433/booking", "a,b", "5432,5433"),
        ("postgresql://app@a,b/booking", "a,b", None),
        ("postgresql://app@a:5432,b/booking", "a,b", "5432,"),
        ("postgresql://app@[::1]:5432,[::2]:5433/booking", "::1,::2", "5432,5433"),
        ("postgresql+psycopg://app@/booking?host=a:5432&host=b:5433", "a,b", "5432,5433"),
        ("postgresql+psycopg://app@/booking?host=a&host=b&host=c", "a,b,c", None),
        ("postgresql+psycopg://app@/booking?host=a,b&port=5432,5433", "a,b", "5432,5433"),
        ("postgresql://app@/booking?host=a,b&port=5432", "a,b", "5432,5432"),
        ("postgresql://app@/booking?host=a:5432,b:5433", "a,b", "5432,5433"),
        (" postgresql://app@a:5432,b:5433/booking\n", "a,b", "5432,5433"),
    ],
)
def test_sqlalchemy_and_libpq_read_the_same_hosts(url: str, hosts: str, ports: str | None) -> None:
    read = read_by_both(checked_database_url(url))
    assert (read["host"], read.get("port")) == (hosts, ports)
    assert (read["user"], read["dbname"]) == ("app", "booking")
    expected = "read-write" if "," in hosts else None
    assert read.get("target_session_attrs") == expected


def test_every_option_of_libpq_is_known() -> None:
    assert {option.keyword.decode() for option in Conninfo.get_defaults()} <= _OPTIONS


def test_options_of_the_url_are_kept() -> None:
    url = "postgresql://app@a,b/booking?target_session_attrs=primary&connect_timeout=2&sslmode=verify-full"
    read = read_by_both(checked_database_url(url))
    assert (read["target_session_attrs"], read["connect_timeout"]) == ("primary", "2")
    assert read["sslmode"] == "verify-full"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("localhost:5432/booking", "must start with postgresql://"),
        ("mysql://a/booking", "must start with postgresql://"),
        ("", "must start with postgresql://"),
        (f"postgresql://app:{SECRET}@a:54x2/booking", "port that is not a number"),
        (f"postgresql://app:{SECRET}@a:70000/booking", "port that is not a number"),
        (f"postgresql://app:{SECRET}@a:0,b:5432/booking", "port that is not a number"),
        (f"postgresql://app:{SECRET}@a:/booking", "port that is not a number"),
        (f"postgresql://app:{SECRET}@a,,b/booking", "has a host that cannot be read"),
        (f"postgresql://app:{SECRET}@a:1:2/booking", "port that is not a number"),
        (f"postgresql://app:{SECRET}@::1/booking", "has a host that cannot be read"),
        (f"postgresql://app:{SECRET}@[::1/booking", "bracket without its pair"),
        (f"postgresql://app:{SECRET}/x@a/booking", "in a password write / as %2F"),
        (f"postgresql://app:{SECRET}#x@a/booking", "write it as %23"),
        (f"postgresql://app:{SECRET}%x@a/booking", "write a percent sign as %25"),
        (f"postgresql://app:{SECRET} x@a/booking", "contains a space"),
        (f"postgresql://app:{SECRET}@a/one/two", "must be like postgresql://user"),
        (f"postgresql://app:{SECRET}@a/booking?sslmode", "options that are not like"),
        (f"postgresql://app:{SECRET}@a/booking?ssl_mode=require", "does not know: 'ssl_mode'"),
        (f"postgresql://app:{SECRET}@a/booking?sslmode=required", "impossible sslmode"),
        (
            f"postgresql://app:{SECRET}@a/booking?sslmode=require&sslmode=disable",
            "names the option sslmode twice",
        ),
        (
            f"postgresql://app:{SECRET}@a,b/booking?target_session_attrs=standby",
            "impossible target_session_attrs",
        ),
        (f"postgresql://app:{SECRET}@a,b/booking?connect_timeout=2s", "impossible connect_timeout"),
        (f"postgresql://app:{SECRET}@a/booking?host=b", "names hosts before the path and as host="),
        (f"postgresql://app:{SECRET}@a/booking?port=5433", "write each port behind its host"),
        (
            f"postgresql://app:{SECRET}@/booking?host=a:1&host=b:2&port=3,4",
            "ports behind the hosts and as port=",
        ),
        (f"postgresql://app:{SECRET}@/booking?host=a,b,c&port=1,2", "another number of ports than of hosts"),
        (f"postgresql://app:{SECRET}@/booking?host=a,b&port=1,x", "port that is not a number"),
    ],
)
def test_a_malformed_url_is_one_line_with_the_remedy_and_without_the_password(url: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"database_url": url})
    [line] = str(caught.value).splitlines()
    assert line.startswith("DATABASE_URL: ")
    assert fault in line
    assert SECRET not in line
