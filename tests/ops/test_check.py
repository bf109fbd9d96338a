"""`booking-tasks check` reports the state of every part, with a remedy for what is wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import psycopg
import pytest
from typer.testing import CliRunner, Result

from booking_tasks.kit.queues import QUEUES
from booking_tasks.kit.settings import load_settings, settings, unknown_settings
from booking_tasks.kit.time_zones import tzdata_version
from booking_tasks.ops.check import findings
from booking_tasks.ops.cli import cli
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.findings import Finding
from booking_tasks.ops.servers import free_port
from tests.accounts import as_superuser
from tests.mail.servers import scripted_server, sink_server
from tests.ops.producer import send
from tests.synthetic_steps import SyntheticSteps, synthetic_steps

__all__ = ["synthetic_steps"]

Check = Callable[[], Result]

#: A mail server's answer to EHLO that offers a login.
AUTH = "250-mail.example\r\n250 AUTH PLAIN"


@pytest.fixture
def healthy(
    own_database: str, broker: str, platform: FakeMeetingPlatform, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """A deployment where everything answers."""
    for name in ("APP", "BROKER_URL", "RESULT_BACKEND", "LOADER", "CONFIG_MODULE"):
        monkeypatch.delenv(name, raising=False)
    for name in unknown_settings():  # those of the tests themselves
        monkeypatch.delenv(name)
    with sink_server() as (_, port):
        monkeypatch.setenv("REDIS_URL", broker)
        monkeypatch.setenv("BOOKING_SMTP_PORT", str(port))
        monkeypatch.setenv("BOOKING_MEETING_URL", platform.url)
        settings.cache_clear()
        yield monkeypatch


def check(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check", *arguments], catch_exceptions=False)


def found(name: str) -> list[Finding]:
    return [one for one in findings() if one.check == name]


def states() -> dict[str, set[str]]:
    everything: dict[str, set[str]] = {}
    for one in findings():
        everything.setdefault(one.check, set()).add(one.state)
    return everything


def test_where_all_is_well_every_line_says_ok_but_the_tests_open_broker(healthy: pytest.MonkeyPatch) -> None:
    healthy.setenv("BOOKING_REPLY_AUTHSERV", "mx.example.org")
    assert states() == {
        "settings": {"ok"},
        "environment": {"ok"},
        "time zones": {"ok"},
        "solver": {"ok"},
        "database": {"ok"},
        "extension": {"ok"},
        "schema": {"ok"},
        "clock": {"ok"},
        "ledgers": {"ok"},
        "pooler": {"ok"},
        "put off": {"ok"},
        "links": {"ok"},
        "beat": {"ok"},
        "hours": {"ok"},
        "calendars": {"ok"},
        "addresses": {"ok"},
        "broker": {"ok", "warning"},
        "queues": {"ok"},
        "mail": {"ok"},
        "meetings": {"ok"},
        "answers": {"ok"},
    }
    ran = check()
    assert ran.exit_code == 0
    assert "needs no password -> start it with an ACL file" in ran.stdout
    assert "unacknowledged 0" in ran.stdout


def test_a_broken_part_is_reported_with_its_remedy_as_line_and_as_json(healthy: pytest.MonkeyPatch) -> None:
    healthy.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    ran = check("--json")
    assert ran.exit_code == 1
    broken = [one for one in json.loads(ran.stdout) if one["state"] == "broken"]
    assert [one["check"] for one in broken] == ["broker"]
    assert "start the broker" in broken[0]["remedy"]


def test_a_wrong_setting_is_the_only_finding(healthy: pytest.MonkeyPatch) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOKING_LEASE", "10s")
        ran = check()
    assert ran.exit_code == 1
    assert [line.split()[2] for line in ran.stdout.splitlines()] == [
        "BOOKING_MEETING_TIMEOUT:",
        "BOOKING_SMTP_TIMEOUT:",
    ]
    assert "below half of BOOKING_LEASE (5 s)" in ran.stdout


@pytest.mark.parametrize("name", ["BROKER_URL", "APP", "CELERY_WORKER_CONCURRENCY", "CELERY_BROKER_READ_URL"])
def test_what_celery_reads_by_itself_is_warned_of(healthy: pytest.MonkeyPatch, name: str) -> None:
    healthy.setenv(name, "x")
    [one] = found("environment")
    assert (one.state, one.remedy) == ("warning", f"unset {name}")


def test_a_database_that_is_away_is_broken_and_everything_else_is_still_looked_at(
    healthy: pytest.MonkeyPatch,
) -> None:
    healthy.setenv("DATABASE_URL", f"postgresql://127.0.0.1:{free_port()}/nothing")
    [one] = found("database")
    assert (one.state, one.remedy) == ("broken", "start PostgreSQL, or correct DATABASE_URL")
    assert states()["mail"] == {"ok"}


def _stands_at(url: str, revision: str) -> None:
    with psycopg.connect(as_superuser(url)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])


def test_a_schema_behind_is_broken_and_one_ahead_a_warning(
    healthy: pytest.MonkeyPatch, own_database: str, synthetic_steps: SyntheticSteps
) -> None:
    _stands_at(own_database, synthetic_steps.expand)
    [behind] = found("schema")
    assert (behind.state, behind.remedy) == ("broken", "run booking-tasks migrate")
    _stands_at(own_database, "0027_judged_under_the_lock")
    [old] = found("schema")
    assert (old.state, old.remedy) == ("broken", "make an empty database and run booking-tasks migrate")
    _stands_at(own_database, "9999_future")
    [ahead] = found("schema")
    assert (ahead.state, ahead.remedy) == ("warning", "upgrade this installation")


def test_a_database_without_the_extension_or_the_schema_is_broken(
    healthy: pytest.MonkeyPatch, postgres: str
) -> None:
    healthy.setenv("DATABASE_URL", postgres)
    assert states()["extension"] == states()["schema"] == {"broken"}
    assert "ledgers" not in states()


def test_a_stepped_clock_is_warned_of(healthy: pytest.MonkeyPatch) -> None:
    healthy.setenv("BOOKING_CLOCK", "stepped")
    assert [one.state for one in found("clock")] == ["ok", "warning"]


def test_what_waits_for_a_person_or_is_late_is_counted(
    healthy: pytest.MonkeyPatch, own_database: str
) -> None:
    with psycopg.connect(own_database) as connection:
        connection.execute("""
            INSERT INTO jobs (key, job_type, subject_id, due_at, state, finished_at, lease_token, lease_until)
            SELECT 'k' || n, 'send_invite', gen_random_uuid(), now() - interval '10 minutes', state,
                   CASE WHEN state IN ('dead', 'uncertain') THEN now() END,
                   CASE WHEN state = 'leased' THEN gen_random_uuid() END,
                   CASE WHEN state = 'leased' THEN now() - interval '6 minutes' END
              FROM unnest(ARRAY['dead', 'dead', 'uncertain', 'waiting', 'leased'])
                   WITH ORDINALITY AS t (state, n)
        """)
        connection.execute(
            "INSERT INTO parked_messages (task, queue, body_hash, arguments) VALUES ('t', 'q', 'h', '{}')"
        )
        connection.execute("INSERT INTO dead_letters (task, entry_point, reason) VALUES ('t', 'd', 'r')")
        connection.execute("""
            INSERT INTO inbox (message_id, task, body_hash, entry_point, body, attempted_at)
            VALUES (gen_random_uuid(), 't', 'h', 'booking', '{}', now() - interval '6 minutes')
        """)
    seen = {one.seen: one for one in found("ledgers")}
    assert {one.state for one in seen.values()} == {"warning"}
    assert list(seen) == [
        "1 dead letters",
        "2 dead jobs",
        "1 uncertain jobs",
        "1 parked messages",
        "1 jobs overdue by 5 minutes",
        "1 leases expired for 5 minutes",
        "1 messages unanswered for 5 minutes",
    ]
    assert "booking-tasks jobs list --state dead" in seen["2 dead jobs"].remedy


def test_the_lengths_of_the_queues_are_reported(healthy: pytest.MonkeyPatch, broker: str) -> None:
    for _ in range(3):
        send(broker, "notify", "booking_tasks.v1.send_invite")
    [one] = found("queues")
    assert "notify 3" in one.seen
    assert all(name in one.seen for name in QUEUES)


def test_a_mail_server_or_platform_that_is_away_is_a_warning(healthy: pytest.MonkeyPatch) -> None:
    healthy.setenv("BOOKING_SMTP_PORT", str(free_port()))
    healthy.setenv("BOOKING_MEETING_URL", f"http://127.0.0.1:{free_port()}")
    assert states()["mail"] == states()["meetings"] == {"warning"}
    assert check().exit_code == 0


def test_without_a_public_url_it_reports_that_mails_contain_no_link(healthy: pytest.MonkeyPatch) -> None:
    calendars, links = found("answers")
    assert (links.state, "mails contain no link" in links.line) == ("ok", True)
    assert calendars.state == "warning"
    assert "(BOOKING_REPLY_AUTHSERV is not set: they change nothing)" in calendars.line

    healthy.setenv("BOOKING_REPLY_AUTHSERV", "mx.example.org")
    checked = found("answers")[0]
    assert (checked.state, "(DMARC checked by mx.example.org)" in checked.line) == ("ok", True)
    healthy.setenv("BOOKING_REPLY_UNAUTHENTICATED", "accept")
    unchecked = found("answers")[0]
    assert (unchecked.state, "BOOKING_REPLY_UNAUTHENTICATED is accept" in unchecked.line) == ("warning", True)
    healthy.setenv("BOOKING_CALENDAR_REPLIES", "false")
    assert "not sent to calendars" in found("answers")[0].line


def test_pages_behind_links_that_nobody_reaches_are_a_warning(healthy: pytest.MonkeyPatch) -> None:
    healthy.setenv("BOOKING_LINK_SECRET", "of the tests, and long enough for it")
    healthy.setenv("BOOKING_PUBLIC_URL", f"http://127.0.0.1:{free_port()}")
    [_, one] = found("answers")
    assert (one.state, "links in mails do not work" in one.seen) == ("warning", True)

    healthy.setenv("BOOKING_PUBLIC_URL", f"http://127.0.0.2:{free_port()}")
    assert [("unencrypted" in one.seen, one.state) for one in found("answers")[1:]] == [
        (True, "warning"),
        (False, "warning"),
    ]


def test_a_platform_that_refuses_our_token_is_a_warning(healthy: pytest.MonkeyPatch) -> None:
    with FakeMeetingPlatform(token="right") as guarded:
        healthy.setenv("BOOKING_MEETING_URL", guarded.url)
        healthy.setenv("BOOKING_MEETING_TOKEN", "wrong")
        [one] = found("meetings")
    assert one.state == "warning"
    assert "401" in one.seen
    assert "wrong" not in one.line


@pytest.mark.parametrize(
    ("turns", "seen", "remedy"),
    [
        ({"MAIL": "451 4.3.0 later"}, "put off MAIL: 451 4.3.0", "start it"),
        ({"RCPT": "451 later"}, "put off RCPT: 451", "start it"),
        ({"RCPT": "550 5.1.1 nobody"}, "refused RCPT: 550 5.1.1", "start it"),
        ({"greeting": "421 too busy"}, "was not ready: 421", "start it"),
        ({"EHLO": AUTH, "AUTH": "535 5.7.8 no"}, "refused the login: 535", "correct BOOKING_SMTP_USER"),
        ({"MAIL": "530 5.7.0 log in first"}, "refused MAIL: 530 5.7.0", "correct BOOKING_SMTP_USER"),
    ],
)
def test_a_mail_server_that_would_not_take_a_mail_is_a_warning_with_its_answer(
    healthy: pytest.MonkeyPatch, turns: dict[str, str], seen: str, remedy: str
) -> None:
    with scripted_server({"AUTH": "235 ok", "RSET": "250 ok"} | turns) as (script, port):
        healthy.setenv("BOOKING_SMTP_PORT", str(port))
        if "AUTH" in turns:
            healthy.setenv("BOOKING_SMTP_USER", "booking")
            healthy.setenv("BOOKING_SMTP_PASSWORD", "wrong-word")
        [one] = found("mail")
    assert one.state == "warning"
    assert seen in one.seen
    assert one.remedy.startswith(remedy)
    assert "wrong-word" not in one.line
    assert script.bodies == []


def test_the_check_logs_in_and_sends_nothing(healthy: pytest.MonkeyPatch) -> None:
    with scripted_server({"EHLO": AUTH, "AUTH": "235 ok", "RSET": "250 ok"}) as (script, port):
        healthy.setenv("BOOKING_SMTP_PORT", str(port))
        healthy.setenv("BOOKING_SMTP_USER", "booking")
        healthy.setenv("BOOKING_SMTP_PASSWORD", "right-word")
        [one] = found("mail")
    assert (one.state, "lets this account in" in one.seen) == ("ok", True)
    assert script.seen == ["EHLO", "AUTH", "MAIL", "RCPT", "RSET", "QUIT"]


def test_what_waits_for_its_next_try_is_counted_by_target_and_reason(
    healthy: pytest.MonkeyPatch, own_database: str
) -> None:
    with psycopg.connect(own_database) as connection:
        connection.execute("""
            INSERT INTO jobs (key, job_type, subject_id, due_at, retry_at, put_off_reason)
            SELECT 'k' || n, job_type, gen_random_uuid(), now() - interval '125 min', now() + retry, reason
              FROM (VALUES (1, 'send_invite', interval '1 hour', 'unreachable'),
                           (2, 'send_reminder', interval '1 hour', 'put_off'),
                           (3, 'send_reminder', interval '-1 hour', 'put_off'),
                           (4, 'provision_meeting', interval '1 hour', 'login_refused'),
                           (5, 'assign_request', interval '1 hour', 'failed')) t (n, job_type, retry, reason)
        """)
    mail, rooms, own = sorted(found("put off"), key=lambda one: one.seen.partition(":")[0] != "mail")
    assert {one.state for one in (mail, rooms, own)} == {"warning"}
    assert mail.seen.startswith("mail: 2 wait for their next try (put_off 1, unreachable 1)")
    assert mail.seen.endswith("the oldest was due 2 h 5 min ago")
    assert mail.remedy.endswith("booking-tasks jobs retry-now --target mail")
    assert rooms.seen.startswith("meetings: 1 wait")
    assert own.remedy == "see booking-tasks jobs list --put-off for the errors"


@pytest.mark.parametrize(
    ("published", "succeeded", "remedy"),
    [(12, 12, "start a beat"), (12, 0, "start a beat"), (0, 12, "start a worker for sweep"), (0, 0, "")],
)
def test_a_dead_beat_and_dead_workers_of_sweeps_have_remedies_of_their_own(
    healthy: pytest.MonkeyPatch, own_database: str, published: int, succeeded: int, remedy: str
) -> None:
    ago = "now() - make_interval(mins => %s)"
    with psycopg.connect(own_database, autocommit=True) as connection:
        run = f"INSERT INTO sweep_runs VALUES ('purge', {ago}, {ago})"
        connection.execute(run.encode(), [published, succeeded])
    [one] = found("beat")
    assert (
        one.seen == f"a beat last published {published} min ago, a sweep last succeeded {succeeded} min ago"
    )
    assert (one.state, one.remedy) == ("warning" if remedy else "ok", remedy)


def test_a_mail_server_without_the_security_that_is_set_is_a_warning(healthy: pytest.MonkeyPatch) -> None:
    with scripted_server() as (_, port):
        healthy.setenv("BOOKING_SMTP_PORT", str(port))
        healthy.setenv("BOOKING_SMTP_SECURITY", "starttls")
        [one] = found("mail")
    assert "offers no STARTTLS" in one.seen


def test_something_that_accepts_and_says_nothing_does_not_hold_the_check(healthy: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        healthy.setattr("booking_tasks.ops.check.TIMEOUT", 0.3)
        healthy.setenv("REDIS_URL", f"redis://127.0.0.1:{port}/0")
        healthy.setenv("BOOKING_SMTP_PORT", str(port))
        assert states()["broker"] == {"broken"}
        assert states()["mail"] == {"warning"}


def test_the_timeouts_of_effects_are_below_half_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_settings()
    assert max(config.smtp_timeout, config.meeting_timeout) < config.lease / 2


def test_the_time_zones_in_use_are_reported_and_projections_made_with_others_are_counted(
    healthy: pytest.MonkeyPatch, own_database: str
) -> None:
    assert tzdata_version() in found("time zones")[0].seen
    assert found("hours")[0].seen.endswith("none yet")
    consultant = "INSERT INTO consultant_profiles (consultant_user_id) VALUES (gen_random_uuid())"
    projection = (
        "INSERT INTO availability_projections (consultant_user_id, projected_until, tzdata_version)"
        f" SELECT consultant_user_id, '2027-05-30', '{tzdata_version()}' FROM consultant_profiles"
    )
    with psycopg.connect(own_database, autocommit=True) as connection:
        connection.execute(consultant)
        connection.execute(projection.encode())
        assert [(one.state, one.seen) for one in found("hours")] == [
            ("ok", f"consultants' hours projected: 1 with {tzdata_version()}")
        ]
        for version, remedy in (("2020a", "they project the old ones again"), ("2099a", "newer time zones")):
            connection.execute("UPDATE availability_projections SET tzdata_version = %s", [version])
            [finding] = found("hours")
            assert finding.state == "warning"
            assert f"1 with {version}" in finding.seen
            assert remedy in finding.remedy


@pytest.mark.usefixtures("healthy")
def test_a_horizon_for_which_no_hours_are_known_is_reported(own_database: str) -> None:
    assert len(found("hours")) == 1
    with psycopg.connect(own_database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO consultation_service_types (name, default_duration_minutes, horizon_days)"
            " VALUES ('Algebra', 60, 400), ('Analysis', 60, 90)"
        )
    [_, finding] = found("hours")
    assert finding.state == "warning"
    assert finding.seen == "1 horizons are longer than BOOKING_HORIZON (90 days), up to 400 days"
    assert "BOOKING_HORIZON=400d" in finding.remedy


@pytest.mark.usefixtures("healthy")
def test_a_missing_solver_is_reported_with_its_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("booking_tasks.batch.matching.has_solver", lambda: False)
    [finding] = found("solver")

    assert (finding.state, "booking-tasks[solver]" in finding.remedy) == ("warning", True)
