"""The receiver of messages: turns a use case into a public task with validation, inbox and transaction."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
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
from booking_tasks.inbox import service, store
from booking_tasks.inbox.service import Answered, Run
from booking_tasks.kit.database import is_away, transaction, with_lock
from booking_tasks.kit.logs import logger
from booking_tasks.kit.redaction import redacted
from booking_tasks.kit.settings import settings
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.unit_of_work import unit_of_work
from booking_tasks.wakeup import hold_wakeups, send_held_wakeups

log = logger(__name__)

#: Serialization failure, deadlock, and a row that a rival wrote first (PostgreSQL, appendix A: unique
#: and exclusion violation): the loser simply runs again, and sees what the winner left.
_RACE_LOST = {"40001", "40P01", "23505", "23P01"}
_RACES = 5
#: Waited too long for others (same appendix): lock not available, query cancelled.
_TOO_LONG = {"55P03", "57014"}
#: How long a message waits in its slot for the database, and between two tries (seconds).
_PATIENCE, _PAUSE = 60.0, 0.5

ResultT = TypeVar("ResultT")
OutcomeT = TypeVar("OutcomeT", bound=Outcome)
CommandT = TypeVar("CommandT", bound=Command[Any])
QueryT = TypeVar("QueryT", bound=Query[Any])
UseCase = Callable[[Session, Context, Any], Outcome]

_use_cases: dict[str, UseCase] = {}
_when_too_long: dict[str, UseCase] = {}


def accepts(
    contract: type[CommandT],
    when_too_long: UseCase | None = None,
) -> Callable[[Callable[[Session, Context, CommandT], OutcomeT]], Any]:
    """Make a use case the public task of a command.

    `when_too_long` is run in its stead when it had to wait too long for others; it has left nothing behind.
    """

    def register(use_case: Callable[[Session, Context, CommandT], OutcomeT]) -> Any:
        _use_cases[contract.task] = use_case
        if when_too_long is not None:
            _when_too_long[contract.task] = when_too_long

        return _public_task(contract, lambda request: _receive(contract, request))

    return register


def answers(
    contract: type[QueryT],
) -> Callable[[Callable[[Session, Context, QueryT], OutcomeT]], Any]:
    """Make a use case that changes nothing the public task of a query."""

    def register(use_case: Callable[[Session, Context, QueryT], OutcomeT]) -> Any:
        def answer(request: Any) -> dict[str, Any]:
            query = _validated(contract, request)
            if isinstance(query, Outcome):
                return query.model_dump(mode="json")
            with unit_of_work("query", contract.queue) as (db, ctx):
                db.execute(text("SET TRANSACTION READ ONLY"))
                return use_case(db, ctx, query).model_dump(mode="json")

        return _public_task(contract, answer)

    return register


class _AnswersFirst(app.Task):
    """A task whose caller has the answer before the bells of what follows from it ring."""

    def before_start(self, *_: Any) -> None:
        hold_wakeups()


@task_postrun.connect
def _ring(**_: Any) -> None:
    """After every task, also one whose result could not be stored: what was kept must not stay."""
    send_held_wakeups()


def _public_task(contract: type[Query[Any]], respond: Callable[[Any], dict[str, Any]]) -> Any:
    def receive(request: Any = None) -> dict[str, Any]:
        return respond(request)

    receive.__doc__ = contract.__doc__
    receive.__name__ = contract.task
    return app.task(name=TASK_PREFIX + contract.task, base=_AnswersFirst)(receive)


def _bury(contract: type[Query[Any]], door: str, reason: str, request: Any) -> None:
    def bury() -> None:
        with transaction() as db:
            store.add_dead_letter(
                db, TASK_PREFIX + contract.task, door, reason, redacted(request), _message_id(request)
            )

    once_there(bury)


def _validated(contract: type[QueryT], request: Any) -> QueryT | Outcome:
    try:
        return contract.model_validate(request)
    except ValidationError as error:
        problems = field_errors([dict(one) for one in error.errors(include_url=False, include_input=False)])
        reason = "; ".join(f"{one.field}: {one.problem}" for one in problems)
        _bury(contract, contract.queue, reason, request)
        log.warning("message.invalid", task=contract.task, fields=[one.field for one in problems])
        return contract.outcome(result="refused", code="invalid", message=reason[:1000], errors=problems)


def _message_id(request: Any) -> UUID | None:
    try:
        return UUID(str(request["message_id"]))
    except (TypeError, KeyError, ValueError):
        return None


def _receive(contract: type[Command[Any]], request: Any) -> dict[str, Any]:
    command = _validated(contract, request)
    if isinstance(command, Outcome):
        return command.model_dump(mode="json")
    return receive(command, contract.queue)


def receive(command: Command[Any], door: str, fingerprint: str | None = None) -> dict[str, Any]:
    """Answer a command that came through a door of this house, once, as if it had come by its queue.

    `fingerprint`: of one that was accepted before, as it was taken then.
    """
    with bound_contextvars(task=command.task, **_ids(command)):
        answer = _answered(type(command), command, door, fingerprint)
        log.info("message.answered", result=answer["result"], code=answer.get("code"))
    return answer


def _is_awaited() -> bool:
    """Whether somebody waits for the answer of the task that runs, and sends again when none comes."""
    # Celery's own default says False also where nobody said anything.
    return bool(current_task) and vars(current_task.request).get("ignore_result") is False


def once_there(work: Callable[[], ResultT], begun: Callable[[], bool] = lambda: False) -> ResultT:
    """What `work` returns, tried again while the database is away and nothing has `begun`.

    For messages nobody waits for, and so nobody sends again: after a minute, or when the worker is told to
    stop, the message goes back to its queue (celery.exceptions.Reject). A sweep or a page that runs a
    message has none to give back, and gets the error at once.
    """
    end, waits = time.monotonic() + _PATIENCE, False
    while True:
        try:
            return work()
        except DBAPIError as error:
            if begun() or not is_away(error) or current_task.request.called_directly:
                raise
            if is_requested() or time.monotonic() > end:
                log.warning("message.handed_back", task=current_task.name)
                raise Reject("the database is away", requeue=True) from error
            if not waits:
                log.warning("message.waits", task=current_task.name, error=str(error))
            waits = True
            time.sleep(_PAUSE)


def _ids(command: Command[Any]) -> dict[str, str]:
    """What every log line of a message carries: its id and those it is about."""
    about = {name: getattr(command, f"{name}_id", None) for name in ("message", "request", "session")}
    return {name: str(value) for name, value in about.items() if value is not None}


def _answered(
    contract: type[Command[Any]], command: Command[Any], door: str, fingerprint: str | None
) -> dict[str, Any]:
    # As it was written: a field that a later release adds does not make another message of this one.
    body = command.model_dump(mode="json", exclude_unset=True)

    def count(db: Session) -> Answered | Run:
        return service.arrive(
            db,
            command.message_id,
            contract.task,
            door,
            body,
            settings().message_attempts,
            _is_awaited(),
            fingerprint,
        )

    counted = False

    def once() -> dict[str, Any]:
        nonlocal counted
        # A second delivery waits for the first, so that waiting is not counted as an attempt.
        with with_lock(f"message:{command.message_id}", count) as (connection, arrival):
            counted = True
            if isinstance(arrival, Answered):
                return arrival.outcome
            return _run(contract, command, door, connection)

    is_message = bool(current_task) and current_task.name == TASK_PREFIX + contract.task
    if not is_message or _is_awaited():
        return once()
    return once_there(once, lambda: counted)


def _run(
    contract: type[Command[Any]], command: Command[Any], door: str, connection: Connection
) -> dict[str, Any]:
    """Run the body in its own transaction; a race that was lost is run again at once."""
    use_case = _use_cases[contract.task]
    for race in range(1, _RACES + 1):
        try:
            with unit_of_work(command.actor, door, command.message_id, connection) as (db, ctx):
                outcome = use_case(db, ctx, command)
                return service.answer(db, command.message_id, outcome)
        except DBAPIError as error:
            state, instead = getattr(error.orig, "sqlstate", None), _when_too_long.get(contract.task)
            if race < _RACES and state in _TOO_LONG and instead not in {None, use_case}:
                use_case = instead
            elif race < _RACES and state in _RACE_LOST:
                time.sleep(random.random() * 0.05 * race)  # noqa: S311 - jitter, not a secret
            else:
                raise
    raise AssertionError("unreachable: the last race returns or raises")
