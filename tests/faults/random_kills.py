"""Processes die at random: seeded, so that a run that found something can be played again."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from booking_tasks.ops.service_processes import EFFECTS, FRONT, ServiceProcess
from tests.faults.fault_injector import children, crash, running, send
from tests.faults.running_service import Nuisance, RunningService, Servers

#: How often each kind of process is chosen. A worker or a server that dies takes seconds to come back.
EVERYTHING = {"child": 24, "worker": 2, "beat": 2, "broker": 2, "database": 1}


@dataclass
class Storm:
    """Kills one process after another and starts again what died, as a supervisor does."""

    service: RunningService
    servers: Servers | None  # None where only processes of the service are killed
    chance: random.Random
    weights: Mapping[str, int] = field(default_factory=lambda: EVERYTHING)
    kills: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    _calm_until: int = 0
    _deck: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        stack = self.service.stack
        starts: dict[str, Callable[[], ServiceProcess]] = {
            "front": lambda: stack.worker("front", FRONT),
            "effects": lambda: stack.worker("effects", EFFECTS),
            "beat": stack.beat,
        }
        self._starts = starts
        self._crew = {process.name: process for process in stack.processes}

    def over(self, least: float = 0.1, most: float = 0.4, answers: int = 0) -> Nuisance:
        """The storm, while a `with` block runs: a kill every `least` to `most` seconds.

        Between two kills callers get at least so many `answers`: on a slow machine the work goes on as well.
        """
        self.answers = answers
        return Nuisance(self.strike, lambda: self.chance.uniform(least, most))

    def strike(self) -> None:
        """One kill, after everything that died by now was started again, unless it is too soon."""
        self.revive()
        answered = len(self.service.book.answers)
        if answered < self._calm_until:
            return
        target = self._next()
        if getattr(self, f"_{target}")():
            self.kills[target] += 1
            self._calm_until = answered + self.answers
            self._deck.pop()

    def _next(self) -> str:
        """A card of a shuffled deck: however short the storm, every kind gets its share."""
        if not self._deck:
            self._deck = [target for target, often in self.weights.items() for _ in range(often)]
            self.chance.shuffle(self._deck)
        return self._deck[-1]

    def revive(self) -> None:
        """Start every process that is not there."""
        for name, process in self._crew.items():
            if not process.running:
                self._crew[name] = self._starts[name]()

    def _ready(self) -> list[ServiceProcess]:
        """The workers that have come up: one that never does so would prove nothing."""
        return [self._crew[name] for name in ("front", "effects") if self._crew[name].heartbeat.exists()]

    def _child(self) -> bool:
        pool = [one for worker in self._ready() for one in children(worker.pid)]
        if pool:
            send([self.chance.choice(pool)], signal.SIGKILL)
        return bool(pool)

    def _worker(self) -> bool:
        """The main process, with its children or without."""
        ready = self._ready()
        if ready:
            worker = self.chance.choice(ready)
            if self.chance.random() < 0.5:
                worker.kill()
            else:
                send([worker.pid], signal.SIGKILL)
        return bool(ready)

    def _beat(self) -> bool:
        self._crew["beat"].kill()
        return True

    def _broker(self) -> bool:
        assert self.servers is not None
        crash(self.servers.broker)
        self.servers.broker.start()
        return True

    def _database(self) -> bool:
        """Now and then a backend alone, which PostgreSQL answers by restarting all of them."""
        assert self.servers is not None
        postgres = self.servers.postgres
        backends = children(running(postgres).pid)
        if self.chance.random() < 0.3 and backends:
            send([self.chance.choice(backends)], signal.SIGKILL)
        else:
            crash(postgres)
            postgres.start()
        return True
