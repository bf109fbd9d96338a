"""What a consultant declared, read as a plan; and what is wrong with it, if anything is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from booking_tasks.contracts import FieldError, Hours, WeeklyHours
from booking_tasks.contracts import RecurringHours as DeclaredRecurring
from booking_tasks.contracts import RuleSet as DeclaredSet
from booking_tasks.hours.recurrence import Recurrence, happens
from booking_tasks.hours.rules import HoursRule, Plan, RecurringHours, RuleSet, Travel, first_overlap
from booking_tasks.kit.time_zones import zone


@dataclass(frozen=True)
class Fault:
    """Why hours are refused: a code, and the field with its remedy."""

    code: str
    field: str
    problem: str

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """For an outcome."""
        return (FieldError(field=self.field, problem=self.problem),)


def plan_of(time_zone: str, hours: Hours) -> Plan:
    """The plan of declared hours, without leave and public holidays."""
    usual = RuleSet(weekly=_weekly(hours.weekly), recurring=_recurring(hours.recurring))
    return Plan(
        zone=zone(time_zone),
        sets=(usual, *(_rule_set(one) for one in sorted(hours.rule_sets, key=lambda one: one.valid_from))),
        single=tuple(HoursRule(one.start, one.end, day=one.day) for one in hours.single),
        overrides={
            override.day: tuple(HoursRule(one.start, one.end, day=override.day) for one in override.hours)
            for override in hours.overrides
        },
        travel=tuple(Travel(one.first_day, one.last_day, zone(one.time_zone)) for one in hours.travel),
    )


def _rule_set(one: DeclaredSet) -> RuleSet:
    return RuleSet(_weekly(one.weekly), _recurring(one.recurring), one.valid_from, one.valid_until)


def _weekly(declared: Iterable[WeeklyHours]) -> tuple[HoursRule, ...]:
    return tuple(HoursRule(one.start, one.end, weekday=one.weekday) for one in declared)


def _recurring(declared: Iterable[DeclaredRecurring]) -> tuple[RecurringHours, ...]:
    return tuple(
        RecurringHours(Recurrence(one.start, one.rrule, one.rdates, frozenset(one.exdates)), one.length)
        for one in declared
    )


def fault_of(hours: Hours) -> Fault | None:
    """The first fault that a message by itself does not show; None when there is none."""
    return next(_faults(hours), None)


def _faults(hours: Hours) -> Iterator[Fault]:
    single = [HoursRule(one.start, one.end, day=one.day) for one in hours.single]
    yield from _overlaps("weekly", _weekly(hours.weekly))
    yield from _overlaps("single", single)
    yield from _never("recurring", hours.recurring)
    for number, rules in enumerate(hours.rule_sets):
        yield from _overlaps(f"rule_sets.{number}.weekly", _weekly(rules.weekly))
        yield from _never(f"rule_sets.{number}.recurring", rules.recurring)
    for number, override in enumerate(hours.overrides):
        hours_of_day = [HoursRule(one.start, one.end, day=override.day) for one in override.hours]
        yield from _overlaps(f"overrides.{number}.hours", hours_of_day)


def _overlaps(field: str, rules: Iterable[HoursRule]) -> Iterator[Fault]:
    clash = first_overlap(rules)
    if clash is not None:
        day = clash[0].day.isoformat() if clash[0].day else f"weekday {clash[0].weekday}"
        spans = " and ".join(f"{rule.start:%H:%M}-{rule.end:%H:%M}" for rule in clash)
        yield Fault("overlapping_hours", field, f"{spans} overlap on {day}; join them")


def _never(field: str, recurring: Iterable[DeclaredRecurring]) -> Iterator[Fault]:
    for number, one in enumerate(recurring):
        if one.rrule is not None and not happens(one.rrule, one.start):
            problem = "has no date in the ten years from its start; correct the rule or the start"
            yield Fault("never_happens", f"{field}.{number}.rrule", problem)
