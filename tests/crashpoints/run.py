"""Many deaths, spread over lanes: which points, and the figures at the end."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.crashpoints.harness import RECOVERIES, Death, Lane, Scene, Verdict, alternating

#: Of so many deaths one is followed to the end of its scenario; the others to the end of their step.
TO_THE_END = 10


@dataclass
class Ledger:
    """What came of all deaths of one scenario."""

    scenario: str
    points: int
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def violations(self) -> list[Verdict]:
        """Deaths after which something was wrong, or that did not come about."""
        return [one for one in self.verdicts if one.wrong or not one.died]

    def line(self) -> str:
        """The figures, for people."""
        uncertain = sum(len(one.uncertain) for one in self.verdicts)
        repeated = sum(one.repeated for one in self.verdicts)
        return (
            f"{self.scenario:10} {self.points:6} points {len(self.verdicts):6} deaths"
            f" {len(self.violations):4} violations {uncertain:4} uncertain {repeated:4} repeated"
        )


def deaths(scenes: Sequence[Scene]) -> list[Death]:
    """One at every point of a scenario, recovered from in one order or the other."""
    everywhere = [(scene.number, point) for scene in scenes for point in range(1, len(scene.points) + 1)]
    return [
        alternating(step, point, None if number % TO_THE_END else len(scenes) - 1)
        for number, (step, point) in enumerate(everywhere)
    ]


def both(scenes: Sequence[Scene]) -> list[Death]:
    """Two at every point: one recovered from in each order."""
    return [one._replace(after=after) for one in deaths(scenes) for after in RECOVERIES]


def some(found: Sequence[Death], count: int, seed: int) -> list[Death]:
    """So many of them, the same for the same seed."""
    return sorted(random.Random(seed).sample(found, min(count, len(found))))


def run_scenario(
    scenario: str,
    lanes: Sequence[Lane],
    chosen: Callable[[Sequence[Scene]], list[Death]],
    seen: Callable[[Verdict], None] = lambda verdict: None,
) -> Ledger:
    """Run a scenario undisturbed, then die at each chosen point; `seen` hears of every verdict."""
    with lanes[0].scenes(scenario) as scenes:
        ledger = Ledger(scenario, len(deaths(scenes)))
        todo, lock = iter(chosen(scenes)), threading.Lock()

        def work(lane: Lane) -> None:
            for death in _taken(todo, lock):
                verdict = lane.death(scenario, scenes, death)
                with lock:
                    ledger.verdicts.append(verdict)
                    seen(verdict)

        with ThreadPoolExecutor(len(lanes)) as pool:
            list(pool.map(work, lanes))
    return ledger


def _taken(todo: Iterator[Death], lock: threading.Lock) -> Iterator[Death]:
    while True:
        with lock:
            one = next(todo, None)
        if one is None:
            return
        yield one
