"""Bringing invitations up to date after a name, an address or the name of a service type changed.

Each session is compared with what its mailboxes hold, so that any number of changes leads to one update.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.enums import InviteMethod, JobState, Party, SessionStatus
from booking_tasks.invites import mailbox_store as store
from booking_tasks.invites.calendar import content_digest
from booking_tasks.invites.confirmation_entries import move_entries
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Finished, Snooze
from booking_tasks.kit.addresses import mailbox_key
from booking_tasks.kit.errors import AwaitedDataError
from booking_tasks.mail.calendar_copy import CalendarCopy, Sender
from booking_tasks.mail.store import absence_step_state, calendar_copy
from booking_tasks.models import ScheduledSession, SessionMailbox
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import UpdateInvites
from booking_tasks.outbox.jobs import NewJob
from booking_tasks.outbox.pending_wakeups import wake_after_commit
from booking_tasks.outbox.workflow import InviteUpdate
from booking_tasks.sessions.service import revise
from booking_tasks.sessions.store import locked_session

#: How many sessions one job changes, so that none is locked for long; the next job continues behind them.
_PART = 50
#: Before the first session.
_FIRST = UUID(int=0)
#: How often a session is looked at again that an absence plan is about to change.
_AGAIN = timedelta(minutes=1)
#: Two revisions lie so far apart that a cancellation to the former mailbox fits between them (DTSTAMP).
_REVISION_STEP = timedelta(seconds=2)

_BEGUN = (JobState.DONE, JobState.DEAD, JobState.UNCERTAIN)


def update_invites(
    db: Session, ctx: Context, sender: Sender, job: LeasedJob[UpdateInvites]
) -> Finished | Snooze:
    """Update the invitations of the sessions ahead that show a person or a service type.

    The open confirmation requests of a consultant come first: they may become sessions meanwhile.
    """
    args = job.args
    if args.after is None and move_entries(db, ctx, sender, args.changed_id):
        # Requests and sessions are locked in different transactions: elsewhere sessions are locked first.
        _continue(db, ctx, args, _FIRST)
        return Finished()
    found = store.sessions_ahead(db, args.changed_id, ctx.now, args.after, _PART)
    is_held = False
    for session_id in found:
        session = locked_session(db, session_id)
        if session is None or session.status != SessionStatus.SCHEDULED:
            continue
        if absence_step_state(db, session.id) is not None:
            is_held = True
        else:
            _update(db, ctx, sender, session)
    if is_held:
        return Snooze("an absence plan is about to change a session", _AGAIN)
    if len(found) == _PART:
        _continue(db, ctx, args, found[-1])
    return Finished()


def _continue(db: Session, ctx: Context, args: UpdateInvites, after: UUID) -> None:
    """Order the update of the sessions behind this one."""
    later = NewJob(UpdateInvites(args.changed_id, args.change_id, after), ctx.now)
    wake_after_commit(db, {one.job_type for one in outbox_store.insert_jobs(db, [later])})


def _update(db: Session, ctx: Context, sender: Sender, session: ScheduledSession) -> None:
    """Revise a locked session once, if one of its mailboxes does not hold what it should."""
    sides = {session.requester_user_id: Party.REQUESTER, session.consultant_user_id: Party.CONSULTANT}
    boxes = store.mailboxes(db, session.id)
    copies = {who: _copy(db, ctx, sender, session, who) for who in sides}
    used = {mailbox_key(copy.recipient.mailbox.address) for copy in copies.values() if copy is not None}
    removed = tuple(
        (box.user_id, box.id)
        for box in boxes
        if box.method == InviteMethod.REQUEST
        and copies.get(box.user_id) is not None
        and box.mailbox not in used
        and not store.is_removal_ordered(db, box)
    )
    invited, updated = set[UUID](), set[UUID]()
    for who, party in sides.items():
        copy = copies[who]
        if copy is None or _is_on_its_way(db, session, who):
            continue
        since = store.answer_due_since(db, session.id, party)
        box = _box_of(boxes, who, copy)
        if box is None or store.is_removal_ordered(db, box):
            if _was_invited(db, session, who, boxes, since):
                invited.add(who)
        elif box.sequence >= since and box.content_digest != content_digest(copy, sender):
            updated.add(who)
    if removed or invited or updated:
        _revise(db, ctx, session, sides, invited, updated, removed)


def _copy(
    db: Session, ctx: Context, sender: Sender, session: ScheduledSession, who: UUID
) -> CalendarCopy | None:
    try:
        return calendar_copy(db, sender, session, who, ctx.policies)
    except AwaitedDataError:
        return None


def _is_on_its_way(db: Session, session: ScheduledSession, who: UUID) -> bool:
    """Whether an invitation waits that will show what is known when it is sent."""
    return store.has_invite(db, session.id, who, session.revision, [JobState.WAITING])


def _box_of(boxes: list[SessionMailbox], who: UUID, copy: CalendarCopy) -> SessionMailbox | None:
    mailbox = mailbox_key(copy.recipient.mailbox.address)
    return next(
        (
            box
            for box in boxes
            if box.mailbox == mailbox and box.method == InviteMethod.REQUEST and box.user_id == who
        ),
        None,
    )


def _was_invited(
    db: Session, session: ScheduledSession, who: UUID, boxes: list[SessionMailbox], since: int
) -> bool:
    """Whether the side was invited to the session as it is now, at another address or in vain."""
    at_another = any(box.user_id == who and box.sequence >= since for box in boxes)
    return at_another or store.has_invite(db, session.id, who, since, _BEGUN)


def _revise(
    db: Session,
    ctx: Context,
    session: ScheduledSession,
    sides: dict[UUID, Party],
    invited: set[UUID],
    updated: set[UUID],
    removed: tuple[tuple[UUID, UUID], ...],
) -> None:
    before, earlier = {"revision": session.revision}, session.revised_at
    # An invitation of this revision that is not sent yet would be superseded: it goes out with the new one.
    carried = {
        who for who in sides if store.has_invite(db, session.id, who, session.revision, store.UNFINISHED)
    }
    revise(session, ctx)
    session.revised_at = max(session.revised_at, earlier + _REVISION_STEP)
    db.flush()
    outbox.record_event(
        db,
        ctx,
        EventType.SESSION_INVITES_UPDATED,
        session=session,
        before=before,
        after={"revision": session.revision, "invited_again": sorted(sides[who] for who in invited)},
        update=InviteUpdate(tuple(sorted(invited | updated | carried)), removed),
    )
