"""One death at a time: run a scenario until point n, let it recover, compare with the undisturbed run."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import psycopg
from redis import Redis
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from booking_tasks.kit.settings import Settings, variable_of
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.mail_sink import MailSink
from booking_tasks.ops.servers import wait_until
from tests.accounts import as_deployed, as_role
from tests.calendars.servers import CERTIFICATE, calendar_server
from tests.crashpoints.scenarios import SCENARIOS
from tests.crashpoints.verification import Outside, differences, examined, summary

KILLED = -9
_PATIENCE = 120.0

#: What follows a death. `sweeps`: beats and workers recover, then the caller repeats itself; `caller`: the
#: other way round.
Recovery = Literal["caller", "sweeps"]
RECOVERIES: tuple[Recovery, Recovery] = ("caller", "sweeps")


class Death(NamedTuple):
    """In which step and at which of its points (from 1), what follows, and the last step to run."""

    step: int
    point: int
    after: Recovery
    last: int


def alternating(step: int, point: int, last: int | None = None) -> Death:
    """Two neighbouring points, as on the two sides of a commit, are recovered from in the two orders."""
    return Death(step, point, RECOVERIES[point % 2], step if last is None else last)


@dataclass
class Verdict:
    """What became of one death."""

    scenario: str
    step: int
    point: int
    after: Recovery
    name: str
    died: bool = True
    wrong: list[str] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    repeated: int = 0


@dataclass(frozen=True)
class Scene:
    """One step as it goes when nobody dies: how things stand before it, its points, how they stand after.

    `database` is a copy of the rows before the step, `platform` the meeting platform's state file,
    `calendar` what the outside calendar holds.
    """

    number: int
    database: str
    platform: bytes
    calendar: bytes
    mails: tuple[bytes, ...]
    published: tuple[dict[str, Any], ...]
    points: tuple[str, ...]
    summary_of: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """Whether a run died on its way, and what the world outside saw of it."""

    died: bool
    outside: Outside
    platform: bytes
    calendar: bytes


@dataclass(frozen=True)
class _Run:
    """What is to be run: from which step to which, over which rows, after which outside."""

    scenario: str
    first: int
    url: str
    platform: bytes
    calendar: bytes
    mails: tuple[bytes, ...]
    published: tuple[dict[str, Any], ...]
    last: int
    death: Death | None = None


class Lane:
    """One process with a mail server, a meeting platform and an outside calendar of its own.

    `admin_url` names a database of the server where copies of `template` are made; `redis_url` must
    name a Redis database that nobody else uses, for it is emptied before every run.
    """

    def __init__(self, admin_url: str, template: str, redis_url: str) -> None:
        self._admin_url, self._template, self._redis_url = admin_url, template, redis_url
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._open(opening)
            self._exit = opening.pop_all()
        return self

    def _open(self, opening: ExitStack) -> None:
        enter = opening.enter_context
        self._folder = Path(enter(tempfile.TemporaryDirectory(prefix="booking-crash-")))
        self._mail = enter(MailSink(self._folder / "mail"))
        self._calendar_server = enter(calendar_server())
        self._admin = enter(psycopg.connect(self._admin_url, autocommit=True))
        self._redis: Redis = enter(Redis.from_url(self._redis_url))
        self._log = (self._folder / "killed_process.log").open("w+b")
        opening.callback(self._log.close)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crashpoints.killed_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            bufsize=1,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
            env=self._environment(),
        )
        opening.callback(self._end_process)
        self._engine = create_engine("postgresql+psycopg://", poolclass=NullPool, creator=self._connect)
        self._database = self._admin_url
        self._rehearse()

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("BOOKING_", "CELERY_"))}
        return inherited | {
            "REDIS_URL": self._redis_url,
            "BOOKING_CLOCK": "stepped",
            "BOOKING_RETRY_BASE": "0.001",
            "BOOKING_RETRY_CAP": "0.001",
            "BOOKING_HORIZON": "14d",
            "BOOKING_SMTP_PORT": str(self._mail.port),
            "BOOKING_CALENDAR_PRIVATE_HOSTS": "localhost",
            "BOOKING_CALENDAR_INTERVAL": "36500d",
            "BOOKING_CALENDAR_OUTAGE": "closed",
            "SSL_CERT_FILE": str(CERTIFICATE),
            **{variable_of(one): "36500d" for one in Settings.model_fields if one.startswith("retain_")},
        }

    def _end_process(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # a run that stands still, too
            self._process.wait(10)
        self._process.stdout.close()

    def _rehearse(self) -> None:
        scenario = "moved"
        with self._copy(self._template, f"booking_scene_{self._process.pid}") as url:
            self._carry_out(_Run(scenario, 0, url, b"", b"", (), (), len(SCENARIOS[scenario]) - 1))

    @contextmanager
    def scenes(self, scenario: str) -> Iterator[list[Scene]]:
        """Run a scenario undisturbed, step by step. Raises AssertionError when that alone breaks a rule."""
        prefix = f"booking_scene_{self._process.pid}"
        with ExitStack() as copies, self._copy(self._template, prefix) as url:
            scenes: list[Scene] = []
            platform = calendar = b""
            mails: tuple[bytes, ...] = ()
            published: tuple[dict[str, Any], ...] = ()
            for number in range(len(SCENARIOS[scenario])):
                before = f"{prefix}_{number}"
                copies.enter_context(self._copy(prefix, before))
                ended = self._carry_out(
                    _Run(scenario, number, url, platform, calendar, mails, published, number)
                )
                with self._rows(url) as db:
                    wrong = examined(db, ended.outside)
                    if wrong:
                        raise AssertionError(f"{scenario}, step {number}, breaks rules undisturbed: {wrong}")
                    summary_of = summary(db, ended.outside)
                points = json.loads(self._points.read_text(encoding="utf-8"))
                scenes.append(
                    Scene(number, before, platform, calendar, mails, published, tuple(points), summary_of)
                )
                platform, calendar = ended.platform, ended.calendar
                mails, published = ended.outside.mails, ended.outside.published
                wait_until(lambda: not self._backends(url), "the end of the process's connections")
            yield scenes

    def death(self, scenario: str, scenes: Sequence[Scene], death: Death) -> Verdict:
        """Die, recover, go on until the last step, examine."""
        scene, last = scenes[death.step], death.last
        verdict = Verdict(scenario, death.step, death.point, death.after, scene.points[death.point - 1])
        with self._copy(scene.database, f"booking_crash_{self._process.pid}") as url:
            run = _Run(
                scenario,
                scene.number,
                url,
                scene.platform,
                scene.calendar,
                scene.mails,
                scene.published,
                last,
                death,
            )
            try:
                ended = self._carry_out(run)
            except AssertionError as error:
                verdict.wrong.append(str(error))
                return verdict
            with self._rows(url) as db:
                verdict.wrong += examined(db, ended.outside)
                summary_of = summary(db, ended.outside)
        found = differences(scenes[last].summary_of, summary_of)
        verdict.died, verdict.uncertain = ended.died, found.uncertain
        verdict.repeated = summary_of["repeated"] - scenes[last].summary_of["repeated"]
        verdict.wrong += found.wrong
        return verdict

    def _carry_out(self, run: _Run) -> Outcome:
        self._redis.flushdb()
        for mail in self._mail.folder.glob("*.eml"):
            mail.unlink()
        if run.platform:
            self._rooms.write_bytes(run.platform)
        else:
            self._rooms.unlink(missing_ok=True)
        self._calendar_server.content = run.calendar
        with psycopg.connect(run.url) as rows:  # the calendar is where this lane's is
            rows.execute("UPDATE calendar_feeds SET url = %s", [self._calendar_url])
        with FakeMeetingPlatform(state=self._rooms) as platform:
            point = None if run.death is None else run.death.point
            died = self._order(run, platform.url, die_at=point) == KILLED
            if died and run.death is not None:
                wait_until(lambda: not self._backends(run.url), "the end of the dead one's connections")
                if self._order(run, platform.url, after=run.death.after):
                    raise AssertionError(f"no recovery: {self._end_of_log()}")
            rooms, calls = platform.rooms(), platform.ledger()
        arrived = [mail.read_bytes() for mail in sorted(self._mail.folder.glob("*.eml"))]
        heard = [json.loads(fields[b"event"]) for _, fields in self._stream()]
        outside = Outside((*run.mails, *arrived), rooms, calls, (*run.published, *heard))
        rooms_file = self._rooms.read_bytes() if self._rooms.exists() else b""
        return Outcome(died, outside, rooms_file, self._calendar_server.content)

    def _stream(self) -> Any:
        return self._redis.xrange("booking:events")

    def _order(
        self, run: _Run, platform: str, *, die_at: int | None = None, after: Recovery | None = None
    ) -> int:
        order = {
            "scenario": run.scenario,
            "first": run.first,
            "last": run.last,
            "database": run.url,
            "platform": platform,
            "calendar": self._calendar_url,
            "die_at": die_at,
            "after": after,
            "points": str(self._points),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], _PATIENCE)[0]:
            raise TimeoutError(f"the process stands still: {order}")
        code = int(self._process.stdout.readline())
        if code not in {0, KILLED}:
            raise AssertionError(f"the run broke off: {self._end_of_log()}")
        return code

    def _end_of_log(self) -> str:
        text = Path(self._log.name).read_text(encoding="utf-8", errors="replace")
        return re.sub(r"\\n", "\n", text[-4000:])

    @property
    def _calendar_url(self) -> str:
        return f"https://localhost:{self._calendar_server.port}/private-token/basic.ics"

    @property
    def _points(self) -> Path:
        return self._folder / "points"

    @property
    def _rooms(self) -> Path:
        return self._folder / "rooms.json"

    @contextmanager
    def _copy(self, original: str, name: str) -> Iterator[str]:
        """A copy of a database; its URL, for the service's own role."""
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {original} STRATEGY file_copy".encode())
        as_deployed(self._admin, name)
        try:
            yield as_role(self._admin_url.rpartition("/")[0] + "/" + name)
        finally:
            self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def _backends(self, url: str) -> int:
        name = url.rpartition("/")[2]
        found = self._admin.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [name])
        (count,) = found.fetchone() or (0,)
        return int(count)

    @contextmanager
    def _rows(self, url: str) -> Iterator[Session]:
        self._database = url
        with Session(self._engine) as db:
            yield db

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._database)
