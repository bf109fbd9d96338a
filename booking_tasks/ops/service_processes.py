"""The processes of a running service for the demo and the tests: workers, beats and web."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from booking_tasks.ops.servers import ServerError, wait_until

FRONT = ("booking", "evidence", "admin", "replies", "sweep")
EFFECTS = ("provision", "notify")


class RunningProcess(Protocol):
    """A process that was started, with the methods of subprocess.Popen."""

    @property
    def pid(self) -> int:
        """The id of the process and of its group."""

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code. Raises subprocess.TimeoutExpired."""

    def terminate(self) -> None:
        """Send SIGTERM."""


#: Starts a command in a folder, with an environment and a log file, in its own process group.
Launch = Callable[[Sequence[str], Path, Mapping[str, str], Path], RunningProcess]


def start_program(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
) -> RunningProcess:
    """Start a program."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command, stdout=output, stderr=output, cwd=folder, env=environment, start_new_session=True
        )


def start_command(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
) -> RunningProcess:
    """Start a `booking-tasks` command with this Python."""
    return start_program([sys.executable, "-m", "booking_tasks.ops", *arguments], folder, environment, log)


class ServiceProcess:
    """One worker, beat or web process in its own process group, with a log and a heartbeat file.

    `arguments` are those of `booking-tasks`, or of `program`.
    """

    #: How `booking-tasks` commands are started; the tests have a faster way (tests/preforked_workers.py).
    launch: Launch = staticmethod(start_command)

    def __init__(
        self,
        name: str,
        folder: Path,
        arguments: list[str],
        environment: dict[str, str],
        program: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.heartbeat = folder / f"{name}.heartbeat"
        self.heartbeat.unlink(missing_ok=True)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("BOOKING_")}
        own = {"BOOKING_HEARTBEAT_FILE": str(self.heartbeat), "TMPDIR": str(folder)}
        environment = inherited | environment | own
        start = start_program if program else self.launch
        self._process = start([*program, *arguments], folder, environment, self.log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the main process is there."""
        return self._process.poll() is None

    def wait_ready(self) -> None:
        """Wait for the first heartbeat. Raises ServerError with the end of the log."""
        try:
            wait_until(self._beating, f"the start of {self.name}", seconds=60)
        except ServerError as error:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise ServerError(f"{error}\n{tail}") from None

    def _beating(self) -> bool:
        code = self._process.poll()
        if code is not None:
            raise ServerError(f"{self.name} ended with {code}")
        return self.heartbeat.exists()

    def kill(self) -> None:
        """Send SIGKILL to the whole group: the main process and its pool children."""
        self._signal(signal.SIGKILL)
        self._process.wait(10)

    def end(self, seconds: float = 15) -> int:
        """Send SIGTERM to the main process only, as supervisors do. Raises ServerError if it stays.

        Returns the exit code.
        """
        self._process.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ServerError(f"{self.name} did not end within {seconds:.0f} s") from None

    def stop(self) -> None:
        """Send SIGTERM, then SIGKILL when the process does not end in time."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        self._signal(signal.SIGKILL)  # children that outlived their parent

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return


class ServiceProcesses:
    """Workers, beats and web processes that share one environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.environment = folder, environment
        self.processes: list[ServiceProcess] = []

    def worker(
        self, name: str, queues: tuple[str, ...] = FRONT + EFFECTS, concurrency: int = 2
    ) -> ServiceProcess:
        """Start a prefork worker for some queues."""
        arguments = ["worker", "-Q", ",".join(queues), "-c", str(concurrency), "-n", f"{name}@%h"]
        return self._started(ServiceProcess(name, self.folder, arguments, self.environment))

    def beat(self, name: str = "beat") -> ServiceProcess:
        """Start a beat."""
        return self._started(ServiceProcess(name, self.folder, ["beat"], self.environment))

    def web(self, port: int, name: str = "web") -> ServiceProcess:
        """Start the web pages; they listen shortly after the first heartbeat."""
        arguments = ["web", "--port", str(port)]
        return self._started(ServiceProcess(name, self.folder, arguments, self.environment))

    def plain(self, name: str, *arguments: str, app: str = "booking_tasks") -> ServiceProcess:
        """Start Celery's own command: `celery -A booking_tasks` with a subcommand and its options."""
        celery = Path(sys.executable).with_name("celery")
        program = (str(celery), "-A", app)
        return self._started(ServiceProcess(name, self.folder, [*arguments], self.environment, program))

    def _started(self, process: ServiceProcess) -> ServiceProcess:
        self.processes.append(process)
        return process

    def wait_ready(self) -> None:
        """Wait for the first heartbeat of every process."""
        for process in self.processes:
            process.wait_ready()

    def kill(self) -> None:
        """Send SIGKILL to every process and its children."""
        for process in self.processes:
            process.kill()
        self.processes.clear()

    def stop(self) -> None:
        """Stop all processes at the same time."""
        for process in self.processes:
            if process._process.poll() is None:
                process._process.terminate()
        for process in self.processes:
            process.stop()
        self.processes.clear()
