"""Who plays: a small catalogue of consultants and learners in several zones and two languages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Literal
from uuid import UUID, uuid5

_FAMILY = UUID("6f1d0a4e-52c3-4f0a-9a53-0b5c1d5a7e10")

#: The story's two days: a Monday on which everything is agreed, a Tuesday on which it happens.
MONDAY = datetime(2027, 3, 1, 7, 0, tzinfo=UTC)
TUESDAY = datetime(2027, 3, 2, 0, 0, tzinfo=UTC)
WEDNESDAY = datetime(2027, 3, 3, 0, 0, tzinfo=UTC)


def identity(name: str) -> UUID:
    """The same name is the same person in every run."""
    return uuid5(_FAMILY, name)


@dataclass(frozen=True)
class Person:
    """One player, with what the directory knows of them."""

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


WEBER = Person("Dr Lena Weber", "Europe/Berlin", "de", ("linear algebra", "analysis"))
OKAFOR = Person("Dr Chidi Okafor", "Africa/Lagos", "en", ("statistics", "python"))
SOUSA = Person("Ana Sousa", "America/Sao_Paulo", "en", ("academic writing",))
NAIR = Person("Priya Nair", "Asia/Kolkata", "en", ("academic writing", "project planning"))
CONSULTANTS = (WEBER, OKAFOR, SOUSA, NAIR)

MIRA = Person("Mira Lang", "Europe/Vienna", "de")
BEN = Person("Ben Hall", "Europe/London")
CHLOE = Person("Chloe Martin", "Europe/Paris")
TOM = Person("Tom Reed", "America/New_York")
YUKI = Person("Yuki Tanaka", "Asia/Tokyo")
LEARNERS = (MIRA, BEN, CHLOE, TOM, YUKI)

OPENS, CLOSES = time(9), time(17)

TUTORING = identity("service: tutoring")
REVIEW = identity("service: thesis review")
