"""The parts that all messages share.

A command is one JSON object, sent as the keyword argument `request` of a Celery task named
`booking_tasks.v1.<verb_noun>`. Unknown fields are refused. Instants are ISO 8601 with an offset;
ids are UUIDs; durations are whole minutes unless a name says otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypeVar

from booking_tasks.enums import Party, RefusalCode, WarningCode
from booking_tasks.kit.lines import plain_line
from booking_tasks.kit.time_zones import zone

TASK_PREFIX = "booking_tasks.v1."

PublicQueue = Literal["booking", "evidence", "admin", "replies"]
Result = Literal["done", "already_done", "refused", "try_later"]


def _known_zone(name: str) -> str:
    try:
        zone(name)
    except KeyError as error:
        raise ValueError("is not an IANA time zone; write it like Europe/Vienna") from error
    return name


def _in_calendar(instant: datetime) -> datetime:
    if not 2000 <= instant.year <= 2199:
        raise ValueError("must lie between the years 2000 and 2199")
    return instant


def _plain(line: str) -> str:
    if "=?" in line:
        raise ValueError("must not contain '=?', which begins an encoded word in mail")
    return plain_line(line)


_NUL = "must not contain the NUL character"


def storable(text: str) -> str:
    """Return the text. Raises ValueError when PostgreSQL cannot store it."""
    if "\0" in text:
        raise ValueError(_NUL)
    return text


Instant = Annotated[AwareDatetime, AfterValidator(_in_calendar)]
ZoneName = Annotated[str, Field(max_length=64), AfterValidator(_known_zone)]
Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
Reason = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(storable)]
Prose = Annotated[str, Field(max_length=10_000), AfterValidator(storable)]
HolidayRegion = Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
Specializations = Annotated[tuple[Line, ...], Field(max_length=50)]
#: BCP 47: a language, perhaps with a region or script, like de or pt-BR.
LanguageTag = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")]
Languages = Annotated[tuple[LanguageTag, ...], Field(max_length=20)]
Ids = Annotated[tuple[UUID, ...], Field(max_length=1000)]


class Contract(BaseModel):
    """A frozen message part; a field that is not declared is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


#: The longest message, in bytes of JSON as Celery writes it: other characters than ASCII count six or twelve.
#: Below the guard's limit of a body, and enough for the longest prose in any script.
MAX_REQUEST_BYTES = 160_000


class FieldError(Contract):
    """The problem of one field, with what would be right."""

    field: str
    problem: str


class OutcomeWarning(Contract):
    """A person who gets no mail about what was booked, until the directory can address them."""

    code: WarningCode
    user_id: UUID
    party: Party
    message: str


#: The codes of every command: see Outcome.
CommonCode = Literal[RefusalCode.INVALID, RefusalCode.CONFLICT, RefusalCode.DEAD, RefusalCode.PARKED]
#: The codes of one command.
CodeT_co = TypeVar("CodeT_co", bound=RefusalCode, covariant=True, default=RefusalCode)
#: Codes of any command, in a function that several of them share.
AnyCodeT = TypeVar("AnyCodeT", bound=RefusalCode, default=RefusalCode)


class Outcome(Contract, Generic[CodeT_co]):
    """The result of a command. `code` is the reason for a refusal; `errors` name the fields at fault.

    `warnings` name the people of a booking whose mail waits, because the directory cannot address them yet.

    Beside the codes of each command: `invalid` (see `errors`), `conflict` (the message_id was used with
    other content), `dead` (it failed in several attempts), `parked` (only a newer release has its task; it is
    kept and will run).
    """

    result: Result
    code: CodeT_co | CommonCode | None = None
    message: str | None = None
    errors: tuple[FieldError, ...] = ()
    warnings: tuple[OutcomeWarning, ...] = ()

    def booked_requests(self) -> tuple[UUID, ...]:
        """Return the requests whose people get mail because of this outcome."""
        return ()

    def booked_sessions(self) -> tuple[UUID, ...]:
        """Return the sessions whose people get mail because of this outcome."""
        return ()

    def booked_consultants(self) -> tuple[UUID, ...]:
        """Return the consultants beside those of these sessions who get mail because of this outcome."""
        return ()

    @classmethod
    def refusal(cls, code: CodeT_co, field: str, problem: str) -> Self:  # type: ignore[misc]  # read-only
        """Return a refusal for one field. `problem` continues its name: "is in use; choose a new one"."""
        return cls(
            result="refused",
            code=code,
            message=f"{field} {problem}",
            errors=(FieldError(field=field, problem=problem),),
        )


OutcomeT = TypeVar("OutcomeT", bound=Outcome)


def texts_in(value: Any) -> Iterator[str]:
    """Yield every string in a JSON value, the names of its objects included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from texts_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts_in(part)


def _field_error(title: str, field: str, problem: str) -> ValidationError:
    error = PydanticCustomError("not_sendable", "{problem}", {"problem": problem})
    return ValidationError.from_exception_data(title, [{"type": error, "loc": (field,), "input": None}])


class Query(Contract, Generic[OutcomeT]):
    """A query; it changes nothing and needs no message id."""

    task: ClassVar[str]
    queue: ClassVar[PublicQueue]
    outcome: ClassVar[type[Outcome]]

    @model_validator(mode="after")
    def _passes_the_guard(self) -> Self:
        """Refuse what the service's guard would refuse, with the field at fault."""
        text = self.model_dump_json(exclude_none=True)
        # Neither can be the case without one of these, and most messages are short.
        if 4 * len(text.encode()) > MAX_REQUEST_BYTES or r"\u0000" in text:
            fields = self.model_dump(mode="json", exclude_none=True)
            for name, value in fields.items():
                if any("\0" in part for part in texts_in(value)):
                    raise _field_error(type(self).__name__, name, _NUL)
            sizes = {name: len(json.dumps(value)) for name, value in fields.items()}
            if len(json.dumps(fields)) > MAX_REQUEST_BYTES:
                longest = max(sizes, key=lambda name: sizes[name])
                problem = (
                    f"is too long: the message has more than {MAX_REQUEST_BYTES} bytes of JSON,"
                    f" and this field {sizes[longest]} of them"
                )
                raise _field_error(type(self).__name__, longest, problem)
        return self


class Command(Query[OutcomeT], Generic[OutcomeT]):
    """A message that changes something; a repeat with the same `message_id` gets the stored outcome."""

    message_id: UUID
    actor: Line = Field(description="Who acts, by the caller's claim: a user id or a service name.")


_FIELD_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")


def field_errors(problems: list[dict[str, Any]]) -> tuple[FieldError, ...]:
    """Convert pydantic's errors: the field, and what would be right, without the value.

    The sender chooses the names of unknown fields, so a text that does not look like a name is not repeated.
    """
    return tuple(
        FieldError(
            field=".".join(_field_name(part) for part in problem["loc"]) or "request",
            problem="".join(filter(str.isprintable, str(problem["msg"]).removeprefix("Value error, "))),
        )
        for problem in problems[:20]
    )


def _field_name(part: str | int) -> str:
    name = str(part)
    return name if _FIELD_NAME.fullmatch(name) else "<not a field name>"
