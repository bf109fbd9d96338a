"""What must be true of the rows, whatever happened to them: asked by crash points, properties and faults.

Every function returns sentences, one for each thing that is wrong; an empty list means all is well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking_tasks.mail.message import message_id
from booking_tasks.models import Job
from booking_tasks.outbox.job_args import JobType
from booking_tasks.outbox.jobs import JOB_TYPES, OnUnknownResult

#: True after every transaction.
ALWAYS: dict[str, str] = {
    "a balance is not the sum of its counted entries": """
        SELECT b.consultant_user_id
          FROM assignment_balances b LEFT JOIN assignment_credits e
            ON e.consultation_service_type_id = b.consultation_service_type_id
           AND e.consultant_user_id = b.consultant_user_id AND e.is_counted
         GROUP BY b.consultation_service_type_id, b.consultant_user_id, b.credits
        HAVING b.credits <> coalesce(sum(e.amount), 0)""",
    "a credit stands for a request that its consultant has not": """
        SELECT e.consultation_request_id
          FROM assignment_credits e JOIN consultation_requests r ON r.id = e.consultation_request_id
         WHERE e.credit_type = 'assignment'
           AND NOT EXISTS (SELECT FROM assignment_credits t WHERE t.reverses = e.id)
           AND (r.assigned_consultant_user_id IS DISTINCT FROM e.consultant_user_id
                OR r.status NOT IN ('pending_confirmation', 'scheduled', 'completed'))
           AND NOT EXISTS (SELECT FROM time_offers o
                            WHERE o.state = 'open' AND o.consultation_request_id = r.id
                              AND o.consultant_user_id = e.consultant_user_id)""",
    "two reservations of one consultant overlap": """
        SELECT a.id FROM consultant_availability_slots a JOIN consultant_availability_slots b
            ON a.consultant_user_id = b.consultant_user_id AND a.id < b.id
           AND tstzrange(a.start_time, a.end_time) && tstzrange(b.start_time, b.end_time)
         WHERE a.status IN ('held', 'booked') AND b.status IN ('held', 'booked')""",
    "a requester is in two places at once": """
        SELECT a.id FROM consultant_availability_slots a JOIN consultant_availability_slots b
            ON a.requester_user_id = b.requester_user_id AND a.id < b.id
           AND tstzrange(a.session_start_time, a.session_end_time)
               && tstzrange(b.session_start_time, b.session_end_time)
         WHERE a.status IN ('held', 'booked') AND b.status IN ('held', 'booked')""",
    "somebody serves a session and attends another one": """
        SELECT a.id FROM consultant_availability_slots a JOIN consultant_availability_slots b
            ON a.consultant_user_id = b.requester_user_id
           AND tstzrange(a.start_time, a.end_time) && tstzrange(b.session_start_time, b.session_end_time)
         WHERE a.status IN ('held', 'booked') AND b.status IN ('held', 'booked')""",
    "two windows of one consultant overlap": """
        SELECT a.id FROM consultant_availability_slots a JOIN consultant_availability_slots b
            ON a.consultant_user_id = b.consultant_user_id AND a.id < b.id
           AND tstzrange(a.start_time, a.end_time) && tstzrange(b.start_time, b.end_time)
         WHERE a.status = 'available' AND b.status = 'available'""",
    "the circle of request and session is broken": """
        SELECT r.id FROM consultation_requests r FULL JOIN scheduled_sessions s
            ON s.consultation_request_id = r.id
         WHERE r.scheduled_session_id IS DISTINCT FROM s.id""",
    "request and session disagree about the people or the service": """
        SELECT s.id FROM scheduled_sessions s JOIN consultation_requests r ON r.id = s.consultation_request_id
         WHERE (s.requester_user_id, s.consultant_user_id, s.consultation_service_type_id)
               IS DISTINCT FROM
               (r.requester_user_id, r.assigned_consultant_user_id, r.consultation_service_type_id)""",
    "the request's status does not fit its session's": """
        SELECT s.id FROM scheduled_sessions s JOIN consultation_requests r ON r.id = s.consultation_request_id
         WHERE r.status <> CASE WHEN s.status IN ('scheduled', 'in_progress') THEN 'scheduled'
                                WHEN s.status LIKE 'cancelled_by_%' THEN 'cancelled' ELSE 'completed' END""",
    "a request's status wants a session that is not there": """
        SELECT id FROM consultation_requests
         WHERE scheduled_session_id IS NULL AND status IN ('scheduled', 'completed')""",
    "a request waits for an answer and nobody was asked": """
        SELECT id FROM consultation_requests
         WHERE status = 'pending_confirmation' AND assigned_consultant_user_id IS NULL""",
    "a session has not exactly its own time": """
        SELECT s.id FROM scheduled_sessions s LEFT JOIN consultant_availability_slots f
            ON f.scheduled_session_id = s.id
         GROUP BY s.id
        HAVING count(f.id) <> CASE WHEN s.status LIKE 'cancelled_by_%' THEN 0 ELSE 1 END
            OR NOT coalesce(bool_and(
                   (f.status, f.session_start_time, f.session_end_time, f.consultant_user_id,
                    f.requester_user_id, f.consultation_request_id)
                 = ('booked', s.scheduled_start_time, s.scheduled_end_time,
                    -- who takes it over while the plan can still be undone
                    coalesce((SELECT p.consultant_user_id FROM absence_plan_steps p
                               WHERE p.booking_id = f.id AND p.state = 'applied' AND p.action = 'reassign'),
                             s.consultant_user_id),
                    s.requester_user_id, s.consultation_request_id)), true)""",
    "a hold is not for one request that waits for this consultant": """
        SELECT h.consultation_request_id
          FROM consultant_availability_slots h JOIN consultation_requests r
            ON r.id = h.consultation_request_id
         WHERE h.status = 'held'
         GROUP BY h.consultation_request_id
        HAVING count(*) > 1
            OR bool_or(CASE r.status
                       WHEN 'pending_confirmation' THEN r.assigned_consultant_user_id <> h.consultant_user_id
                       WHEN 'pending' THEN r.hold_token IS DISTINCT FROM h.hold_token
                       WHEN 'pending_assignment' THEN NOT EXISTS (
                            SELECT FROM time_offers o
                             WHERE o.state = 'open' AND o.hold_token = h.hold_token
                               AND (o.consultation_request_id, o.consultant_user_id, o.start_time)
                                   = (r.id, h.consultant_user_id, h.session_start_time))
                       WHEN 'scheduled' THEN NOT EXISTS (
                           SELECT FROM absence_plan_steps p
                            WHERE p.hold_id = h.id AND p.state IN ('applied', 'offered'))
                       ELSE true END)""",
    "an open offer is not to one who waits": """
        SELECT o.id FROM time_offers o JOIN consultation_requests r ON r.id = o.consultation_request_id
         WHERE o.state = 'open' AND (r.status <> 'pending_assignment' OR r.waiting_since IS NULL)""",
    "a verdict does not say who came": """
        SELECT id FROM scheduled_sessions
         WHERE (judged_at IS NOT NULL) <> (status IN ('completed', 'no_show_user', 'no_show_consultant',
                                                      'attendance_unknown'))
            OR (judged_at IS NOT NULL) <> (requester_attendance IS NOT NULL)
            OR (judged_at IS NOT NULL) <> (consultant_attendance IS NOT NULL)""",
    "a choice was made and no decision kept": """
        SELECT r.id FROM consultation_requests r
         WHERE r.status IN ('pending_assignment', 'pending_confirmation', 'scheduled', 'completed')
           AND NOT EXISTS (SELECT FROM assignment_decisions d WHERE d.consultation_request_id = r.id)""",
}

#: What is still to be done at the instant `:now`. Nothing of it is left when all is calm.
OPEN: dict[str, str] = {
    "jobs under a lease": "SELECT key FROM jobs WHERE state IN ('leased', 'sending')",
    # While a plan can still be undone, letters about its sessions wait.
    "jobs due": """
        SELECT key FROM jobs j
         WHERE state = 'waiting' AND due_at <= :now
           AND NOT (job_type LIKE 'send_%' AND EXISTS (
                    SELECT FROM absence_plan_steps s
                      JOIN consultant_availability_slots f ON f.id = s.booking_id
                     WHERE s.scheduled_session_id = j.subject_id AND s.state = 'applied'))""",
    "messages without an answer": "SELECT message_id FROM inbox WHERE state = 'received'",
    "requests nobody looked at": """
        SELECT id FROM consultation_requests
         WHERE status = 'pending' AND hold_token IS NULL
           AND coalesce(least(deadline_at, preferred_end_time) > :now, true)""",
    "requests past their time": """
        SELECT id FROM consultation_requests
         WHERE status IN ('pending', 'pending_assignment')
           AND least(deadline_at, preferred_end_time) <= :now""",
    "requests whose hold is over": """
        SELECT r.id FROM consultation_requests r
         WHERE r.status = 'pending_confirmation' AND NOT EXISTS (
               SELECT FROM consultant_availability_slots h
                WHERE h.consultation_request_id = r.id AND h.status = 'held' AND h.held_until > :now)""",
    "holds that are over": """
        SELECT id FROM consultant_availability_slots WHERE status = 'held' AND held_until <= :now""",
    "offers that are over": """
        SELECT id FROM time_offers WHERE state = 'open' AND offered_until <= :now""",
    "sessions to start": """
        SELECT id FROM scheduled_sessions WHERE status = 'scheduled' AND scheduled_start_time <= :now""",
    "sessions to judge": """
        SELECT id FROM scheduled_sessions
         WHERE status = 'in_progress'
           AND scheduled_end_time + make_interval(secs => :verdict_delay) <= :now""",
    "calendars to look at": """
        SELECT id FROM calendar_feeds WHERE due_at <= clock_timestamp() OR lease_until IS NOT NULL""",
    "outages of calendars nobody was told of": """
        SELECT id FROM calendar_feeds
         WHERE alerted_at IS NULL AND coalesce(good_at, created_at) < :now - interval '24 hours'""",
}

#: What may be left to do -> the sweep that takes it up.
SWEEP_FOR = {
    "jobs under a lease": "recover_jobs",
    "jobs due": "wake_due_jobs",
    "messages without an answer": "recover_inbox",
    "requests past their time": "expire_requests",
    "requests whose hold is over": "expire_requests",
    "holds that are over": "expire_holds",
    "offers that are over": "lapse_offers",
    "sessions to start": "advance_sessions",
    "sessions to judge": "judge_sessions",
    "calendars to look at": "refresh_calendars",
    "outages of calendars nobody was told of": "refresh_calendars",
}

#: A minute goes by: leases and back-off are over, and messages without an answer count as abandoned.
TIME_PASSES = (
    "UPDATE jobs SET lease_until = clock_timestamp() - interval '1 second' WHERE lease_until IS NOT NULL",
    "UPDATE jobs SET retry_at = NULL WHERE retry_at IS NOT NULL",
    "UPDATE calendar_feeds SET lease_until = clock_timestamp() - interval '1 second',"
    " due_at = clock_timestamp() - interval '1 second' WHERE lease_until IS NOT NULL",
    "UPDATE inbox SET attempted_at = clock_timestamp() - interval '2 minutes' WHERE state = 'received'",
)

#: The next instant at which something is to be done of itself.
NEXT_DUE = """
    SELECT min(due) FROM (
        SELECT min(due_at) AS due FROM jobs WHERE state = 'waiting' AND due_at > :now
        UNION ALL SELECT min(scheduled_start_time) FROM scheduled_sessions
                   WHERE status = 'scheduled' AND scheduled_start_time > :now
        UNION ALL SELECT min(scheduled_end_time + make_interval(secs => :verdict_delay))
                    FROM scheduled_sessions
                   WHERE status IN ('scheduled', 'in_progress')
                     AND scheduled_end_time + make_interval(secs => :verdict_delay) > :now
        UNION ALL SELECT min(least(deadline_at, preferred_end_time)) FROM consultation_requests
                   WHERE status IN ('pending', 'pending_assignment')
                     AND least(deadline_at, preferred_end_time) > :now
        UNION ALL SELECT min(held_until) FROM consultant_availability_slots
                   WHERE status = 'held' AND held_until > :now
        UNION ALL SELECT min(offered_until) FROM time_offers
                   WHERE state = 'open' AND offered_until > :now
    ) candidates
