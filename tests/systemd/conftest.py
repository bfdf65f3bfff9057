"""What the tests under a real systemd share: one booted machine, the built package installed in it, the
simulated API on its loopback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests" / "sim"), str(ROOT / "tests" / "integration"), str(HERE)]

from canaries import Canaries  # noqa: E402
from klaviyo import SimKlaviyo  # noqa: E402
from machine import Machine, why_not  # noqa: E402
from receiver import Receiver  # noqa: E402
from service import KEY, SECRET, STATE, Service  # noqa: E402


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with Machine(tmp_path_factory.mktemp("machine")) as booted:
        yield booted


@pytest.fixture(scope="session")
def package() -> Path:
    """What `make deb` built."""
    found = list((ROOT / "build" / "deb").glob("klv-jobwatch_*.deb"))
    assert len(found) == 1, "run `make deb` first"
    return found[0]


@pytest.fixture(scope="session")
def installed(machine: Machine, package: Path) -> Machine:
    machine.before = machine.files()
    machine.install(package)
    return machine


@pytest.fixture
def service(installed: Machine) -> Iterator[Service]:
    """Nothing of the key or the secret in what it left in its state or wrote to the journal, or sent."""
    unit = Service(installed)
    with Canaries(KEY, SECRET) as canaries:
        yield unit
        unit.stop(check=False)
        canaries.look_at_files(installed.path(STATE))
        written = installed.run("journalctl", "--output=export", "--all", f"--since=@{int(unit.began)}").stdout
        canaries.look("journal", written, canaries.all())
    assert not canaries.found, "\n".join(canaries.found)


@pytest.fixture
def sim(machine: Machine) -> Iterator[SimKlaviyo]:
    server = SimKlaviyo(manual=True)
    with machine.network():
        server.start()
    yield server
    server.stop()


@pytest.fixture
def acct(sim: SimKlaviyo) -> Any:
    return sim.account(KEY, name="shop")


@pytest.fixture
def receiver(machine: Machine) -> Iterator[Receiver]:
    server = Receiver([SECRET])
    with machine.network():
        server.start()
    yield server
    server.stop()
