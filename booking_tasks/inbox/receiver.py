"""The receiver of messages: makes a use case a public task with validation, inbox and transaction."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from celery import current_task
from celery.exceptions import Reject
from celery.signals import task_postrun
from pydantic import ValidationError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import TASK_PREFIX, Command, Outcome, Query, field_errors
from booking_tasks.enums import RefusalCode
from booking_tasks.inbox import service, store
from booking_tasks.inbox.service import Answered, Attempt, Running
from booking_tasks.inbox.warnings import with_warnings
from booking_tasks.kit.database import connection_for_several_transactions, transaction
from booking_tasks.kit.database_errors import is_away
from booking_tasks.kit.errors import BookingTasksError, NotAnsweredError
from booking_tasks.kit.logs import logger
from booking_tasks.kit.redaction import redacted
from booking_tasks.kit.settings import settings
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.unit_of_work import unit_of_work
from booking_tasks.wakeup import hold_wakeups, send_held_wakeups

log = logger(__name__)

#: SQLSTATEs of a lost race: serialization failure, deadlock, unique, exclusion and foreign key violation
#: (PostgreSQL, appendix A). The use case runs again at once and sees what the other transaction has
#: committed.
_RACE_LOST = {"40001", "40P01", "23505", "23P01", "23503"}
_MAX_RUNS = 5
#: SQLSTATEs of a lock wait or a query that took too long: lock not available, query cancelled.
_WAITED_TOO_LONG = {"55P03", "57014"}
#: How long a message waits in its worker for the database, and the pause between two tries (seconds).
_DATABASE_WAIT, _PAUSE = 60.0, 0.5
#: The first and the longest pause of a delivery that waits for another one of the same message (seconds).
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2

ResultT = TypeVar("ResultT")
UseCaseOutcomeT = TypeVar("UseCaseOutcomeT", bound=Outcome)
CommandT = TypeVar("CommandT", bound=Command[Any])
QueryT = TypeVar("QueryT", bound=Query[Any])
UseCase = Callable[[Session, Context, Any], Outcome]


class MessageRunningError(BookingTasksError):
    """Another delivery of the message runs for too long, so that this one stops waiting for its answer."""


_use_cases: dict[str, UseCase] = {}
_fallback_use_cases: dict[str, UseCase] = {}
_in_one_snapshot: set[str] = set()


def accepts(
    contract: type[CommandT],
    when_too_long: UseCase | None = None,
    *,
    one_snapshot: bool = False,
) -> Callable[[Callable[[Session, Context, CommandT], UseCaseOutcomeT]], Any]:
    """Make a use case the public task of a command.

    `when_too_long` runs in its place after it waited too long for a lock; its transaction was rolled back.
    With `one_snapshot` it sees the rows of one instant (`unit_of_work`).
    """

    def register(use_case: Callable[[Session, Context, CommandT], UseCaseOutcomeT]) -> Any:
        _use_cases[contract.task] = use_case
        if one_snapshot:
            _in_one_snapshot.add(contract.task)
        if when_too_long is not None:
            _fallback_use_cases[contract.task] = when_too_long
        return _public_task(contract, receive)

    return register


def answers(
    contract: type[QueryT],
    *,
    one_snapshot: bool = False,
) -> Callable[[Callable[[Session, Context, QueryT], UseCaseOutcomeT]], Any]:
    """Make a use case that changes nothing the public task of a query.

    With `one_snapshot` it sees the rows of one instant (`unit_of_work`).
    """

    def register(use_case: Callable[[Session, Context, QueryT], UseCaseOutcomeT]) -> Any:
        def answer(query: QueryT) -> dict[str, Any]:
            with unit_of_work("query", contract.queue, one_snapshot=one_snapshot) as (db, ctx):
                db.execute(text("SET TRANSACTION READ ONLY"))
                return use_case(db, ctx, query).model_dump(mode="json")

        return _public_task(contract, answer)

    return register


class _PublicTask(app.Task):
    """A task whose caller gets the answer before the wake-up messages for its jobs are sent."""

    def before_start(self, *_: Any) -> None:
        hold_wakeups()


@task_postrun.connect
def _send_held_wakeups(**_: Any) -> None:
    """Send held wake-ups after every task, also when its result could not be stored."""
    send_held_wakeups()


def _public_task(contract: type[Query[Any]], run: Callable[[Any], dict[str, Any]]) -> Any:
    def validate_and_run(request: Any = None) -> dict[str, Any]:
        try:
            message = contract.model_validate(request)
        except ValidationError as error:
            return _refuse_invalid(contract, request, error).model_dump(mode="json")
        with _details_kept_from_caller(contract):
            return run(message)

    validate_and_run.__doc__ = contract.__doc__
    validate_and_run.__name__ = contract.task
    return app.task(name=TASK_PREFIX + contract.task, base=_PublicTask)(validate_and_run)


@contextmanager
def _details_kept_from_caller(contract: type[Query[Any]]) -> Iterator[None]:
    """Log an error whole, and raise one for the caller that names no host, port, role or row."""
    try:
        yield
    except Exception as error:
        if not _has_caller() or isinstance(error, Reject):
            raise
        log.exception("message.failed", task=contract.task)
        is_outage = isinstance(error, DBAPIError) and is_away(error)
        raise NotAnsweredError("the database is away" if is_outage else "the service failed") from None


def _refuse_invalid(contract: type[Query[Any]], request: Any, error: ValidationError) -> Outcome:
    """Keep an invalid message as a dead letter, and return the refusal that names the fields at fault."""
    problems = field_errors([dict(one) for one in error.errors(include_url=False, include_input=False)])
    reason = "; ".join(f"{one.field}: {one.problem}" for one in problems)
    task, queue = TASK_PREFIX + contract.task, contract.queue

    def add_dead_letter() -> None:
        with transaction() as db:
            store.add_dead_letter(db, task, queue, reason, redacted(request), _message_id(request))

    retry_while_unavailable(add_dead_letter)
    log.warning("message.invalid", task=contract.task, fields=[one.field for one in problems])
    return contract.outcome(
        result="refused", code=RefusalCode.INVALID, message=reason[:1000], errors=problems
    )


def _message_id(request: Any) -> UUID | None:
    try:
        return UUID(str(request["message_id"]))
    except (TypeError, KeyError, ValueError):
        return None


def receive(
    command: Command[Any], entry_point: str | None = None, accepted_hash: str | None = None
) -> dict[str, Any]:
    """Answer a command once, whichever way it came: by its queue, by a page or from the inbox.

    `entry_point` is its queue when None. `accepted_hash` is the hash of its content in the inbox, for a
    command that was accepted before.
    """
    entry_point = entry_point or command.queue
    about = {name: getattr(command, f"{name}_id", None) for name in ("message", "request", "session")}
    has_caller = _has_caller()
    has_begun = False

    def answer_once() -> dict[str, Any]:
        nonlocal has_begun
        with connection_for_several_transactions() as connection:
            attempt = _counted_attempt(command, entry_point, accepted_hash, has_caller, connection)
            has_begun = True
            if isinstance(attempt, Answered):
                return attempt.outcome
            return _run_use_case(command, entry_point, connection)

    ids = {name: str(value) for name, value in about.items() if value is not None}
    with bound_contextvars(task=command.task, **ids):
        is_message = bool(current_task) and current_task.name == TASK_PREFIX + command.task
        if has_caller or not is_message:
            answer = answer_once()
        else:
            answer = retry_while_unavailable(answer_once, lambda: has_begun)
        log.info("message.answered", result=answer["result"], code=answer.get("code"))
    return answer


def _has_caller() -> bool:
    """Whether somebody waits for the answer of the running task, and sends again when none comes."""
    # The attribute of Celery's context is False also when the message says nothing.
    return bool(current_task) and vars(current_task.request).get("ignore_result") is False


def _counted_attempt(
    command: Command[Any],
    entry_point: str,
    accepted_hash: str | None,
    has_caller: bool,
    connection: Connection,
) -> Answered | Attempt:
    """Count an attempt at the message; a second delivery waits here and is not counted meanwhile.

    It waits outside the database, so that it holds no connection of a pooler. Raises MessageRunningError.
    """
    # Unset fields are left out: a field that a later release adds must not change the content's hash.
    body = command.model_dump(mode="json", exclude_unset=True)
    message_id, max_attempts = command.message_id, settings().message_attempts
    end, pause = time.monotonic() + settings().lock_timeout.total_seconds(), _FIRST_PAUSE
    while True:
        with transaction(connection) as db:
            attempt = service.begin_attempt(
                db, message_id, command.task, entry_point, body, max_attempts, has_caller, accepted_hash
            )
        if not isinstance(attempt, Running):
            return attempt
        if time.monotonic() > end:
            raise MessageRunningError(
                "another delivery of this message is still running; send it again later"
            )
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _run_use_case(command: Command[Any], entry_point: str, connection: Connection) -> dict[str, Any]:
    """Run the use case and store its answer in one transaction; run it again after a lost race."""
    use_case = _use_cases[command.task]
    for run in range(1, _MAX_RUNS + 1):
        try:
            return _run_once(command, entry_point, connection, use_case)
        except DBAPIError as error:
            state, fallback = getattr(error.orig, "sqlstate", None), _fallback_use_cases.get(command.task)
            if run < _MAX_RUNS and state in _WAITED_TOO_LONG and fallback not in {None, use_case}:
                use_case = fallback
            elif run == _MAX_RUNS or state not in _RACE_LOST:
                raise
        with transaction(connection) as db:
            service.extend_attempt(db, command.message_id)
        time.sleep(random.random() * 0.05 * run)  # noqa: S311 - jitter, not a secret
    raise AssertionError("unreachable: the last run returns or raises")


def _run_once(
    command: Command[Any], entry_point: str, connection: Connection, use_case: UseCase
) -> dict[str, Any]:
    """Run the use case under the lock of its message, unless another attempt has answered it meanwhile."""
    one_snapshot = command.task in _in_one_snapshot
    with unit_of_work(
        command.actor, entry_point, command.message_id, connection, one_snapshot=one_snapshot
    ) as (db, ctx):
        answer = service.stored_answer(db, command.message_id)
        if answer is not None:
            return answer
        outcome = with_warnings(db, use_case(db, ctx, command), ctx.policies.mail_address)
        return service.store_answer(db, command.message_id, outcome)


def retry_while_unavailable(
    work: Callable[[], ResultT], has_begun: Callable[[], bool] = lambda: False
) -> ResultT:
    """Return what `work` returns; try it again while the database is away and the work has not begun.

    For messages that nobody waits for, so that nobody sends them again. After a minute, or when a shutdown is
    requested, the message goes back to its queue (celery.exceptions.Reject). A sweep or a page that runs a
    message has no message to return and gets the error at once.
    """
    end, has_waited = time.monotonic() + _DATABASE_WAIT, False
    while True:
        try:
            return work()
        except DBAPIError as error:
            if has_begun() or not is_away(error) or current_task.request.called_directly:
                raise
            if is_requested() or time.monotonic() > end:
                log.warning("message.returned", task=current_task.name)
                raise Reject("the database is away", requeue=True) from error
            if not has_waited:
                log.warning("message.waits", task=current_task.name, error=str(error))
            has_waited = True
            time.sleep(_PAUSE)
