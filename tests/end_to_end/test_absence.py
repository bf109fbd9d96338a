"""A consultant who cannot come: their sessions go to others, and everybody hears of it once and rightly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from booking_tasks.contracts import (
    AddLeave,
    AnswerProposal,
    ApplyAbsencePlan,
    PlanAbsence,
    ReassignSession,
    SetAvailability,
    SingleSlot,
    UndoAbsencePlan,
    UpsertConsultant,
)
from booking_tasks.kit.ids import uuid7
from booking_tasks.outbox.workflow import PUBLISHED
from tests.end_to_end.scenario import DAY, HOUR, MINUTE, Person, ReceivedMail, Scenario

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def works(scenario: Scenario, who: Person, *spans: tuple[datetime, int]) -> None:
    """Someone who is there in each (start, hours) alone."""
    scenario.send(
        UpsertConsultant, consultant_user_id=who.id, time_zone="UTC", specializations=(scenario.skill,)
    )
    single = tuple(
        SingleSlot(day=start.date(), start=start.time(), end=(start + hours * HOUR).time())
        for start, hours in spans
    )
    scenario.send(SetAvailability, consultant_user_id=who.id, single=single)


def summaries(letters: list[ReceivedMail], since: int = 0) -> list[tuple[str | None, int | None, str]]:
    """(method, SEQUENCE, first word of the subject) of each letter."""
    return [(one.method, one.sequence, one.subject.partition(":")[0]) for one in letters[since:]]


def assert_notified_once(scenario: Scenario, request_id: UUID, people: Sequence[Person]) -> None:
    """As at the end of every scenario, while the session is still to come: its reminders wait."""
    heard = [event["id"] for event in scenario.published(request_id)]
    assert heard == [str(one.id) for one in scenario.history(request_id) if one.type in PUBLISHED]
    assert len(heard) == len(set(heard))
    assert set(Counter(one.message_id for one in scenario.letters(*people)).values()) <= {1}


def reassign(scenario: Scenario, session_id: UUID, who: Person) -> None:
    outcome = scenario.send(
        ReassignSession, actor="desk", session_id=session_id, consultant_user_id=who.id, reason="ill"
    )
    assert (outcome.result, outcome.consultant_user_id) == ("done", who.id)
    scenario.stage.settle()


def test_a_session_that_goes_to_a_colleague_and_back_is_one_event_at_each_who_has_it(
    scenario: Scenario,
) -> None:
    service_type, ten = scenario.offer(), scenario.morning + 2 * DAY + 2 * HOUR
    mira, okafor = scenario.person("Mira"), scenario.person("Okafor")
    works(scenario, okafor, (ten, 1))
    request = scenario.submit(mira, service_type, ten)
    session = scenario.session(request)
    stein = scenario.person("Stein")
    works(scenario, stein, (ten, 1))

    reassign(scenario, session.id, stein)
    reassign(scenario, session.id, okafor)

    invited = ("REQUEST", 0, "Consultation")
    assert summaries(scenario.letters(okafor)) == [
        invited,
        ("CANCEL", 1, "Given to a colleague"),
        ("REQUEST", 2, "Consultation"),
    ]
    assert summaries(scenario.letters(stein)) == [
        ("REQUEST", 1, "Consultation"),
        ("CANCEL", 2, "Given to a colleague"),
    ]
    assert summaries(scenario.letters(mira)) == [
        invited,
        ("REQUEST", 1, "Changed"),
        ("REQUEST", 2, "Changed"),
    ]
    assert {one.uid for one in scenario.letters(mira, okafor, stein)} == {scenario.letters(mira)[0].uid}
    assert (scenario.facts(okafor), scenario.facts(stein)) == ([("booked", ten)], [])
    assert [call.revision for call in scenario.calls(session.id, "PUT")] == [0, 1, 2]
    assert_notified_once(scenario, request, [mira, okafor, stein])


class Day:
    """Three sessions of Okafor's; Stein can take the first, and has time the next day."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.ten = scenario.morning + 2 * DAY + 2 * HOUR
        self.service_type = scenario.offer()
        self.okafor, self.stein = scenario.person("Okafor"), scenario.person("Stein")
        self.who = [scenario.person(name) for name in ("Mira", "Noor", "Sven")]
        works(scenario, self.okafor, (self.ten, 3))
        self.requests = [
            scenario.submit(person, self.service_type, self.ten + hours * HOUR)
            for hours, person in enumerate(self.who)
        ]
        works(scenario, self.stein, (self.ten, 1), (self.ten + DAY, 1))
        self.before = {one: len(scenario.letters(one)) for one in self.everybody()}
        assert set(self.before.values()) == {0, 1, 3}

    def everybody(self) -> list[Person]:
        return [self.okafor, self.stein, *self.who]

    def news(self, who: Person) -> list[tuple[str | None, int | None, str]]:
        return summaries(self.scenario.letters(who), self.before[who])

    def plan(self) -> Any:
        """Leave for the day, and what can become of the sessions."""
        leave_id, midnight = uuid7(), datetime.combine(self.ten.date(), time())
        leave = self.scenario.send(
            AddLeave,
            actor="desk",
            leave_id=leave_id,
            consultant_user_id=self.okafor.id,
            reason="a broken leg",
            start=midnight,
            end=midnight + timedelta(days=1),
        )
        assert len(leave.uncovered) == 3
        return self.scenario.send(
            PlanAbsence,
            actor="desk",
            plan_id=uuid7(),
            consultant_user_id=self.okafor.id,
            leave_id=leave_id,
            reason="a broken leg",
        )


