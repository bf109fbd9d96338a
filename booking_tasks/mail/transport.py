"""Sending mail: one message to one mailbox over SMTP, with a result that is never guessed."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.headerregistry import AddressHeader
from email.parser import BytesParser
from email.policy import SMTP
from typing import Literal

from booking_tasks.enums import PutOffReason
from booking_tasks.kit.errors import EffectError, EffectNotDoneError, EffectRefusedError, EffectUnknownError
from booking_tasks.kit.settings import Settings

Security = Literal["none", "starttls", "tls"]

_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
#: About our account and not about the mail (RFC 4954 section 6).
_LOGIN_REFUSED = frozenset({530, 534, 535, 538})
#: The server closes the connection, whatever the command (RFC 5321 section 3.8).
_SHUTTING_DOWN = 421
_ENHANCED_CODE = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}\b")


@dataclass(frozen=True)
class SmtpTransport:
    """One mail server. `timeout` (seconds) bounds a whole conversation; keep it below the jobs' lease."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    security: Security = "none"
    timeout: float = 10.0

    def send(self, raw: bytes) -> None:
        """Hand one finished message (CRLF, RFC 5322) to the server.

        The envelope is the From address and the single To address of the message itself. Raises
        EffectNotDoneError when the server certainly did not take it, EffectRefusedError when it
        never will (5yz to MAIL, RCPT or DATA, RFC 5321 section 4.2.1) or when the message does not
        name exactly one recipient, and EffectUnknownError when the connection was lost between the
        first byte of the body and the server's answer. No error text carries an address.
        """
        sender, recipient = _envelope(raw)
        end = time.monotonic() + self.timeout
        with _nothing_sent():
            client = self._connect(sender.rpartition("@")[2])
        try:
            with _hang_up_at(client, end):
                with _nothing_sent():
                    self._prepare(client, sender, recipient)
                    _expect("DATA", 354, *client.docmd("DATA"))
                _deliver(client, raw)
                with suppress(OSError):
                    client.quit()
        finally:
            client.close()

    def probe(self, address: str) -> None:
        """Log in and offer a mail from `address` to `address`, then reset: nothing is sent.

        Raises EffectNotDoneError or EffectRefusedError as `send` does before the first byte of a body.
        """
        end = time.monotonic() + self.timeout
        with _nothing_sent():
            client = self._connect(address.rpartition("@")[2])
            try:
                with _hang_up_at(client, end):
                    self._prepare(client, address, address)
                    client.rset()
                    client.quit()
            finally:
                client.close()

    def _connect(self, greeting_name: str) -> smtplib.SMTP:
        # A name of our own: the default asks the resolver, which nothing here could time out.
        if self.security == "tls":
            return smtplib.SMTP_SSL(
                self.host,
                self.port,
                local_hostname=greeting_name,
                timeout=self.timeout,
                context=ssl.create_default_context(),
            )
        return smtplib.SMTP(self.host, self.port, local_hostname=greeting_name, timeout=self.timeout)

    def _prepare(self, client: smtplib.SMTP, sender: str, recipient: str) -> None:
        client.ehlo_or_helo_if_needed()
        if self.security == "starttls":
            if not client.has_extn("starttls"):
                text = "the mail server offers no STARTTLS, and BOOKING_SMTP_SECURITY is starttls"
                raise EffectNotDoneError(text, PutOffReason.NOT_READY)
            code, _ = client.starttls(context=ssl.create_default_context())
            if code != 220:
                raise _not_ready(code)
            client.ehlo_or_helo_if_needed()
        if self.user is not None:
            client.login(self.user, self.password or "")
        _expect("MAIL", 250, *client.mail(sender))
        _expect("RCPT", 250, *client.rcpt(recipient))


def transport(config: Settings) -> SmtpTransport:
    """The mail server that the settings name."""
    return SmtpTransport(
        host=config.smtp_host,
        port=config.smtp_port,
        user=config.smtp_user,
        password=config.smtp_password.get_secret_value() if config.smtp_password else None,
        security=config.smtp_security,
        timeout=config.smtp_timeout.total_seconds(),
    )


def _envelope(raw: bytes) -> tuple[str, str]:
    message = BytesParser(policy=SMTP).parsebytes(raw, headersonly=True)
    if message.get_all("Cc") or message.get_all("Bcc"):
        raise EffectRefusedError("the message names people beside its one recipient")
    return _single_address(message.get_all("From"), "From"), _single_address(message.get_all("To"), "To")


def _single_address(headers: list[AddressHeader] | None, name: str) -> str:
    addresses = [address for header in headers or [] for address in header.addresses]
    if headers is None or len(headers) != 1 or len(addresses) != 1 or not addresses[0].domain:
        raise EffectRefusedError(f"the message must have one {name} header with one address")
    return str(addresses[0].addr_spec)


def _deliver(client: smtplib.SMTP, raw: bytes) -> None:
    body = _LEADING_DOT.sub(b"..", raw)
    ending = b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n"
    try:
        client.send(body + ending)
        code, reply = client.getreply()
    except OSError as error:
        raise EffectUnknownError(
            f"the connection was lost while the message went out: {type(error).__name__}"
        ) from error
    if code // 100 in (4, 5):
        raise _refusal("the message", code, reply)
    if code // 10 != 25:  # an answer cut off in its first digits is no promise
        raise EffectUnknownError(f"the answer to the message makes no sense: {code}")


def _expect(step: str, expected: int, code: int, reply: bytes) -> None:
    if code != expected and not (step == "RCPT" and code == 251):
        raise _refusal(step, code, reply)


def _refusal(step: str, code: int, reply: bytes) -> EffectError:
    enhanced = _ENHANCED_CODE.match(reply)
    answer = f"{code} {enhanced[0].decode()}" if enhanced else str(code)
    if code in _LOGIN_REFUSED:
        return EffectNotDoneError(f"the mail server refused {step}: {answer}", PutOffReason.LOGIN_REFUSED)
    if 500 <= code <= 599:
        return EffectRefusedError(f"the mail server refused {step}: {answer}")
    reason = PutOffReason.NOT_READY if code == _SHUTTING_DOWN else PutOffReason.PUT_OFF
    return EffectNotDoneError(f"the mail server put off {step}: {answer}", reason)


def _not_ready(code: int) -> EffectNotDoneError:
    """The error for an answer to the greeting, EHLO, STARTTLS or the login."""
    if code in _LOGIN_REFUSED:
        return EffectNotDoneError(f"the mail server refused the login: {code}", PutOffReason.LOGIN_REFUSED)
    return EffectNotDoneError(f"the mail server was not ready: {code}", PutOffReason.NOT_READY)


@contextmanager
def _nothing_sent() -> Iterator[None]:
    """Any error inside the block means that nothing of the message was sent."""
    try:
        yield
    except EffectError:
        raise
    except smtplib.SMTPResponseException as error:
        raise _not_ready(error.smtp_code) from error
    except smtplib.SMTPNotSupportedError as error:
        text = "the mail server offers no login, and BOOKING_SMTP_USER is set"
        raise EffectNotDoneError(text, PutOffReason.NOT_READY) from error
    except (OSError, ValueError) as error:
        text = f"the mail server was not reached: {type(error).__name__}"
        raise EffectNotDoneError(text, PutOffReason.UNREACHABLE) from error


@contextmanager
def _hang_up_at(client: smtplib.SMTP, end: float) -> Iterator[None]:
    """Close the connection at an instant of the monotonic clock.

    A time-out of a socket starts anew with every byte, so a server that sends single bytes never reaches it.
    """

    def hang_up() -> None:
        if client.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(client.sock, socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, end - time.monotonic()), hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
