"""Deleting rows that are older than their retention, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.retention import consultations, store
from booking_tasks.retention.rules import FORGOTTEN_LATELY, SCHEDULE_RUNS, Retention

_PARTS: dict[str, Callable[[Session, Context, Retention, int], int]] = {
    "jobs": lambda db, _, ages, limit: store.delete_jobs(db, ages.jobs, limit),
    "inbox": lambda db, _, ages, limit: store.delete_inbox(db, ages.inbox, limit),
    "events": lambda db, ctx, ages, limit: store.delete_events(db, ctx.now - ages.events, limit),
    "evidence": lambda db, _, ages, limit: store.delete_evidence(db, ages.evidence, limit),
    "leaves": lambda db, ctx, ages, limit: store.delete_leaves(db, ctx.now - ages.evidence, limit),
    "absence_plans": lambda db, ctx, ages, limit: store.delete_absence_plans(
        db, ctx.now - ages.evidence, limit
    ),
    "assignment_batches": lambda db, ctx, ages, limit: store.delete_assignment_batches(
        db, ctx.now - ages.jobs, limit
    ),
    "session_mailboxes": lambda db, ctx, ages, limit: store.delete_mailboxes(db, ctx.now - ages.jobs, limit),
    "dead_letters": lambda db, _, ages, limit: store.delete_dead_letters(db, ages.dead_letters, limit),
    "parked_messages": lambda db, _, ages, limit: store.delete_parked_messages(db, ages.dead_letters, limit),
    "schedule_runs": lambda db, ctx, _, limit: store.delete_schedule_runs(
        db, (ctx.now - SCHEDULE_RUNS).date(), limit
    ),
    "request_texts": lambda db, ctx, ages, limit: consultations.erase_request_texts(
        db, ctx.now - ages.details, limit
    ),
    "session_texts": lambda db, ctx, ages, limit: consultations.erase_session_texts(
        db, ctx.now - ages.details, limit
    ),
    "decisions": lambda db, _, ages, limit: consultations.delete_decisions(db, ages.decisions, limit),
    "forgotten_candidates": lambda db, ctx, _, limit: consultations.remove_unknown_candidates(
        db, FORGOTTEN_LATELY, ctx.now, limit
    ),
    "uncounted_credits": lambda db, ctx, ages, limit: consultations.count_credits(
        db, ctx.now - ages.credits, ctx.now, limit
    ),
    "credits": lambda db, ctx, ages, limit: consultations.delete_credits(db, ctx.now - ages.credits, limit),
    "requests": lambda db, ctx, ages, limit: consultations.delete_requests(
        db, ctx.now - ages.requests, limit
    ),
    "people": lambda db, ctx, ages, limit: consultations.delete_people(db, ctx.now - ages.people, limit),
    "forgotten_people": lambda db, _, __, limit: consultations.delete_forgotten_people(db, limit),
    "past_hours": lambda db, ctx, ages, limit: consultations.delete_past_hours(
        db, ctx.now - ages.hours, limit
    ),
    "single_hours": lambda db, ctx, ages, limit: consultations.delete_single_hours(
        db, (ctx.now - ages.hours).date(), limit
    ),
}

#: The names of what is purged.
PARTS = tuple(_PARTS)


def purge_batch(db: Session, ctx: Context, part: str, ages: Retention, limit: int) -> int:
    """Delete or erase up to `limit` rows of one part that are past their age; returns how many.

    Jobs, messages, evidence, dead letters, parked messages and decisions use real time, the others the
    business clock. Evidence is deleted only when its session is judged or cancelled.
    """
    return _PARTS[part](db, ctx, ages, limit)
