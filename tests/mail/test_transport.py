"""Every way a conversation with a mail server can end, and what we then claim to know."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult

from booking_tasks.kit.errors import EffectNotDoneError, EffectRefusedError, EffectUnknownError
from booking_tasks.kit.settings import load_settings
from booking_tasks.mail.transport import SmtpTransport, transport
from booking_tasks.ops.servers import free_port
from tests.mail.servers import DRIP, DROP, STALL, scripted_server, sink_server

CERTIFICATE = Path(__file__).parent / "loopback.pem"
RAW = (
    b"From: Consultations <booking@example.org>\r\n"
    b"To: Mira <mira@example.org>\r\n"
    b"Subject: x\r\n\r\n"
    b".a line that starts with a dot\r\n"
    b"..and another\r\n"
)


def to(port: int, **values: Any) -> SmtpTransport:
    usual: dict[str, Any] = {"host": "127.0.0.1", "port": port, "timeout": 5.0}
    return SmtpTransport(**(usual | values))


def test_the_message_arrives_byte_for_byte_under_its_own_addresses() -> None:
    with sink_server() as (sink, port):
        to(port).send(RAW)

    assert [(mail.sender, mail.recipients) for mail in sink.mails] == [
        ("booking@example.org", ["mira@example.org"])
    ]
    assert sink.mails[0].raw == RAW


def test_a_message_without_a_last_line_break_is_ended_all_the_same() -> None:
    with scripted_server() as (script, port):
        to(port).send(RAW.removesuffix(b"\r\n"))

    assert script.bodies == [RAW.replace(b"\r\n.", b"\r\n..")]


@pytest.mark.parametrize(
    ("phase", "answer", "error"),
    [
        ("greeting", "554 not you", EffectNotDoneError),
        ("greeting", DROP, EffectNotDoneError),
        ("EHLO", DROP, EffectNotDoneError),
        ("MAIL", "451 4.3.0 later", EffectNotDoneError),
        ("MAIL", "550 5.7.1 never", EffectRefusedError),
        ("MAIL", DROP, EffectNotDoneError),
        ("RCPT", "450 4.2.0 grey", EffectNotDoneError),
        ("RCPT", "421 4.3.2 closing", EffectNotDoneError),
        ("RCPT", "550 5.1.1 unknown", EffectRefusedError),
        ("RCPT", DROP, EffectNotDoneError),
        ("DATA", "451 4.3.0 later", EffectNotDoneError),
        ("DATA", "554 5.5.1 no valid recipients", EffectRefusedError),
        ("DATA", DROP, EffectNotDoneError),
        ("body", "452 4.3.1 disk full", EffectNotDoneError),
        ("body", "554 5.6.0 spam", EffectRefusedError),
        ("body", "hello", EffectUnknownError),
        ("body", DROP, EffectUnknownError),
    ],
)
def test_what_is_known_depends_on_the_moment_of_the_failure(
    phase: str, answer: str, error: type[Exception]
) -> None:
    with scripted_server({phase: answer}) as (script, port), pytest.raises(error):
        to(port).send(RAW)

    assert bool(script.bodies) == (phase == "body")


@pytest.mark.parametrize(
    ("phase", "answer", "error"),
    [
        ("greeting", STALL, EffectNotDoneError),
        ("RCPT", STALL, EffectNotDoneError),
        ("RCPT", DRIP, EffectNotDoneError),
        ("body", STALL, EffectUnknownError),
        ("body", DRIP, EffectUnknownError),
    ],
)
def test_a_server_that_stalls_or_drips_holds_us_no_longer_than_the_time_out(
    phase: str, answer: str, error: type[Exception]
) -> None:
    with scripted_server({phase: answer}) as (_, port):
        began = time.monotonic()
        with pytest.raises(error):
            to(port, timeout=0.4).send(RAW)

        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("answer", [DROP, STALL, "500 what"])
def test_once_the_message_is_taken_nothing_after_it_matters(answer: str) -> None:
    with scripted_server({"QUIT": answer}) as (script, port):
        to(port, timeout=0.4).send(RAW)

    assert len(script.bodies) == 1


def test_a_server_that_is_not_there_got_nothing() -> None:
    with pytest.raises(EffectNotDoneError, match="ConnectionRefusedError"):
        to(free_port()).send(RAW)


def test_errors_name_codes_and_never_an_address() -> None:
    with (
        scripted_server({"RCPT": "550 5.1.1 <mira@example.org>: no such user"}) as (_, port),
        pytest.raises(EffectRefusedError) as refused,
    ):
        to(port).send(RAW)

    assert str(refused.value) == "the mail server refused RCPT: 550 5.1.1"


@pytest.mark.parametrize(
    "headers",
    [
        b"From: booking@example.org\r\nTo: a@example.org, b@example.org\r\n",
        b"From: booking@example.org\r\nTo: a@example.org\r\nTo: b@example.org\r\n",
        b"From: booking@example.org\r\nTo: a@example.org\r\nCc: b@example.org\r\n",
        b"From: booking@example.org\r\nTo: a@example.org\r\nBcc: b@example.org\r\n",
        b"From: booking@example.org\r\nTo: nobody\r\n",
        b"From: booking@example.org\r\n",
        b"To: a@example.org\r\n",
    ],
)
def test_a_message_to_more_than_one_person_is_refused_before_anything_is_sent(headers: bytes) -> None:
    with scripted_server() as (script, port), pytest.raises(EffectRefusedError):
        to(port).send(headers + b"\r\nx\r\n")

    assert script.seen == []


# -- TLS and passwords ---------------------------------------------------------------------------------


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def let_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"account", b"open sesame"), handled=False)


def test_starttls_then_the_password_then_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    options = {"require_starttls": True, "auth_required": True, "authenticator": let_in}
    with sink_server(tls_context=server_context(), **options) as (sink, port):
        to(port, security="starttls", user="account", password="open sesame").send(RAW)

    assert [mail.raw for mail in sink.mails] == [RAW]


def test_a_wrong_password_can_be_put_right_so_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    options = {"require_starttls": True, "auth_required": True, "authenticator": let_in}
    with (
        sink_server(tls_context=server_context(), **options) as (sink, port),
        pytest.raises(EffectNotDoneError, match="535"),
    ):
        to(port, security="starttls", user="account", password="guess").send(RAW)

    assert sink.mails == []


def test_without_the_promised_tls_nothing_is_sent_in_the_clear() -> None:
    with (
        scripted_server() as (script, port),
        pytest.raises(EffectNotDoneError, match="offers no STARTTLS"),
    ):
        to(port, security="starttls", user="account", password="open sesame").send(RAW)

    assert script.seen == ["EHLO"]


def test_a_certificate_that_nobody_vouches_for_gets_nothing() -> None:
    with (
        sink_server(tls_context=server_context()) as (sink, port),
        pytest.raises(EffectNotDoneError, match="SSLCertVerificationError"),
    ):
        to(port, security="starttls").send(RAW)

    assert sink.mails == []


def test_the_settings_name_the_server_and_the_password_is_never_shown() -> None:
    made = transport(
        load_settings(
            {
                "smtp_host": "mail.example.org",
                "smtp_port": 587,
                "smtp_user": "account",
                "smtp_password": "open sesame",
                "smtp_security": "starttls",
            }
        )
    )

    assert made == SmtpTransport("mail.example.org", 587, "account", "open sesame", "starttls", 10.0)
    assert "sesame" not in repr(made)