"""

LETTERS = frozenset({"send_invite", "send_cancellation", "send_reminder", "send_notice"})


def of_rows(db: Session) -> list[str]:
    """What is wrong with the rows as they stand; asked in one round trip."""
    union = " UNION ALL ".join(
        f"SELECT {number} AS number, x.id::text FROM ({query}) x (id)"
        for number, query in enumerate(ALWAYS.values())
    )
    names = list(ALWAYS)
    return [f"{names[number]}: {found}" for number, found in db.execute(text(union))]


def still_open(db: Session, now: Any, verdict_delay: float) -> list[str]:
    """What is left to do at an instant of the business clock; back-off counts as left."""
    union = " UNION ALL ".join(
        f"SELECT {number}, x.id::text FROM ({query}) x (id)" for number, query in enumerate(OPEN.values())
    )
    rows = db.execute(text(union), {"now": now, "verdict_delay": verdict_delay})
    names = list(OPEN)
    return [f"{names[number]}: {found}" for number, found in rows]


def of_letters(db: Session, mails: Sequence[tuple[str, bytes]], uid_domain: str) -> list[str]:
    """What is wrong with the mails that arrived: (Message-ID, the very bytes), against the job ledger.

    At most one for each recipient, kind and revision; a second, byte-identical one only where the
    policy allows a repeat and the first one's outcome was unknown.
    """
    arrived: dict[str, list[bytes]] = defaultdict(list)
    for name, content in mails:
        arrived[name].append(content)
    wrong: list[str] = []
    jobs = db.execute(select(Job).where(Job.job_type.in_(LETTERS))).scalars().all()
    for job in jobs:
        copies = arrived.pop(message_id(job.key, uid_domain), [])
        repeatable = JOB_TYPES[JobType(job.job_type)].on_unknown_result == OnUnknownResult.REPEAT_ONCE
        if len(copies) > (2 if repeatable and job.send_attempts > 1 else 1):
            wrong.append(f"{len(copies)} mails for {job.key} after {job.send_attempts} send attempts")
        if len(set(copies)) > 1:
            wrong.append(f"a repeat of {job.key} has other bytes")
        if len(copies) > job.send_attempts:
            wrong.append(f"{job.key} arrived {len(copies)} times and was sent {job.send_attempts} times")
        if job.state == "done" and not copies:
            wrong.append(f"{job.key} is done and no mail arrived")
    wrong += [f"a mail that no job stands for: {name}" for name in arrived]
    return wrong + _doubled_letters(jobs)


def _doubled_letters(jobs: Sequence[Job]) -> list[str]:
    seen: set[tuple[object, ...]] = set()
    wrong = []
    for job in jobs:
        if job.job_type in {"send_invite", "send_cancellation"}:
            about = (
                *(job.job_type, job.subject_id, job.args["revision"], job.args["recipient"]),
                job.args.get("mailbox_id"),
            )
            if about in seen:
                wrong.append(f"two jobs for one letter: {job.key}")
            seen.add(about)
    return wrong


def of_rooms(db: Session, rooms: Mapping[UUID, str], created: Sequence[UUID]) -> list[str]:
    """What is wrong with the platform when all is calm: open rooms (session, room id), rooms ever made."""
    sessions = db.execute(
        text("SELECT id, status, meeting_platform_session_id AS room FROM scheduled_sessions")
    ).mappings()
    wrong = [f"{one}: {count} rooms were made" for one, count in Counter(created).items() if count > 1]
    left = dict(rooms)
    for session in sessions:
        room = left.pop(session["id"], None)
        if session["status"] not in {"scheduled", "in_progress"}:
            wrong += [f"the room of {session['id']} is open and the session over"] if room else []
        elif session["room"] is not None and room != session["room"]:
            wrong.append(f"{session['id']} names room {session['room']}, the platform has {room}")
    return wrong + [f"a room for no session: {session_id}" for session_id in left]


def of_stream(db: Session, published: Sequence[UUID]) -> list[str]:
    """What is wrong with the events others heard (their ids, in order) when all is calm."""
    wrong = [f"event {one} was published twice" for one, count in Counter(published).items() if count > 1]
    done = set(
        db.execute(
            select(Job.subject_id).where(Job.job_type == "publish_event", Job.state == "done")
        ).scalars()
    )
    wrong += [f"event {one} counts as published and was not" for one in done - set(published)]
    # Every try's outcome was lost: what was sent is kept, and a person sees it.
    unknown = select(Job.subject_id).where(
        Job.job_type == "publish_event", Job.state == "dead", Job.payload.is_not(None)
    )
    left = set(published) - done - set(db.execute(unknown).scalars())
    return wrong + [f"{one} was published and its job is not done" for one in left]
