"""What a good copy, a failure and an outage do to the ledger, on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.calendars import service
from booking_tasks.calendars.rules import BusyInterval, BusyTime
from booking_tasks.calendars.service import LedgerChanges, Refresh
from booking_tasks.catalogue.service import upsert_consultant
from booking_tasks.context import Context, Policies
from booking_tasks.contracts import (
    CalendarFeedState,
    ListCalendarFeeds,
    RemoveCalendarFeed,
    SearchSlots,
    SetAvailability,
    UpsertConsultant,
)
from booking_tasks.hours import service as hours
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.savepoints import savepoint
from booking_tasks.models import CalendarFeed, ScheduledSession
from booking_tasks.search import service as search
from tests import builders
from tests.builders import NOW
from tests.calendars.conftest import (
    HOUR,
    NINE,
    NOON,
    TERM,
    TOMORROW,
    begin_refresh,
    blocks,
    command,
    store_copy,
)

CLOSED = Policies(calendar_outage="closed")


def starts(db: Session, ctx: Context, who: UUID) -> list[datetime]:
    service_type = builders.service_type(db, slot_step_minutes=60)
    query = SearchSlots(
        service_type_id=service_type.id, consultant_user_ids=(who,), start=NOW, end=NOW + timedelta(days=3)
    )
    return [one.start for one in search.search_slots(db, ctx, query).starts]


def state(db: Session, ctx: Context) -> CalendarFeedState:
    (found,) = service.list_calendar_feeds(db, ctx, ListCalendarFeeds()).feeds
    return found


def later(ctx: Context, by: timedelta, policies: Policies | None = None) -> Context:
    return replace(ctx, now=ctx.now + by, policies=policies or ctx.policies)


# -- a good copy -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("feed")
def test_busy_time_is_not_offered_and_the_rest_is(db: Session, ctx: Context, who: UUID) -> None:
    store_copy(db, ctx, NINE, NOON)

    assert starts(db, ctx, who) == [TOMORROW + hours * HOUR for hours in (1, 2, 4, 5, 6, 7)]


def test_the_second_time_only_what_differs_is_touched(db: Session, ctx: Context, feed: UUID) -> None:
    assert store_copy(db, ctx, NINE, NOON) == LedgerChanges(added=2)
    before = blocks(db, f"calendar:{feed}")
    assert store_copy(db, ctx, NINE, NOON) == LedgerChanges()
    assert blocks(db) == before

    evening = BusyInterval(TOMORROW + 9 * HOUR, TOMORROW + 10 * HOUR)
    assert store_copy(db, ctx, NINE, evening) == LedgerChanges(added=1, removed=1)
    row = next(id_ for id_, piece in before.items() if piece == NINE)
    assert blocks(db)[row] == NINE


@pytest.mark.usefixtures("feed")
def test_unchanged_leaves_every_row_and_makes_the_copy_young(db: Session, ctx: Context) -> None:
    store_copy(db, ctx, NINE)
    before = blocks(db)
    after = later(ctx, 5 * HOUR)
    refresh = begin_refresh(db, after)
    assert refresh.is_copy_usable
    assert service.store_copy(db, after, refresh, None, '"1"', None) == LedgerChanges()

    assert blocks(db) == before
    assert state(db, after).age_minutes == 0


@pytest.mark.usefixtures("feed")
def test_a_copy_does_not_do_when_it_is_to_be_read_otherwise_or_further(
    db: Session, ctx: Context, who: UUID
) -> None:
    store_copy(db, ctx, NINE)
    assert begin_refresh(db, ctx).is_copy_usable

    others = replace(ctx, policies=Policies(calendar_tentative_busy=False))
    assert not looked_at_again(db, others).is_copy_usable
    assert not looked_at_again(db, later(ctx, timedelta(days=1))).is_copy_usable
    builders.user(db, user_id=who)  # whose address decides what they declined
    assert not looked_at_again(db, ctx).is_copy_usable


def looked_at_again(db: Session, ctx: Context) -> Refresh:
    db.execute(update(CalendarFeed).values(lease_token=None, lease_until=None))
    return begin_refresh(db, ctx)


def test_the_calendars_of_one_person_do_not_touch_each_others_time(
    db: Session, ctx: Context, who: UUID, feed: UUID
) -> None:
    store_copy(db, ctx, NINE)
    other = command(who, url="https://calendar.example/other.ics")
    service.set_calendar_feed(db, ctx, other)
    db.execute(
        update(CalendarFeed)
        .where(CalendarFeed.id == feed)
        .values(lease_token=uuid7(), lease_until=datetime(2100, 1, 1, tzinfo=UTC))
    )
    store_copy(db, ctx, NOON)
    service.remove_calendar_feed(
        db, ctx, RemoveCalendarFeed(message_id=uuid7(), actor="test", feed_id=other.feed_id)
    )

    assert list(blocks(db).values()) == [NINE]


# -- consultations of our own ------------------------------------------------------------------------------


@pytest.fixture
def agreed(db: Session, ctx: Context) -> tuple[UUID, UUID, BusyInterval]:
    """A session, its consultant (who has a feed), and its time."""
    session = builders.booked_session(db, start=TOMORROW + 5 * HOUR)
    service.set_calendar_feed(db, ctx, command(session.consultant_user_id))
    return session.id, session.consultant_user_id, BusyInterval(TOMORROW + 5 * HOUR, TOMORROW + 6 * HOUR)


def test_the_copy_of_ones_own_session_does_not_block_it(
    db: Session, ctx: Context, agreed: tuple[UUID, UUID, BusyInterval]
) -> None:
    session, consultant, piece = agreed
    builders.window(db, consultant, TOMORROW)
    assert store_copy(db, ctx, own_sessions=((session, piece),)) == LedgerChanges()

    # so it may be moved by a quarter of an hour
    request = builders.request(db, builders.service_type(db, slot_step_minutes=15).id)
    booked = db.get_one(ScheduledSession, session)
    with savepoint(db) as attempt:  # of the booking alone, so it is undone
        attempt.discard()
        moved = availability.move_booking(
            db, ctx, request, consultant, piece.start + timedelta(minutes=15), booked
        )
    assert isinstance(moved, availability.Reservation)


def test_a_session_that_the_consultant_attends_as_requester_takes_their_time(
    db: Session, ctx: Context, agreed: tuple[UUID, UUID, BusyInterval]
) -> None:
    _, consultant, own = agreed
    piece = BusyInterval(own.end, own.end + HOUR)
    attended = builders.booked_session(db, start=piece.start, requester_user_id=consultant)
    over = builders.booked_session(
        db, start=NINE.start, requester_user_id=consultant, status="cancelled_by_user"
    )
    store_copy(db, ctx, own_sessions=((attended.id, piece), (over.id, NINE), (uuid7(), NOON)))

    assert sorted(blocks(db).values()) == [NOON, piece]  # and one that nobody knows any more


def test_sessions_that_a_calendar_covers_are_listed_and_stay(
    db: Session, ctx: Context, agreed: tuple[UUID, UUID, BusyInterval]
) -> None:
    session, _, piece = agreed
    half = BusyInterval(piece.start + HOUR / 2, piece.end + HOUR)
    assert store_copy(db, ctx, half).covered == (session,)
    assert store_copy(db, ctx, half, NINE).covered == ()  # told once

    (covered,) = state(db, ctx).covered
    assert (covered.session_id, covered.reason) == (session, "outside_calendar")
    touching = BusyInterval(piece.end, piece.end + HOUR)
    store_copy(db, ctx, touching)
    assert state(db, ctx).covered == ()


# -- failures and outages ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("feed")
def test_a_failure_changes_nothing_and_its_age_is_shown(db: Session, ctx: Context) -> None:
    store_copy(db, ctx, NINE)
    before = blocks(db)
    after = later(ctx, 3 * HOUR)
    assert service.record_failure(db, after, begin_refresh(db, after), "its server answers 500")

    assert blocks(db) == before
    found = state(db, after)
    assert (found.age_minutes, found.failures, found.last_error) == (180, 1, "its server answers 500")
    assert (found.good_at, found.tried_at, found.stale) == (NOW, after.now, False)
    assert state(db, later(ctx, timedelta(days=1, seconds=1))).stale


@pytest.mark.usefixtures("feed")
def test_of_an_outage_one_caller_tells_once_until_it_is_over(db: Session, ctx: Context) -> None:
    store_copy(db, ctx, NINE)
    assert service.newly_stale_feeds(db, later(ctx, 24 * HOUR)) == []
    out = later(ctx, 25 * HOUR)
    (stale,) = service.newly_stale_feeds(db, out)

    assert service.claim_alert(db, out, stale)
    assert not service.claim_alert(db, out, stale)
    assert service.newly_stale_feeds(db, later(out, 100 * HOUR)) == []
    assert store_copy(db, out, NINE).recovered
    assert not store_copy(db, out, NINE).recovered
    assert service.newly_stale_feeds(db, later(out, 25 * HOUR)) == [stale]


@pytest.mark.usefixtures("feed")
def test_open_the_last_good_copy_counts_for_as_long_as_it_takes(db: Session, ctx: Context, who: UUID) -> None:
    store_copy(db, ctx, NINE)
    out = later(ctx, 25 * HOUR)
    (stale,) = service.newly_stale_feeds(db, out)
    service.claim_alert(db, out, stale)
    service.record_failure(db, out, begin_refresh(db, out), "gone")

    assert starts(db, out, who) == [TOMORROW + hours * HOUR for hours in (1, 2, 3, 4, 5, 6, 7)]


@pytest.mark.usefixtures("feed")
def test_closed_nothing_is_offered_until_the_calendar_is_back(db: Session, ctx: Context, who: UUID) -> None:
    builders.window(db, who, TOMORROW + timedelta(days=60))
    store_copy(db, ctx, NINE)
    out = later(ctx, 25 * HOUR, CLOSED)
    (stale,) = service.newly_stale_feeds(db, out)
    service.claim_alert(db, out, stale)
    begun = blocks(db, "calendar-outage:")
    service.record_failure(db, out, begin_refresh(db, out), "gone")

    assert blocks(db, "calendar-outage:") == begun
    assert starts(db, out, who) == []
    assert store_copy(db, out, NINE).recovered
    assert blocks(db, "calendar-outage:") == {}
    assert len(starts(db, out, who)) == 7


@pytest.mark.usefixtures("feed")
def test_a_deployment_that_opens_again_offers_what_an_outage_closed(db: Session, ctx: Context) -> None:
    out = later(ctx, 25 * HOUR, CLOSED)
    (stale,) = service.newly_stale_feeds(db, out)  # never read at all: its age is that of the feed
    service.claim_alert(db, out, stale)
    assert len(blocks(db, "calendar-outage:")) == 1
    opened = later(ctx, 26 * HOUR)
    service.record_failure(db, opened, begin_refresh(db, opened), "gone")

    assert blocks(db, "calendar-outage:") == {}


# -- leases ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("feed")
def test_a_feed_is_looked_at_by_one_until_the_lease_is_over(db: Session, ctx: Context) -> None:
    begin_refresh(db, ctx)
    db.execute(update(CalendarFeed).values(due_at=NOW - timedelta(days=365)))
    assert service.begin_refresh(db, ctx, TERM) is None

    db.execute(update(CalendarFeed).values(lease_until=NOW - timedelta(days=365)))
    assert service.begin_refresh(db, ctx, TERM) is not None


def test_what_was_changed_or_removed_in_the_meantime_gets_nothing_written(
    db: Session, ctx: Context, who: UUID, feed: UUID
) -> None:
    refresh = begin_refresh(db, ctx)
    service.set_calendar_feed(db, ctx, command(who, feed, url="https://calendar.example/new.ics"))
    assert service.store_copy(db, ctx, refresh, BusyTime((NINE,)), None, None) is None
    assert not service.record_failure(db, ctx, refresh, "gone")

    refresh = begin_refresh(db, ctx)
    remove = RemoveCalendarFeed(message_id=uuid7(), actor="test", feed_id=feed)
    assert service.remove_calendar_feed(db, ctx, remove).result == "done"
    assert service.store_copy(db, ctx, refresh, BusyTime((NINE,)), None, None) is None
    assert blocks(db) == {}
    assert service.remove_calendar_feed(db, ctx, remove).result == "already_done"


# -- entries of which the time is not known, and trips ---------------------------------------------------


@pytest.mark.usefixtures("feed")
def test_what_was_not_plain_is_counted_each_by_itself(db: Session, ctx: Context) -> None:
    store_copy(db, ctx, NINE, unreadable=5, missing_time=2, superseded=3, ambiguous=4)
    seen = state(db, ctx)
    assert (seen.unreadable, seen.missing_time, seen.superseded, seen.ambiguous) == (5, 2, 3, 4)


@pytest.mark.usefixtures("feed")
@pytest.mark.parametrize("policy", ["open", "closed"])
def test_an_entry_of_unknown_time_closes_the_consultant_where_the_deployment_says_so(
    db: Session, ctx: Context, who: UUID, policy: Literal["open", "closed"]
) -> None:
    ctx = replace(ctx, policies=Policies(calendar_unreadable=policy))
    store_copy(db, ctx, NINE, unreadable=1, missing_time=1)
    assert bool(starts(db, ctx, who)) == (policy == "open")
    rows = blocks(db, "calendar-unreadable:")
    assert len(rows) == (policy == "closed")
    unchanged = service.store_copy(db, later(ctx, HOUR), begin_refresh(db, ctx), None, '"1"', None)
    assert unchanged is not None
    assert blocks(db, "calendar-unreadable:") == rows
    store_copy(db, later(ctx, 2 * HOUR), NINE)
    assert starts(db, ctx, who)


@pytest.mark.usefixtures("feed")
def test_a_changed_trip_or_zone_reads_the_calendars_again(db: Session, ctx: Context, who: UUID) -> None:
    trip = {"first_day": TOMORROW.date(), "last_day": TOMORROW.date(), "time_zone": "Asia/Tokyo"}

    def declare(*travel: dict[str, Any]) -> None:
        values = {"message_id": uuid7(), "actor": "desk", "consultant_user_id": who, "travel": travel}
        outcome = hours.set_availability(db, ctx, SetAvailability.model_validate(values))
        assert outcome.result == "done"

    def is_due() -> bool:
        refresh = service.begin_refresh(db, ctx, TERM)
        if refresh is None:
            return False
        assert service.store_copy(db, ctx, refresh, BusyTime(), None, None) is not None
        return True

    assert is_due()
    declare(trip)
    refresh = begin_refresh(db, ctx)
    assert refresh.options.travel == ((TOMORROW.date(), TOMORROW.date(), "Asia/Tokyo"),)
    assert not refresh.is_copy_usable
    declare(trip | {"time_zone": "Asia/Seoul"})  # while it is read: what comes of that is not stored
    assert service.store_copy(db, ctx, refresh, BusyTime(), None, None) is None
    assert is_due()
    declare(trip | {"time_zone": "Asia/Seoul"})
    assert not is_due()
    profile = UpsertConsultant(
        message_id=uuid7(), actor="desk", consultant_user_id=who, time_zone="America/Lima"
    )
    assert upsert_consultant(db, ctx, profile).result == "done"
    assert is_due()


@pytest.mark.usefixtures("feed")
def test_a_server_is_left_alone_for_as_long_as_it_asks_and_a_day_at_most(db: Session, ctx: Context) -> None:
    def wait(retry_after: timedelta | None) -> timedelta:
        db.execute(update(CalendarFeed).values(due_at=datetime(2020, 1, 1, tzinfo=UTC), failures=0))
        refresh = begin_refresh(db, ctx)
        assert service.record_failure(db, ctx, refresh, "its server answers 429", retry_after)
        return db.scalars(select(CalendarFeed.due_at)).one() - datetime.now(UTC)

    assert wait(None) < timedelta(hours=1)
    assert timedelta(hours=4) < wait(timedelta(hours=5)) <= timedelta(hours=5)
    assert timedelta(hours=23) < wait(timedelta(days=40)) <= timedelta(days=1)
