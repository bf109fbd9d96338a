"""A consultant's declared hours as a plan, and the faults in them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from booking_tasks.contracts import FieldError, Hours, WeeklyHours
from booking_tasks.contracts import RecurringHours as DeclaredRecurring
from booking_tasks.contracts import RuleSet as DeclaredSet
from booking_tasks.contracts.hours import FaultCode
from booking_tasks.enums import RefusalCode
from booking_tasks.hours.recurrence import Recurrence, has_occurrence
from booking_tasks.hours.rules import HoursRule, Plan, RecurringRule, RulePeriod, TravelPeriod, first_overlap
from booking_tasks.kit.time_zones import zone


@dataclass(frozen=True)
class HoursFault:
    """Why declared hours are refused: a code, and the field with its remedy."""

    code: FaultCode
    field: str
    problem: str

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """The fault as field errors of an outcome."""
        return (FieldError(field=self.field, problem=self.problem),)


def plan_of(time_zone: str, hours: Hours) -> Plan:
    """The plan of declared hours, without leave and public holidays."""
    usual = RulePeriod(weekly=_weekly(hours.weekly), recurring=_recurring(hours.recurring))
    return Plan(
        zone=zone(time_zone),
        sets=(usual, *(_rule_set(one) for one in sorted(hours.rule_sets, key=lambda one: one.valid_from))),
        single=tuple(HoursRule(one.start, one.end, day=one.day) for one in hours.single),
        overrides={
            override.day: tuple(HoursRule(one.start, one.end, day=override.day) for one in override.hours)
            for override in hours.overrides
        },
        travel=tuple(TravelPeriod(one.first_day, one.last_day, zone(one.time_zone)) for one in hours.travel),
    )


def _rule_set(one: DeclaredSet) -> RulePeriod:
    return RulePeriod(_weekly(one.weekly), _recurring(one.recurring), one.valid_from, one.valid_until)


def _weekly(declared: Iterable[WeeklyHours]) -> tuple[HoursRule, ...]:
    return tuple(HoursRule(one.start, one.end, weekday=one.weekday) for one in declared)


def _recurring(declared: Iterable[DeclaredRecurring]) -> tuple[RecurringRule, ...]:
    return tuple(
        RecurringRule(Recurrence(one.start, one.rrule, one.rdates, frozenset(one.exdates)), one.length)
        for one in declared
    )


def first_fault(hours: Hours) -> HoursFault | None:
    """The first fault that the contract does not check already, or None."""
    return next(_faults(hours), None)


def _faults(hours: Hours) -> Iterator[HoursFault]:
    single = [HoursRule(one.start, one.end, day=one.day) for one in hours.single]
    yield from _overlaps("weekly", _weekly(hours.weekly))
    yield from _overlaps("single", single)
    yield from _recurrences_without_date("recurring", hours.recurring)
    for number, rules in enumerate(hours.rule_sets):
        yield from _overlaps(f"rule_sets.{number}.weekly", _weekly(rules.weekly))
        yield from _recurrences_without_date(f"rule_sets.{number}.recurring", rules.recurring)
    for number, override in enumerate(hours.overrides):
        hours_of_day = [HoursRule(one.start, one.end, day=override.day) for one in override.hours]
        yield from _overlaps(f"overrides.{number}.hours", hours_of_day)


def _overlaps(field: str, rules: Iterable[HoursRule]) -> Iterator[HoursFault]:
    clash = first_overlap(rules)
    if clash is not None:
        day = clash[0].day.isoformat() if clash[0].day else f"weekday {clash[0].weekday}"
        spans = " and ".join(f"{rule.start:%H:%M}-{rule.end:%H:%M}" for rule in clash)
        yield HoursFault(RefusalCode.OVERLAPPING_HOURS, field, f"{spans} overlap on {day}; join them")


def _recurrences_without_date(field: str, recurring: Iterable[DeclaredRecurring]) -> Iterator[HoursFault]:
    for number, one in enumerate(recurring):
        if one.rrule is not None and not has_occurrence(one.rrule, one.start):
            problem = "has no date in the ten years from its start; correct the rule or the start"
            yield HoursFault(RefusalCode.NEVER_HAPPENS, f"{field}.{number}.rrule", problem)
