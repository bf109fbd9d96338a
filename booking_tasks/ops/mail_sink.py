"""An SMTP server that keeps every mail as a file, for the demo and the tests (aiosmtpd)."""

from __future__ import annotations

import email
import email.policy
import threading
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from booking_tasks.ops.servers import free_port


class MailSink:
    """An SMTP server on loopback for a `with` block; mails are numbered `.eml` files in `folder`."""

    def __init__(self, folder: Path) -> None:
        from aiosmtpd.controller import Controller

        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self._lock = threading.Lock()
        self._count = 0
        self._controller: Any = Controller(self, hostname="127.0.0.1", port=self.port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's hook
        with self._lock:
            self._count += 1
            (self.folder / f"{self._count:03}.eml").write_bytes(envelope.original_content)
        return "250 kept"

    def mails(self) -> list[EmailMessage]:
        """Return every mail so far, in order of arrival."""
        return [
            email.message_from_bytes(path.read_bytes(), EmailMessage, policy=email.policy.default)
            for path in sorted(self.folder.glob("*.eml"))
        ]


def calendar_of(mail: EmailMessage) -> bytes | None:
    """Return the iCalendar part that the recipient's program processes, or None."""
    for part in mail.walk():
        if part.get_content_type() == "text/calendar":
            payload = part.get_payload(decode=True)
            return payload if isinstance(payload, bytes) else None
    return None
