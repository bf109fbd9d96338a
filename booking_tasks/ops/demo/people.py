"""The people of the demo: consultants and learners in several zones, with two languages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Literal
from uuid import UUID, uuid5

_FAMILY = UUID("6f1d0a4e-52c3-4f0a-9a53-0b5c1d5a7e10")

#: The two days of the scenario: on Monday the sessions are booked, on Tuesday they take place.
MONDAY = datetime(2027, 3, 1, 7, 0, tzinfo=UTC)
TUESDAY = datetime(2027, 3, 2, 0, 0, tzinfo=UTC)
WEDNESDAY = datetime(2027, 3, 3, 0, 0, tzinfo=UTC)


def identity(name: str) -> UUID:
    """Return an id that is the same for the same name in every run."""
    return uuid5(_FAMILY, name)


@dataclass(frozen=True)
class DemoPerson:
    """One person, with the values of the directory."""

    name: str
    zone: str
    language: Literal["en", "de"] = "en"
    skills: tuple[str, ...] = ()

    @property
    def id(self) -> UUID:
        return identity(self.name)

    @property
    def email(self) -> str:
        return self.name.lower().replace(" ", ".").replace("dr.", "") + "@example.org"


WEBER = DemoPerson("Dr Lena Weber", "Europe/Berlin", "de", ("linear algebra", "analysis"))
OKAFOR = DemoPerson("Dr Chidi Okafor", "Africa/Lagos", "en", ("statistics", "python"))
SOUSA = DemoPerson("Ana Sousa", "America/Sao_Paulo", "en", ("academic writing",))
NAIR = DemoPerson("Priya Nair", "Asia/Kolkata", "en", ("academic writing", "project planning"))
CONSULTANTS = (WEBER, OKAFOR, SOUSA, NAIR)

MIRA = DemoPerson("Mira Lang", "Europe/Vienna", "de")
BEN = DemoPerson("Ben Hall", "Europe/London")
CHLOE = DemoPerson("Chloe Martin", "Europe/Paris")
TOM = DemoPerson("Tom Reed", "America/New_York")
YUKI = DemoPerson("Yuki Tanaka", "Asia/Tokyo")
LEARNERS = (MIRA, BEN, CHLOE, TOM, YUKI)

OPENS, CLOSES = time(9), time(17)

TUTORING = identity("service: tutoring")
REVIEW = identity("service: thesis review")
