"""Jobs for tests: arguments with fresh ids, rows, and leased jobs that no worker leased."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import datetime
from typing import Any, get_type_hints
from uuid import UUID

from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import Job
from booking_tasks.outbox.job_args import ARGS_TYPES, ArgsT, JobArgs, JobType, NoticeType, parse_args
from booking_tasks.outbox.jobs import NewJob
from tests.builders import NOW


def sample_args(job_type: str, **values: Any) -> JobArgs:
    """Arguments of a type; a field without a default and without a value gets a fresh or plain one."""
    args_type = ARGS_TYPES[JobType(job_type)]
    hints = get_type_hints(args_type)
    samples: dict[Any, Any] = {int: 0, str: "sample", NoticeType: NoticeType.REQUEST_REJECTED}
    required = [field.name for field in fields(args_type) if field.default is MISSING]
    made = {name: uuid7() if hints[name] is UUID else samples[hints[name]] for name in required}
    return args_type(**made | values)


def sample_job(job_type: str, due_at: datetime, **values: Any) -> NewJob:
    """A new job of a type; its subject exists nowhere unless `values` name one."""
    return NewJob(sample_args(job_type, **values), due_at)


def leased_job(args: ArgsT, **values: Any) -> LeasedJob[ArgsT]:
    """A job in its first attempt, as a worker holds it."""
    usual: dict[str, Any] = {"id": uuid7(), "key": args.key, "due_at": NOW, "attempts": 1}
    usual |= {"send_attempts": 0}
    return LeasedJob(args=args, **usual | {"token": uuid7(), "payload": None} | values)


def leased_row(row: Job) -> LeasedJob[Any]:
    """The job of a row in its first attempt, as a worker holds it."""
    args = parse_args(ARGS_TYPES[JobType(row.job_type)], row.args)
    return leased_job(args, id=row.id, key=row.key, due_at=row.due_at, payload=row.payload)


def job_row(args: JobArgs, **values: Any) -> Job:
    """A row of `jobs` that waits, unless `values` say otherwise."""
    usual = {"key": args.key, "job_type": args.job_type, "subject_id": args.subject_id, "due_at": NOW}
    return Job(**usual | {"args": args.to_json()} | values)
