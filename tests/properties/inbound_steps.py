"""What other people's programs say: calendars that are read, and replies that come by mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import text

from tests.builders import NOW
from tests.calendars.files import calendar, event
from tests.properties.admin_steps import AdminSteps
from tests.properties.base import CONSULTANTS
from tests.properties.booking_steps import some
from tests.replies import mails

_SPACE = UUID("5eed0004-0000-4000-8000-000000000000")
#: Everybody who may answer an entry that was sent: whoever was asked, and both sides of a session.
_ENTRIES = text("""
    SELECT e.id AS entry, 0 AS revision, d.email FROM events e
      JOIN directory_users d ON d.user_id = e.consultant_user_id
     WHERE e.type = 'request.confirmation_requested'
    UNION ALL
    SELECT s.id, s.revision, d.email FROM scheduled_sessions s
      JOIN directory_users d ON d.user_id IN (s.consultant_user_id, s.requester_user_id)
     ORDER BY 1, 3""")
_ANSWERS = st.sampled_from(["ACCEPTED", "DECLINED", "TENTATIVE"])


class InboundSteps(AdminSteps):
    """The commands of the administration, and what reaches it from programs that are not ours."""

    def __init__(self) -> None:
        super().__init__()
        self.feeds: list[UUID] = []

    @rule(who=some, day=st.integers(0, 6), hour=st.integers(0, 23), good=st.booleans(), again=st.booleans())
    def connect(self, who: int, day: int, hour: int, good: bool, again: bool) -> None:
        """A consultant names an outside calendar, a new one or the last; it can be read, or it cannot."""
        feed = self.feeds[-1] if again and self.feeds else uuid5(_SPACE, f"feed {len(self.sent)}")
        url = f"https://calendar.example.org/{len(self.sent)}.ics"
        start = NOW.replace(hour=hour) + timedelta(days=day)
        if good:
            busy = event(f"DTSTART:{start:%Y%m%dT%H%M%SZ}", "DURATION:PT2H")
            self.edge.calendars[url] = calendar(busy)
        self.feeds.append(feed)
        self.say(
            "set_calendar_feed",
            feed_id=str(feed),
            consultant_user_id=str(CONSULTANTS[who % 3]),
            feed_type="ics",
            url=url,
        )

    @precondition(lambda self: self.feeds)
    @rule(which=some)
    def disconnect(self, which: int) -> None:
        """A calendar is not to be read any more."""
        self.say("remove_calendar_feed", feed_id=str(self.feeds[which % len(self.feeds)]))

    @rule(which=some, answer=_ANSWERS, behind=st.integers(0, 1))
    def reply(self, which: int, answer: str, behind: int) -> None:
        """A calendar program answers what it was sent, or an earlier revision of it; or it was not asked."""
        with self.read() as db:
            entries = db.execute(_ENTRIES).all()
        if not entries:
            return
        entry, revision, sender = entries[which % len(entries)]
        attendee = f"ATTENDEE;PARTSTAT={answer}:mailto:{sender}"
        sequence = max(0, revision - behind)
        reply: dict[str, Any] = {"sender": sender, "authenticated": True}
        reply["calendar"] = mails.calendar(entry, sequence=sequence, attendee=attendee)
        self.say("receive_reply", **reply)
