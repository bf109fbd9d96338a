"""Forgetting a person, and exporting all that is known of one: messages of the admin queue."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from booking_tasks.contracts.base import Command, CommonCode, Instant, Outcome, PublicQueue, Query
from booking_tasks.enums import RefusalCode

ForgetUserCode = Literal[RefusalCode.SESSIONS_AHEAD,]


class ForgetUserOutcome(Outcome[ForgetUserCode]):
    """What ended with the person: the sessions ahead that they had requested, and their open requests.

    `already_done`: nothing is known of this user id, or nothing is known any more.
    """

    cancelled_sessions: int = 0
    withdrawn_requests: int = 0


class ForgetUser(Command[ForgetUserOutcome]):
    """Erase what is known of a person, as requester and as consultant, and give the past a random id instead.

    Sessions ahead that they requested are cancelled, open requests with their holds and offers are withdrawn;
    the other side is notified, the person is not written to any more. Counts, times and the credits of others
    stay. A later `upsert_user` or booking with the same id is a new person. docs/operations.md says what
    cannot be reached.

    Code when refused: `sessions_ahead` (they have sessions as a consultant; an absence plan comes first).
    """

    task: ClassVar[str] = "forget_user"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = ForgetUserOutcome

    user_id: UUID


class ExportUserOutcome(Outcome[CommonCode]):
    """All that is known of a person.

    `tables` has the rows of each table that are about them, by the table's name and as the columns name their
    values; secrets (passwords, tokens, bytes of mails) are left out. `truncated` names the tables of which
    only the latest rows are in the answer.
    """

    exported_at: Instant | None = None
    user_id: UUID | None = None
    tables: dict[str, tuple[dict[str, Any], ...]] = Field(default_factory=dict)
    truncated: tuple[str, ...] = ()


class ExportUser(Query[ExportUserOutcome]):
    """Export all that is known of a person, as requester and as consultant.

    docs/operations.md has the shape.
    """

    task: ClassVar[str] = "export_user"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = ExportUserOutcome

    user_id: UUID
