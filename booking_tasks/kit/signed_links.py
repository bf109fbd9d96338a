"""Links that let their holder do one thing: for one person, about one subject, until a moment. Pure.

Nothing is stored: a token carries what it grants and a signature over it and its purpose, so that a
token for one purpose is none for another. Whether the thing may still be done is for the rows to say.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid5

_CONTEXT = b"booking_tasks link 1\0"
_SIGNATURE, _INSTANT = 16, 5
_LENGTH = 16 + 16 + _INSTANT + _SIGNATURE
#: What a token looks like; whatever else is asked for need not be looked at.
TOKEN_CHARACTERS = 4 * _LENGTH // 3 + 1


@dataclass(frozen=True)
class Grant:
    """Who may do what: `purpose` is a short word of ours, `subject` what it is about.

    `until` is cut to whole seconds.
    """

    purpose: str
    subject: UUID
    person: UUID
    until: datetime

    def over(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.until <= now


@dataclass(frozen=True)
class Links:
    """How this deployment makes links and recognises its own. `address` is where the web room is reached."""

    address: str
    secret: str = field(repr=False)

    def url(self, path: str, grant: Grant) -> str:
        """The whole link: address, path and token."""
        return f"{self.address.rstrip('/')}/{path}/{self.token(grant)}"

    def token(self, grant: Grant) -> str:
        """The same grant, the same token."""
        seconds = int(grant.until.timestamp()).to_bytes(_INSTANT, "big")
        content = grant.subject.bytes + grant.person.bytes + seconds
        return (
            base64.urlsafe_b64encode(content + self._signature(grant.purpose, content)).decode().rstrip("=")
        )

    def read(self, purpose: str, token: str) -> Grant | None:
        """What a token of ours for this purpose grants, its time over or not; None for anything else."""
        if len(token) != TOKEN_CHARACTERS or not token.isascii():
            return None
        try:
            whole = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        content, signature = whole[:-_SIGNATURE], whole[-_SIGNATURE:]
        if not hmac.compare_digest(signature, self._signature(purpose, content)):
            return None
        grant = Grant(
            purpose,
            UUID(bytes=content[:16]),
            UUID(bytes=content[16:32]),
            datetime.fromtimestamp(int.from_bytes(content[32:], "big"), UTC),
        )
        # Base64 has several spellings of one content; one link has one.
        return grant if hmac.compare_digest(self.token(grant), token) else None

    def _signature(self, purpose: str, content: bytes) -> bytes:
        text = _CONTEXT + purpose.encode() + b"\0" + content
        return hmac.new(self.secret.encode(), text, hashlib.sha256).digest()[:_SIGNATURE]


def message_id(token: str, answer: str) -> UUID:
    """The id of the message that an answer by a link becomes: the same answer again is the same message."""
    return uuid5(UUID(bytes=hashlib.sha256(token.encode()).digest()[:16]), answer)
