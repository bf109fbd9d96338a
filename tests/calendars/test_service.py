"""What a good copy, a failure and an outage do to the ledger, on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.calendars import service
from booking_tasks.calendars.rules import Busy, Piece
from booking_tasks.calendars.service import Kept, Look
from booking_tasks.context import Context, Policies
from booking_tasks.contracts import (
    CalendarFeedState,
    ListCalendarFeeds,
    RemoveCalendarFeed,
    SearchSlots,
)
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import CalendarFeed
from booking_tasks.search import service as search
from tests import builders
from tests.builders import NOW
from tests.calendars.conftest import HOUR, NINE, NOON, TERM, TOMORROW, blocks, command, kept, looked

CLOSED = Policies(calendar_outage="closed")


def starts(db: Session, ctx: Context, who: UUID) -> list[datetime]:
    kind = builders.service_type(db, slot_step_minutes=60)
    query = SearchSlots(
        service_type_id=kind.id, consultant_user_ids=(who,), start=NOW, end=NOW + timedelta(days=3)
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
    kept(db, ctx, NINE, NOON)

    assert starts(db, ctx, who) == [TOMORROW + hours * HOUR for hours in (1, 2, 4, 5, 6, 7)]


def test_the_second_time_only_what_differs_is_touched(db: Session, ctx: Context, feed: UUID) -> None:
    assert kept(db, ctx, NINE, NOON) == Kept(added=2)
    before = blocks(db, f"calendar:{feed}")
    assert kept(db, ctx, NINE, NOON) == Kept()
    assert blocks(db) == before

    evening = Piece(TOMORROW + 9 * HOUR, TOMORROW + 10 * HOUR)
    assert kept(db, ctx, NINE, evening) == Kept(added=1, removed=1)
    row = next(id_ for id_, piece in before.items() if piece == NINE)
    assert blocks(db)[row] == NINE


@pytest.mark.usefixtures("feed")
def test_unchanged_leaves_every_row_and_makes_the_copy_young(db: Session, ctx: Context) -> None:
    kept(db, ctx, NINE)
    before = blocks(db)
    after = later(ctx, 5 * HOUR)
    look = looked(db, after)
    assert look.copy_will_do
    assert service.keep(db, after, look, None, '"1"', None) == Kept()

    assert blocks(db) == before
    assert state(db, after).age_minutes == 0


@pytest.mark.usefixtures("feed")
def test_a_copy_does_not_do_when_it_is_to_be_read_otherwise_or_further(
    db: Session, ctx: Context, who: UUID
) -> None:
    kept(db, ctx, NINE)
    assert looked(db, ctx).copy_will_do

    others = replace(ctx, policies=Policies(calendar_tentative_busy=False))
    assert not looked_at_again(db, others).copy_will_do
    assert not looked_at_again(db, later(ctx, timedelta(days=1))).copy_will_do
    builders.user(db, user_id=who)  # whose address decides what they declined
    assert not looked_at_again(db, ctx).copy_will_do


def looked_at_again(db: Session, ctx: Context) -> Look:
    db.execute(update(CalendarFeed).values(lease_token=None, lease_until=None))
    return looked(db, ctx)


def test_the_calendars_of_one_person_do_not_touch_each_others_time(
    db: Session, ctx: Context, who: UUID, feed: UUID
) -> None:
    kept(db, ctx, NINE)
    other = command(who, url="https://calendar.example/other.ics")
    service.set_calendar_feed(db, ctx, other)
    db.execute(
        update(CalendarFeed)
        .where(CalendarFeed.id == feed)
        .values(lease_token=uuid7(), lease_until=datetime(2100, 1, 1, tzinfo=UTC))
    )
    kept(db, ctx, NOON)
    service.remove_calendar_feed(
        db, ctx, RemoveCalendarFeed(message_id=uuid7(), actor="test", feed_id=other.feed_id)
    )

    assert list(blocks(db).values()) == [NINE]


# -- consultations of our own ------------------------------------------------------------------------------


@pytest.fixture
def agreed(db: Session, ctx: Context) -> tuple[UUID, UUID, Piece]:
    """A session, its consultant (who has a feed), and its time."""
    session = builders.booked_session(db, start=TOMORROW + 5 * HOUR)
    service.set_calendar_feed(db, ctx, command(session.consultant_user_id))
    return session.id, session.consultant_user_id, Piece(TOMORROW + 5 * HOUR, TOMORROW + 6 * HOUR)


def test_the_copy_of_ones_own_session_does_not_block_it(
    db: Session, ctx: Context, agreed: tuple[UUID, UUID, Piece]
) -> None:
    session, consultant, piece = agreed
    builders.window(db, consultant, TOMORROW)
    assert kept(db, ctx, ours=((session, piece),)) == Kept()

    # so it may be moved by a quarter of an hour
    request = builders.request(db, builders.service_type(db, slot_step_minutes=15).id)
    moved = availability.move_booking(
        db, ctx, request, consultant, piece.start + timedelta(minutes=15), session
    )
    assert isinstance(moved, availability.Reservation)


def test_a_session_that_the_consultant_attends_as_requester_takes_their_time(
    db: Session, ctx: Context, agreed: tuple[UUID, UUID, Piece]
) -> None:
    _, consultant, piece = agreed
    attended = builders.booked_session(db, start=piece.start, requester_user_id=consultant)
    over = builders.booked_session(
        db, start=NINE.start, requester_user_id=consultant, status="cancelled_by_user"
    )
    kept(db, ctx, ours=((attended.id, piece), (over.id, NINE), (uuid7(), NOON)))

    assert sorted(blocks(db).values()) == [NOON, piece]  # and one that nobody knows any more


def test_sessions_that_a_calendar_covers_are_listed_and_stay(
    db: Session, ctx: Context, agreed: tuple[UUID, UUID, Piece]
) -> None:
    session, _, piece = agreed
    half = Piece(piece.start + HOUR / 2, piece.end + HOUR)
    assert kept(db, ctx, half).covered == (session,)
    assert kept(db, ctx, half, NINE).covered == ()  # told once

    (covered,) = state(db, ctx).covered
    assert (covered.session_id, covered.reason) == (session, "outside_calendar")
    touching = Piece(piece.end, piece.end + HOUR)
    kept(db, ctx, touching)
    assert state(db, ctx).covered == ()


# -- failures and outages ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("feed")
def test_a_failure_changes_nothing_and_its_age_is_shown(db: Session, ctx: Context) -> None:
    kept(db, ctx, NINE)
    before = blocks(db)
    after = later(ctx, 3 * HOUR)
    assert service.fail(db, after, looked(db, after), "its server answers 500")

    assert blocks(db) == before
    found = state(db, after)
    assert (found.age_minutes, found.failures, found.last_error) == (180, 1, "its server answers 500")
    assert (found.good_at, found.tried_at, found.stale) == (NOW, after.now, False)
    assert state(db, later(ctx, timedelta(days=1, seconds=1))).stale


@pytest.mark.usefixtures("feed")
def test_of_an_outage_one_caller_tells_once_until_it_is_over(db: Session, ctx: Context) -> None:
    kept(db, ctx, NINE)
    assert service.newly_stale(db, later(ctx, 24 * HOUR)) == []
    out = later(ctx, 25 * HOUR)
    (stale,) = service.newly_stale(db, out)

    assert service.announce(db, out, stale)
    assert not service.announce(db, out, stale)
    assert service.newly_stale(db, later(out, 100 * HOUR)) == []
    assert kept(db, out, NINE).recovered
    assert not kept(db, out, NINE).recovered
    assert service.newly_stale(db, later(out, 25 * HOUR)) == [stale]


@pytest.mark.usefixtures("feed")
def test_open_the_last_good_copy_counts_for_as_long_as_it_takes(db: Session, ctx: Context, who: UUID) -> None:
    kept(db, ctx, NINE)
    out = later(ctx, 25 * HOUR)
    (stale,) = service.newly_stale(db, out)
    service.announce(db, out, stale)
    service.fail(db, out, looked(db, out), "gone")

    assert starts(db, out, who) == [TOMORROW + hours * HOUR for hours in (1, 2, 3, 4, 5, 6, 7)]


@pytest.mark.usefixtures("feed")
def test_closed_nothing_is_offered_until_the_calendar_is_back(db: Session, ctx: Context, who: UUID) -> None:
    builders.window(db, who, TOMORROW + timedelta(days=60))
    kept(db, ctx, NINE)
    out = later(ctx, 25 * HOUR, CLOSED)
    (stale,) = service.newly_stale(db, out)
    service.announce(db, out, stale)
    begun = blocks(db, "calendar-outage:")
    service.fail(db, out, looked(db, out), "gone")

    assert blocks(db, "calendar-outage:") == begun
    assert starts(db, out, who) == []
    assert kept(db, out, NINE).recovered
    assert blocks(db, "calendar-outage:") == {}
    assert len(starts(db, out, who)) == 7


@pytest.mark.usefixtures("feed")
def test_a_deployment_that_opens_again_offers_what_an_outage_closed(db: Session, ctx: Context) -> None:
    out = later(ctx, 25 * HOUR, CLOSED)
    (stale,) = service.newly_stale(db, out)  # never read at all: its age is that of the feed
    service.announce(db, out, stale)
    assert len(blocks(db, "calendar-outage:")) == 1
    opened = later(ctx, 26 * HOUR)
    service.fail(db, opened, looked(db, opened), "gone")

    assert blocks(db, "calendar-outage:") == {}


# -- leases ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("feed")
def test_a_feed_is_looked_at_by_one_until_the_lease_is_over(db: Session, ctx: Context) -> None:
    looked(db, ctx)
    db.execute(update(CalendarFeed).values(due_at=NOW - timedelta(days=365)))
    assert service.next_look(db, ctx, TERM) is None

    db.execute(update(CalendarFeed).values(lease_until=NOW - timedelta(days=365)))
    assert service.next_look(db, ctx, TERM) is not None


def test_what_was_changed_or_removed_in_the_meantime_gets_nothing_written(
    db: Session, ctx: Context, who: UUID, feed: UUID
) -> None:
    look = looked(db, ctx)
    service.set_calendar_feed(db, ctx, command(who, feed, url="https://calendar.example/new.ics"))
    assert service.keep(db, ctx, look, Busy((NINE,)), None, None) is None
    assert not service.fail(db, ctx, look, "gone")

    look = looked(db, ctx)
    remove = RemoveCalendarFeed(message_id=uuid7(), actor="test", feed_id=feed)
    assert service.remove_calendar_feed(db, ctx, remove).result == "done"
    assert service.keep(db, ctx, look, Busy((NINE,)), None, None) is None
    assert blocks(db) == {}
    assert service.remove_calendar_feed(db, ctx, remove).result == "already_done"
