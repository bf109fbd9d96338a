"""`booking-tasks demo`: runs the scenario on a local stack, checks it and writes the results."""

from __future__ import annotations

import json
import shutil
import signal
import time
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from booking_tasks.kit.errors import BookingTasksError
from booking_tasks.ops.demo import people
from booking_tasks.ops.demo.checks import Check, invites_by_name, published_events, run_checks
from booking_tasks.ops.demo.picture import STATES, bar, day_of, svg
from booking_tasks.ops.demo.scenario import Scenario
from booking_tasks.ops.local_stack import LocalStack


def run(out: Path, *, keep: bool = False) -> int:
    """Run the scenario and its checks; returns exit code 0 when every check holds, else 1.

    SIGTERM and SIGHUP end it with every process of the stack, as Ctrl-C does.
    """
    console, began = Console(highlight=False, soft_wrap=True), time.monotonic()
    console.print(
        "[bold]booking-tasks demo[/] · PostgreSQL, Valkey, Celery workers and beat of its own · stepped clock"
    )
    local_stack = LocalStack()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)

    def report(at: datetime, topic: str, line: str) -> None:
        elapsed = time.monotonic() - began
        console.print(f"[dim]{elapsed:5.1f}s[/] {at:%a %H:%M} [bold]{topic:<10}[/] {escape(line)}")

    try:
        with local_stack:
            local_stack.open(people.MONDAY)
            scenario = Scenario(local_stack, report)
            scenario.run()
            checks = run_checks(scenario)
            _write_results(out, scenario, checks, time.monotonic() - began)
            _print_results(console, checks, out)
            if keep:
                _keep_running(console, local_stack)
    except BookingTasksError as error:
        console.print(f"[red]the demo stopped:[/] {escape(str(error))}")
        console.print(f"the logs of its processes are in {local_stack.folder / 'processes'}")
        return 1
    return 0 if all(check.holds for check in checks) else 1


def _exit(number: int, _: object) -> None:
    """Unwind, so that the stack ends; a second signal must not interrupt that."""
    for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _write_results(out: Path, scenario: Scenario, checks: list[Check], seconds: float) -> None:
    """Write mails, invites, events, picture and check results; those of an earlier run are replaced."""
    for part in ("mail", "invites"):
        shutil.rmtree(out / part, ignore_errors=True)
    shutil.copytree(scenario.local_stack.mail.folder, out / "mail")
    (out / "invites").mkdir()
    for name, body in invites_by_name(scenario).items():
        (out / "invites" / name).write_bytes(body)
    lines = [json.dumps(event, ensure_ascii=False) for event in published_events()]
    (out / "events.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out / "day.svg").write_text(svg(people.TUESDAY), encoding="utf-8")
    outcome = {
        "passed": sum(check.holds for check in checks),
        "failed": sum(not check.holds for check in checks),
        "seconds": round(seconds, 1),
        "checks": [{"claim": one.claim, "holds": one.holds, "seen": one.seen} for one in checks],
    }
    (out / "outcome.json").write_text(
        json.dumps(outcome, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _print_results(console: Console, checks: list[Check], out: Path) -> None:
    console.print("\n[bold]Tuesday, in UTC[/]      00    04    08    12    16    20")
    for person in people.CONSULTANTS:
        console.print(f"  {person.name:<20}{bar(day_of(person, people.TUESDAY), people.TUESDAY)}")
    shown = ("free", "completed", "no_show_user", "attendance_unknown", "cancelled")
    console.print(
        "  " + "  ".join(f"[{STATES[one][1]}]{STATES[one][0]}[/] {STATES[one][3]}" for one in shown) + "\n"
    )
    for check in checks:
        mark = "[green]ok  [/]" if check.holds else "[red]FAIL[/]"
        console.print(f"{mark} {check.claim} [dim]({escape(check.seen)})[/]")
    passed = sum(check.holds for check in checks)
    console.print(f"\n{passed} of {len(checks)} checks passed")
    console.print(f"{out}/ has mail/*.eml, invites/*.ics, events.jsonl, day.svg and outcome.json")


def _keep_running(console: Console, local_stack: LocalStack) -> None:
    """Keep everything running until Ctrl-C or another signal."""
    console.print("\nEverything keeps running. From another terminal, for example:")
    for name, value in local_stack.environment.items():
        console.print(f"  export {name}={value}", soft_wrap=True)
    console.print("With these two the example in the README books a session:")
    for name, id_ in (("MIRA", people.MIRA.id), ("TUTORING", people.TUTORING)):
        console.print(f"  export {name}={id_}", soft_wrap=True)
    console.print("  psql $DATABASE_URL -c 'SELECT type, occurred_at, reason FROM events ORDER BY position'")
    console.print("Ctrl-C stops all of it.")
    try:
        signal.pause()
    except (KeyboardInterrupt, SystemExit):
        console.print("stopping")
