"""What a newcomer meets first: each dead end names the way on."""

from __future__ import annotations

from typing import Any

from klaviyo import SimKlaviyo
from machine import Machine
from service import KEY, KEY_FILE, UNIT, Service


def test_typed_alone(installed: Machine) -> None:
    typed = installed.run("klv-jobwatch", check=False)
    assert typed.returncode == 2 and not typed.stderr
    for step in ("Usage: klv-jobwatch COMMAND", "/etc/klv-jobwatch/api-key", "check --online", "systemctl enable --now klv-jobwatch",
                 "man 8 klv-jobwatch"):
        assert step in typed.stdout


def test_checked_by_hand_without_a_key(service: Service, sim: SimKlaviyo) -> None:
    service.configure(sim.url, key=None)
    checked = service.machine.run("klv-jobwatch", "check", check=False)
    assert checked.returncode == 2 and "typed by hand: CREDENTIALS_DIRECTORY=/etc/klv-jobwatch before the command" in checked.stderr
    service.configure(sim.url)
    service.machine.run("env", "CREDENTIALS_DIRECTORY=/etc/klv-jobwatch", "klv-jobwatch", "check")


def test_started_without_a_key(service: Service, sim: SimKlaviyo) -> None:
    service.configure(sim.url, key=None)
    assert service.try_start() != 0
    step = "write the secret into the file that LoadCredential= of the unit names, as in /etc/klv-jobwatch/api-key"
    assert step in service.text()
    assert step in service.machine.run("systemctl", "status", "--full", UNIT, check=False).stdout
    assert service.show("NRestarts") == "0", "a key does not appear by starting again"
    service.machine.write(KEY_FILE, KEY + "\n", 0o600)
    service.start()


def test_started_with_a_wrong_key(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    service.configure(sim.url, key="pk_wrong")
    service.start()
    service.wait_told("api.unauthorized")
    service.wait_said("then: systemctl restart klv-jobwatch")
    service.wait_status(lambda text: text.startswith("HTTP 401"))
    assert "then: systemctl restart klv-jobwatch" in service.machine.run("systemctl", "status", "--full", UNIT, check=False).stdout
    steps = service.machine.out("journalctl", "--unit", UNIT, "--pager-end", "--catalog", "KLV_EVENT=api.unauthorized")
    assert "The Klaviyo API refuses the key of account main" in steps and "systemctl restart klv-jobwatch" in steps
    assert "pk_wrong" not in service.text()
    service.machine.write(KEY_FILE, KEY + "\n", 0o600)
    service.machine.run("systemctl", "restart", UNIT)
    service.wait_told("watch.started")
    service.wait_told("api.recovered")


def test_started_without_a_network(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    service.configure("https://klaviyo.invalid", more="alerts { unreachable-after = 1s }")
    service.start()
    service.wait_told("api.unreachable")
    service.wait_status(lambda text: "klaviyo.invalid" in text or "resolve" in text.lower())


def test_where_everything_is(installed: Machine) -> None:
    for page in ("klv-jobwatch", "klv-jobwatch.conf"):
        assert installed.out("man", "--where", page)
    assert "man:klv-jobwatch(8)" in installed.show(UNIT, "Documentation")
    assert installed.run("systemd-analyze", "verify", UNIT, "klv-jobwatch@x.service").stderr == ""
    assert installed.run("systemctl", "is-enabled", UNIT, check=False).stdout.strip() == "disabled"
