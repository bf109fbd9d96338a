"""Signed links: each allows one action on one subject, for one person, until an instant. Pure.

Nothing is stored. A token contains what it grants and a signature over this and its purpose, so that a token
for one purpose is invalid for another. Whether the action is still possible depends on the rows.
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
#: The length of a token; a text of another length is not decoded.
TOKEN_CHARACTERS = 4 * _LENGTH // 3 + 1


@dataclass(frozen=True)
class Grant:
    """What a token allows: `purpose` names the action and `subject` is the id that it concerns.

    `until` is cut to whole seconds.
    """

    purpose: str
    subject: UUID
    person: UUID
    until: datetime

    def is_expired(self, now: datetime) -> bool:
        """Whether the token is no longer valid."""
        return self.until <= now


@dataclass(frozen=True)
class Links:
    """Makes and reads the links of this deployment. `address` is the public address of the web pages.

    `secret` signs; links that `previous_secret` has signed are read as well, so that a secret can be replaced
    while links are in use.
    """

    address: str
    secret: str = field(repr=False)
    previous_secret: str | None = field(default=None, repr=False)

    def url(self, path: str, grant: Grant) -> str:
        """Return the whole link: address, path and token."""
        return f"{self.address.rstrip('/')}/{path}/{self.token(grant)}"

    def token(self, grant: Grant) -> str:
        """Return the token of a grant; it is always the same for the same grant."""
        seconds = int(grant.until.timestamp()).to_bytes(_INSTANT, "big")
        content = grant.subject.bytes + grant.person.bytes + seconds
        return _text(content + _signature(self.secret, grant.purpose, content))

    def read(self, purpose: str, token: str) -> Grant | None:
        """Return the grant of a valid token for this purpose, expired or not; None for any other text."""
        if len(token) != TOKEN_CHARACTERS or not token.isascii():
            return None
        try:
            whole = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        content, signature = whole[:-_SIGNATURE], whole[-_SIGNATURE:]
        secrets = [self.secret] if self.previous_secret is None else [self.secret, self.previous_secret]
        if not any(hmac.compare_digest(signature, _signature(one, purpose, content)) for one in secrets):
            return None
        # Base64 has several spellings of one content; only one of them is a valid link.
        if not hmac.compare_digest(_text(whole), token):
            return None
        return Grant(
            purpose,
            UUID(bytes=content[:16]),
            UUID(bytes=content[16:32]),
            datetime.fromtimestamp(int.from_bytes(content[32:], "big"), UTC),
        )


def _text(whole: bytes) -> str:
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


def _signature(secret: str, purpose: str, content: bytes) -> bytes:
    text = _CONTEXT + purpose.encode() + b"\0" + content
    return hmac.new(secret.encode(), text, hashlib.sha256).digest()[:_SIGNATURE]


def answer_message_id(token: str, answer: str) -> UUID:
    """Return the message id of an answer by a link, which is the same when the answer is repeated."""
    return uuid5(UUID(bytes=hashlib.sha256(token.encode()).digest()[:16]), answer)