def test_a_day_of_leave_is_planned_undone_applied_and_announced_once_to_each_person(
    scenario: Scenario,
) -> None:
    day = Day(scenario)
    planned = day.plan()
    assert [(one.action, one.start) for one in planned.steps] == [
        ("reassign", day.ten),
        ("propose", day.ten + DAY),
        ("cancel", None),
    ]
    scenario.send(ApplyAbsencePlan, actor="desk", plan_id=planned.plan_id)
    undone = scenario.send(UndoAbsencePlan, actor="desk", plan_id=planned.plan_id)
    assert (undone.result, undone.state) == ("done", "undone")
    scenario.stage.advance(scenario.stage.now() + 10 * MINUTE)
    assert all(day.news(one) == [] for one in day.everybody())
    assert (len(scenario.facts(day.okafor)), scenario.facts(day.stein)) == (3, [])

    planned = day.plan()
    applied = scenario.send(ApplyAbsencePlan, actor="desk", plan_id=planned.plan_id)
    assert (applied.result, applied.state) == ("done", "applied")
    scenario.stage.settle()
    assert all(day.news(one) == [] for one in day.everybody())

    scenario.stage.advance(applied.announce_at)

    mira, noor, sven = day.who
    assert day.news(mira) == [("REQUEST", 1, "Changed")]
    assert day.news(noor) == [(None, None, "Please answer")]
    assert day.news(sven) == [("CANCEL", 1, "Cancelled")]
    assert day.news(day.stein) == [("REQUEST", 1, "Consultation")]
    assert sorted(day.news(day.okafor), key=str) == [
        ("CANCEL", 1, "Cancelled"),
        ("CANCEL", 1, "Given to a colleague"),
    ]
    assert day.stein.name in scenario.letters(mira)[-1].text
    assert "we are sorry" in scenario.letters(sven)[-1].text
    assert all("leg" not in one.text for one in scenario.letters(*day.everybody()))

    answered = scenario.send(
        AnswerProposal, actor=str(noor.id), proposal_id=planned.steps[1].proposal_id, accepted=True
    )
    assert (answered.result, answered.start) == ("done", day.ten + DAY)
    scenario.stage.settle()

    assert day.news(noor)[1:] == [("REQUEST", 1, "Changed")]
    assert day.news(day.stein)[1:] == [("REQUEST", 1, "Consultation")]
    assert len(day.news(day.okafor)) == 3
    assert scenario.facts(day.okafor) == []
    assert scenario.facts(day.stein) == [("booked", day.ten), ("booked", day.ten + DAY)]
    for request in day.requests:
        assert_notified_once(scenario, request, day.everybody())
