"""A machine without a system package runs the other tests and names it; a build machine needs all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import system_packages
from tests.system_packages import PARTS, missing_parts, program

ROOT = Path(__file__).parent.parent
CI_RUN = ROOT / ".ci" / "run"
#: A source archive has no .ci folder.
needs_ci = pytest.mark.skipif(not CI_RUN.exists(), reason="the source archive has no .ci/run")

_TESTS = """
import pytest

@pytest.mark.rabbitmq
def test_one():
    raise AssertionError("RabbitMQ is not installed here")

@pytest.mark.rabbitmq
@pytest.mark.pgbouncer
def test_two():
    raise AssertionError("neither is installed here")

@pytest.fixture
def server():
    raise AssertionError("no fixture of a skipped test runs")

@pytest.mark.prometheus
def test_three(server):
    raise AssertionError("Prometheus is not installed here")

@pytest.mark.long
@pytest.mark.prometheus
def test_deselected():
    raise AssertionError("this one is not selected")

def test_needs_nothing():
    pass
"""
_CONFTEST = """
from tests.system_packages import SystemPackages

def pytest_configure(config):
    config.pluginmanager.register(SystemPackages())
"""


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with a shell's tools and none of the servers."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("bash", "sh", "dirname", "mkdir", "mktemp", "mv", "rm", "chmod", "cat", "env"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return str(folder)


def run_pytest(folder: Path, path: str, *arguments: str, **environment: str) -> tuple[int, list[str]]:
    """Run a small set of tests on a machine without the servers; the exit code and the output's lines."""
    (folder / "conftest.py").write_text(_CONFTEST)
    (folder / "test_parts.py").write_text(_TESTS)
    (folder / "pytest.ini").write_text(
        "[pytest]\naddopts = -ra --strict-markers\nmarkers =\n  long: x\n"
        + "".join(f"  {marker}: x\n" for marker in PARTS)
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not long", *arguments, str(folder)],
        cwd=folder,
        env={
            **os.environ,
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "BOOKING_REQUIRE_ALL": "",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, (ran.stdout + ran.stderr).strip().splitlines()


@pytest.mark.parametrize(
    "side_by_side", [(), ("-p", "xdist.plugin", "-n", "2")], ids=["one process", "two processes"]
)
def test_what_is_missing_is_named_at_the_end_and_the_rest_runs(
    tmp_path: Path, bare_path: str, side_by_side: tuple[str, ...]
) -> None:
    code, lines = run_pytest(tmp_path, bare_path, *side_by_side)

    assert code == 0, lines
    assert any("1 passed, 3 skipped" in line for line in lines)
    assert lines[-3:] == [
        "not run: 2 tests that need RabbitMQ; apt-get install rabbitmq-server",
        "not run: 1 test that needs PgBouncer; apt-get install pgbouncer",
        "not run: 1 test that needs Prometheus; apt-get install prometheus",
    ]


def test_a_part_of_which_no_test_was_selected_is_not_named(tmp_path: Path, bare_path: str) -> None:
    code, lines = run_pytest(tmp_path, bare_path, "-k", "needs_nothing")

    assert code == 0, lines
    assert not any(line.startswith("not run") for line in lines)


def test_a_run_that_requires_all_fails_and_names_what_is_missing(tmp_path: Path, bare_path: str) -> None:
    code, lines = run_pytest(tmp_path, bare_path, BOOKING_REQUIRE_ALL="1")

    assert code != 0
    text = "\n".join(lines)
    assert "BOOKING_REQUIRE_ALL=1, and these are not installed:" in text
    assert "  RabbitMQ: apt-get install rabbitmq-server" in text
    assert "passed" not in text


def test_a_program_is_found_in_the_sbin_beside_a_folder_of_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("bin", "sbin", "other"):
        (tmp_path / folder).mkdir()
    server = tmp_path / "sbin" / "pgbouncer"
    server.touch(mode=0o755)

    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert program("pgbouncer") == server
    assert "pgbouncer" not in missing_parts()
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    assert program("pgbouncer") is None
    assert {"rabbitmq", "pgbouncer", "prometheus"} <= missing_parts().keys()


def test_without_an_installed_postgresql_its_parts_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_packages, "system_postgres_binaries", lambda: None)

    assert {"system_postgres", "plpgsql_check"} <= missing_parts().keys()


def test_an_installed_postgresql_without_the_extension_misses_one_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(system_packages, "system_postgres_binaries", lambda: tmp_path / "99" / "bin")

    missing = missing_parts()
    assert "plpgsql_check" in missing
    assert "system_postgres" not in missing


def test_every_part_has_a_registered_marker() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert PARTS.keys() <= {one.partition(":")[0] for one in config["markers"]}


# -- .ci/run --------------------------------------------------------------------------------


def _script(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!{shutil.which('bash')}\n{text}")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, bare_path: str) -> Path:
    """A folder in place of a machine's root, where `apt-get` and `make` write down how they were called."""
    root, programs = tmp_path / "machine", Path(bare_path)
    (root / "usr/sbin").mkdir(parents=True)
    log = root / "log"
    _script(programs, "dpkg-query", f"[[ -e {root}/installed-${{!#}} ]] && echo -n installed\n")
    _script(
        programs,
        "apt-get",
        f'echo "apt-get $*, services: $({root}/usr/sbin/policy-rc.d > {root}/null; echo $?)" >> {log}\n'
        f"[[ ! -e {root}/no-network ]]\n",
    )
    _script(programs, "make", f'echo "make $*, require all: $BOOKING_REQUIRE_ALL" >> {log}\n')
    return root


def run_ci(machine: Path, path: str) -> tuple[int, list[str]]:
    """Run .ci/run on that machine; its exit code and what was called."""
    environment = {"PATH": path, "BOOKING_CI_ROOT": str(machine)}
    ran = subprocess.run([CI_RUN], env=environment, capture_output=True, check=False)
    log = machine / "log"
    return ran.returncode, log.read_text().splitlines() if log.exists() else []


@needs_ci
def test_a_build_installs_every_part_and_apt_may_start_no_service(machine: Path, bare_path: str) -> None:
    code, (update, install, *made) = run_ci(machine, bare_path)

    assert code == 0
    assert update == "apt-get update -qq, services: 101"
    packages = set(re.findall(r"(?<= )[a-z][\w-]+(?=[ ,])", install.removeprefix("apt-get install")))
    assert packages == {"make"} | {name for part in PARTS.values() for name in part.packages.split()}
    assert install.endswith("services: 101")
    assert made == ["make check, require all: 1", "make test, require all: 1"]
    assert not (machine / "usr/sbin/policy-rc.d").exists()
    cluster = machine / "etc/postgresql-common/createcluster.conf"
    assert cluster.read_text() == "create_main_cluster = false\n"


@needs_ci
@pytest.mark.parametrize("fails", [False, True], ids=["installed", "no network"])
def test_the_policy_of_a_machine_is_as_it_was(machine: Path, bare_path: str, fails: bool) -> None:
    policy = machine / "usr/sbin/policy-rc.d"
    _script(policy.parent, policy.name, "exit 104\n")
    before = (policy.read_text(), policy.stat().st_mode)
    if fails:
        (machine / "no-network").touch()

    code, calls = run_ci(machine, bare_path)

    assert (code != 0) is fails
    assert calls[0].endswith("services: 101")
    assert (policy.read_text(), policy.stat().st_mode) == before
    assert [one.name for one in policy.parent.iterdir()] == ["policy-rc.d"]
    assert any(one.startswith("make") for one in calls) is not fails


@needs_ci
def test_a_machine_that_has_everything_installs_nothing(machine: Path, bare_path: str) -> None:
    for name in ("make", *(name for part in PARTS.values() for name in part.packages.split())):
        (machine / f"installed-{name}").touch()

    code, calls = run_ci(machine, bare_path)

    assert code == 0
    assert [one.partition(",")[0] for one in calls] == ["make check", "make test"]
    assert not (machine / "etc").exists()
