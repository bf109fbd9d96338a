"""What a package provides for one type of job, and the common part of jobs without outside effects."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Step
from booking_tasks.outbox.job_args import JobArgs

ArgsT_contra = TypeVar("ArgsT_contra", bound=JobArgs, contravariant=True)


class Handler(Protocol[ArgsT_contra]):
    """What a package does for one type of job."""

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[ArgsT_contra]) -> Step:
        """Read the subject again and decide what to do. Runs inside a transaction; no outside effects.

        With `job.payload` set, an earlier try's result is unknown: the same bytes must go out again.
        """

    def perform(self, payload: bytes) -> Any:
        """Do it, outside any transaction.

        Raises EffectNotDoneError, EffectRefusedError or EffectUnknownError; any other error counts as an
        unknown result.
        """

    def record(self, db: Session, ctx: Context, job: LeasedJob[ArgsT_contra], result: Any) -> None:
        """Write the result, in the transaction that finishes the job."""

    def record_delay(self, db: Session, ctx: Context, job: LeasedJob[ArgsT_contra], reason: str) -> None:
        """Write what follows from its taking long, when the job is put off after its last counted attempt.

        It is called again at each later try.
        """

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[ArgsT_contra], reason: str) -> None:
        """Write what follows from never doing it, in the transaction that ends the job as dead."""


class InternalHandler:
    """For job types without outside effects: everything happens in `prepare`."""

    def perform(self, payload: bytes) -> None:
        raise AssertionError("an internal job sends nothing")

    def record(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], result: object) -> None:
        raise AssertionError("an internal job sends nothing")

    def record_delay(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], reason: str) -> None:
        """Nothing follows: without a target a job is not put off after its last attempt."""

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], reason: str) -> None:
        """Nothing follows: the subject's own sweep evaluates it again."""
