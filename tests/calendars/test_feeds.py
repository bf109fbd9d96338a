"""Adding, changing and listing calendars; what opens them stays unsaid."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session

from booking_tasks.calendars import service
from booking_tasks.calendars.service import MOST_FEEDS
from booking_tasks.context import Context, Policies
from booking_tasks.contracts import ListCalendarFeeds, RemoveCalendarFeed
from booking_tasks.enums import RefusalCode
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import CalendarFeed
from tests import builders
from tests.calendars.conftest import NINE, TERM, begin_refresh, blocks, command, store_copy
from tests.concurrent_transactions import overtaken


def test_the_same_again_is_no_change_and_a_change_is_read_anew(
    db: Session, ctx: Context, who: UUID, feed: UUID
) -> None:
    store_copy(db, ctx, NINE)
    assert service.set_calendar_feed(db, ctx, command(who, feed)).result == "already_done"
    assert begin_refresh(db, ctx).is_copy_usable
    changed = service.set_calendar_feed(db, ctx, command(who, feed, all_day_busy=True))

    assert changed.result == "done"
    refresh = service.begin_refresh(db, ctx, TERM)
    assert refresh is not None
    assert not refresh.is_copy_usable
    assert list(blocks(db).values()) == [NINE]  # until it has been read


def test_a_feed_is_refused_with_its_reason(db: Session, ctx: Context, who: UUID, feed: UUID) -> None:
    other = builders.consultant(db).consultant_user_id
    refused = {
        "unknown_consultant": command(uuid7()),
        "other_consultant": command(other, feed),
        "private_address": command(who, url="https://169.254.169.254/latest"),
    }
    for code, wrong in refused.items():
        outcome = service.set_calendar_feed(db, ctx, wrong)
        assert (outcome.result, outcome.code) == ("refused", code)
        assert len(outcome.errors) == 1
    for _ in range(MOST_FEEDS - 1):
        assert service.set_calendar_feed(db, ctx, command(who)).result == "done"
    assert service.set_calendar_feed(db, ctx, command(who)).code == RefusalCode.TOO_MANY_FEEDS
    named = replace(ctx, policies=Policies(calendar_private_hosts=("localhost",)))
    local = command(other, url="https://localhost/x.ics")
    assert service.set_calendar_feed(db, named, local).result == "done"


@pytest.mark.parametrize(
    "url",
    [
        "http://calendar.example/x.ics",
        "calendar.example/x.ics",
        "https://",
        "https:///x.ics",
        "file:///etc",
        "https://me:sesame@calendar.example/x.ics",
        "https://calendar.example/ä.ics",
        "https://a b.example/",
        "https://calendar.example:port/",
        "https://[calendar/",
        "https://c.example/" + "x" * 2000,
    ],
)
def test_an_address_that_cannot_be_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        command(uuid7(), url=url)
    (problem,) = wrong.value.errors(include_input=False, include_url=False)

    assert problem["loc"] == ("url",)
    assert "sesame" not in str(problem)


@pytest.mark.parametrize("scheme", ["webcal", "webcals", "WebCal"])
def test_an_address_of_a_subscription_is_stored_as_https(
    db: Session, ctx: Context, who: UUID, scheme: str
) -> None:
    sent = command(who, url=f"{scheme}://calendar.example/x.ics?webcal://y")
    assert service.set_calendar_feed(db, ctx, sent).result == "done"
    assert sent.url == "https://calendar.example/x.ics?webcal://y"


def test_what_opens_a_calendar_is_not_shown(db: Session, ctx: Context, who: UUID) -> None:
    sent = command(who, username="okafor", password="sesame", addresses=["o@example.org"])
    service.set_calendar_feed(db, ctx, sent)
    refresh = begin_refresh(db, ctx)
    shown = f"{sent!r} {sent} {refresh!r} {service.list_calendar_feeds(db, ctx, ListCalendarFeeds())!r}"

    for secret in ("secret-token", "okafor", "sesame", "o@example.org"):
        assert secret not in shown


def test_feeds_are_listed_by_pages_or_by_consultant(db: Session, ctx: Context, who: UUID) -> None:
    other = builders.consultant(db).consultant_user_id
    for consultant in (who, other, who):
        service.set_calendar_feed(db, ctx, command(consultant))

    def ids(**fields: object) -> list[UUID]:
        query = ListCalendarFeeds.model_validate(fields)
        return [one.feed_id for one in service.list_calendar_feeds(db, ctx, query).feeds]

    everything = ids()
    assert len(everything) == 3
    assert [*ids(limit=2), *ids(after=everything[1])] == everything
    assert len(ids(consultant_user_id=who)) == 2


def test_of_two_removals_the_second_leaves_a_calendar_that_came_between(
    own_database: str, ctx: Context
) -> None:
    with transaction() as db:
        who, other = (builders.consultant(db).consultant_user_id for _ in range(2))
        first = command(who)
        assert service.set_calendar_feed(db, ctx, first).result == "done"
    removal = RemoveCalendarFeed(message_id=uuid7(), actor="desk", feed_id=first.feed_id)

    def gone_and_made_again(db: Session) -> None:
        service.remove_calendar_feed(db, ctx, removal)
        assert service.set_calendar_feed(db, ctx, command(other, first.feed_id)).result == "done"

    late = overtaken(gone_and_made_again, lambda db: service.remove_calendar_feed(db, ctx, removal))

    assert late.result == "already_done"
    with transaction() as db:
        assert db.get_one(CalendarFeed, first.feed_id).consultant_user_id == other
