"""Zones come from the pinned package, whatever the system has."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from booking_tasks.contracts.base import ZoneName
from booking_tasks.kit.time_zones import tzdata_version, zone

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lying_system(tmp_path: Path) -> Iterator[None]:
    """A system on which Berlin has Tokyo's time."""
    tokyo = resources.files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Berlin").write_bytes(tokyo)
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    zone.cache_clear()
    yield
    zoneinfo.reset_tzpath(to=before)
    zone.cache_clear()


@pytest.mark.usefixtures("lying_system")
def test_the_package_is_preferred_over_the_system() -> None:
    noon = datetime(2027, 1, 1, 12)
    assert zoneinfo.ZoneInfo.no_cache("Europe/Berlin").utcoffset(noon) == timedelta(hours=9)
    assert zone("Europe/Berlin").utcoffset(noon) == timedelta(hours=1)
    assert zone("Europe/Berlin").key == "Europe/Berlin"


def test_nothing_else_makes_zones() -> None:
    making = re.compile(r"ZoneInfo\(")
    files = [path for path in (ROOT / "booking_tasks").rglob("*.py") if path.name != "zones.py"]
    assert len(files) > 100
    assert [str(path) for path in files if making.search(path.read_text(encoding="utf-8"))] == []


def test_the_version_is_that_of_the_locked_package() -> None:
    [locked] = re.findall(
        r"^tzdata==(\d+)\.(\d+)", (ROOT / "requirements-runtime.lock").read_text(), re.MULTILINE
    )
    assert tzdata_version() == f"{locked[0]}{chr(ord('a') + int(locked[1]) - 1)}"


@pytest.mark.parametrize(
    "name", ["Mars/Base", "Europe", "", "../Berlin", "Europe/Berlin/", "tzdata.zi", "zone\0"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(KeyError):
        zone(name)
    with pytest.raises(ValidationError, match="write it like Europe/Vienna"):
        TypeAdapter(ZoneName).validate_python(name)
