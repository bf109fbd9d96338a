"""A real RabbitMQ for the tests: on loopback, in a temporary folder, with its own port mapper and cookie.

The server is that of the system package `rabbitmq-server`; nothing outside the folder is read or written.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

from kombu import Connection

from booking_tasks.kit.broker_topology import declare_missing
from booking_tasks.ops.servers import Server, ServerError, free_port
from tests.system_packages import program

_DEBIAN = Path("/usr/lib/rabbitmq/lib")
#: A start takes four seconds of a processor's time, which is minutes when many programs share it.
_SECONDS = 240.0


def rabbitmq_scripts() -> Path | None:
    """The folder with the package's own scripts, or None.

    Debian's command on the path is not used where they are found: it changes the user and its folders.
    """
    installed = sorted(_DEBIAN.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    if installed:
        return installed[-1].parent
    found = program("rabbitmq-server")
    return found.resolve().parent if found is not None else None


class PortMapper(Server):
    """Erlang's port mapper (epmd) on a port of its own, so that a node finds and starts no other."""

    name = "epmd"

    def command(self) -> list[str]:
        return [str(program("epmd")), "-port", str(self.port), "-address", "127.0.0.1"]


class RabbitMQ(Server):
    """One RabbitMQ node; `settings` are further lines of rabbitmq.conf, such as load_definitions.

    Nodes of one cluster share a port mapper and a cookie.
    """

    name = "rabbitmq"
    start_seconds = _SECONDS

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        mapper: PortMapper | None = None,
        cookie: str | None = None,
    ) -> None:
        super().__init__(folder)
        self.settings = dict(settings or {})
        self.cookie = cookie or secrets.token_hex(16)
        self.node = f"booking{self.port}@localhost"
        self.account, self.password = "administrator", secrets.token_hex(16)
        self._own_mapper = PortMapper(folder) if mapper is None else None
        self._mapper = mapper or self._own_mapper
        self._distribution_port = free_port()

    def url(self, virtual_host: str = "%2F", account: str = "", password: str = "") -> str:
        """The URL of an account, by default the administrator's; the virtual host is percent-encoded."""
        who = f"{account or self.account}:{password or self.password}"
        return f"amqp://{who}@127.0.0.1:{self.port}/{virtual_host}"

    @property
    def environment(self) -> dict[str, str]:
        """What RabbitMQ's scripts read; nothing of the caller's environment but the path."""
        assert self._mapper is not None
        folder = str(self.folder)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": folder,
            "ERL_EPMD_PORT": str(self._mapper.port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/rabbitmq-env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{folder}/generated",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the server and starts no second process
        }

    def prepare(self) -> None:
        lines = {
            "listeners.tcp.1": f"127.0.0.1:{self.port}",
            "default_user": self.account,
            "default_pass": self.password,
            "log.console": "true",
            "log.file": "false",
            "disk_free_limit.absolute": "10MB",
            "raft.wal_max_size_bytes": str(16 * 1024 * 1024),  # allocated at once; the default is 512 MB
        } | self.settings
        (self.folder / "rabbitmq.conf").write_text("".join(f"{name} = {lines[name]}\n" for name in lines))
        (self.folder / "enabled_plugins").write_text("[].")
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(self.cookie)
            cookie.chmod(0o400)

    def command(self) -> list[str]:
        scripts = rabbitmq_scripts()
        if scripts is None:
            raise ServerError("rabbitmq-server is not installed")
        return [str(scripts / "rabbitmq-server")]

    def start(self) -> Self:
        if self._own_mapper is not None and self._own_mapper.process is None:
            self._own_mapper.start()
        return super().start()

    def stop(self) -> None:
        """End the node and its helper processes; data and the port mapper of a cluster stay."""
        self._end_node(signal.SIGTERM)
        if self._own_mapper is not None:
            self._own_mapper.stop()
            self._own_mapper.process = None

    def kill(self) -> None:
        """End the node as a loss of power does."""
        self._end_node(signal.SIGKILL)

    def restart(self) -> None:
        """End the node in order and start it again with its data."""
        self._end_node(signal.SIGTERM)
        self.start()

    def _end_node(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_SECONDS / 4)
        with suppress(ProcessLookupError):  # Erlang's helpers are in the node's group
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def evaluate(self, expressions: str) -> str:
        """Run Erlang expressions inside the node; the value of the last. Raises ServerError."""
        call = [str(program("erl_call")), "-sname", self.node, "-c", self.cookie, "-timeout", "60", "-e"]
        done = subprocess.run(
            call, input=expressions + "\n", env=self.environment, capture_output=True, text=True, check=False
        )
        answer = done.stdout.strip()
        if done.returncode or not answer.startswith("{ok,"):
            raise ServerError(f"{self.name} did not evaluate {expressions}: {answer} {done.stderr}")
        return answer.removeprefix("{ok,").removesuffix("}").strip()

    def declare_queues(self) -> None:
        """Declare exchanges and queues as the definitions do, and write them to disk."""
        with Connection(self.url()) as connection:
            connection.ensure_connection(max_retries=1)
            declare_missing(connection.connection)
        self.write_to_disk()

    def write_to_disk(self) -> None:
        """Write what Erlang keeps in memory for some seconds: the names and states of new quorum queues.

        A node that is killed before that has lost them, with every message that it confirmed.
        """
        self.evaluate("ok = mnesia:sync_log(), [ok = dets:sync(Table) || Table <- dets:all()].")

    def close_all_connections(self) -> None:
        """Close every client's connection, as an operator or a failing network does."""
        self.evaluate('rabbit_networking:close_all_connections("closed by a test").')

    def import_definitions(self, json: str) -> None:
        """Load users, permissions, exchanges, queues, bindings and policies as `rabbitmqctl` does."""
        path = self.folder / f"definitions-{uuid4().hex}.json"
        path.write_text(json)
        self.evaluate(f'{{ok, Body}} = file:read_file("{path}"), ok = rabbit_definitions:import_raw(Body).')

    def add_user(
        self, name: str, password: str, virtual_host: str, configure: str, write: str, read: str
    ) -> str:
        """Add an account with three regular expressions, or change it; its URL."""
        account, host = _binary(name), _binary(virtual_host)
        module = "rabbit_auth_backend_internal"
        self.evaluate(
            f"case {module}:exists({account}) of true -> ok; false ->"
            f' {module}:add_user({account}, {_binary(password)}, <<"tests">>) end,'
            f"{module}:set_permissions({account}, {host}, {_binary(configure)}, {_binary(write)},"
            f' {_binary(read)}, <<"tests">>).'
        )
        return self.url(virtual_host, name, password)

    @contextmanager
    def virtual_host(self) -> Iterator[str]:
        """A virtual host that is removed at the end with all that is in it; the administrator's URL."""
        name = f"tests-{uuid4().hex[:12]}"
        host, account = _binary(name), _binary(self.account)
        self.evaluate(
            f'ok = rabbit_vhost:add({host}, <<"tests">>),'
            f"rabbit_auth_backend_internal:set_permissions({account}, {host},"
            ' <<".*">>, <<".*">>, <<".*">>, <<"tests">>).'
        )
        try:
            yield self.url(name)
        finally:
            self.evaluate(f'rabbit_vhost:delete({host}, <<"tests">>).')


def _binary(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'<<"{escaped}">>'
