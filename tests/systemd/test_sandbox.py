"""The unit's sandbox, tried from inside: a probe in the daemon's place is refused what it should be, and only that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from klaviyo import SimKlaviyo
from machine import Machine
from probe import ALLOWED, LEFT_BEHIND, REFUSED, SHARED
from service import KEY, KEY_FILE, UNIT, Service

PROBE = "/usr/local/lib/klv-jobwatch-probe.py"
REFUSALS = {"EPERM", "EACCES", "EROFS", "ENOENT", "EAFNOSUPPORT"}
PROBED_AFTERWARDS = {"RemoveIPC"}
# What any service may do, to show that the probe would notice.
OPEN_BY_DEFAULT = ["see the machine's /tmp", "see PID 1", "run a file of the state directory", "run a file of /tmp", "a netlink socket",
                   "another personality", "memory to write and run", "another priority", "a set-user-id file", "a file for all",
                   "see who owns another's file", "see the machine's shared memory", "another calling convention",
                   "answer otherwise than by EPERM"]


@pytest.fixture
def bait(installed: Machine) -> Machine:
    """What the probe looks for, outside of the sandbox."""
    installed.write(PROBE, (Path(__file__).resolve().parent / "probe.py").read_text())
    for file in ("/tmp/of-the-machine", "/var/tmp/of-the-machine", "/home/secret", "/var/lib/private/another/secret", "/srv/of-another"):
        installed.write(file, "x")
    installed.run("chown", "1234", "/srv/of-another")
    installed.run("ipcmk", "--shmem", "4096")
    return installed


def test_the_sandbox_holds(bait: Machine, service: Service, sim: SimKlaviyo) -> None:
    service.configure(sim.url)
    service.drop_in(f"[Service]\nType=oneshot\nRestart=no\nExecStart=\nExecStart=/usr/bin/python3 {PROBE}\nWatchdogSec=0\n", "probe")
    service.start()
    seen: dict[str, Any] = next(json.loads(e["MESSAGE"]) for e in service.journal("_COMM=python3") if e["MESSAGE"].startswith("{"))
    let_through = {(name, what): result for name, results in seen["refused"].items() for what, result in results.items()
                   if result not in REFUSALS}
    assert not let_through
    assert seen["allowed"] == dict.fromkeys(ALLOWED, "done")
    assert not bait.path(str(SHARED / LEFT_BEHIND)).exists(), "RemoveIPC"


def test_the_probe_notices_an_open_door(bait: Machine) -> None:
    bait.write(KEY_FILE, KEY, 0o600)
    text = bait.out("systemd-run", "--quiet", "--wait", "--pipe", "--property=User=nobody", "--property=StateDirectory=probe",
                    f"--property=LoadCredential=api-key:{KEY_FILE}", "/usr/bin/python3", PROBE)
    seen = {what: result for results in json.loads(text)["refused"].values() for what, result in results.items()}
    assert {what: seen[what] for what in OPEN_BY_DEFAULT} == dict.fromkeys(OPEN_BY_DEFAULT, "done")
    assert bait.path(str(SHARED / LEFT_BEHIND)).exists()


def test_every_directive_is_probed(installed: Machine) -> None:
    unit = installed.out("systemctl", "cat", UNIT)
    sandbox = unit.split("# What it does not need, it cannot do.")[1].split("[Install]")[0]
    directives = {line.split("=")[0] for line in sandbox.splitlines() if "=" in line and not line.startswith("#")}
    assert len(directives) > 25 and directives - set(REFUSED) - PROBED_AFTERWARDS == set()


@pytest.mark.parametrize("name", [UNIT, "klv-jobwatch@.service"])
def test_exposure(installed: Machine, name: str) -> None:
    """1.2 of 10: what remains is that it uses the network."""
    file = installed.out("systemctl", "show", "--property=FragmentPath", "--value", name.replace("@.", "@x."))
    checked = installed.run("systemd-analyze", "security", "--offline=true", "--threshold=12", file, check=False)
    assert checked.returncode == 0, checked.stdout.splitlines()[-1:] or checked.stderr
