"""The unit as an operator has it: its configuration, key and drop-ins, and ways to wait for what it tells."""

from __future__ import annotations

import base64
import time
from typing import Any, Callable

from machine import DEADLINE, Machine, wait_for

UNIT = "klv-jobwatch.service"
CONFIG = "/etc/klv-jobwatch/klv-jobwatch.conf"
KEY_FILE = "/etc/klv-jobwatch/api-key"
STATE = "/var/lib/private/klv-jobwatch"
DROP_INS = f"/run/systemd/system/{UNIT}.d"
DELETE = "catalog-category-bulk-delete-job"
KEY = "pk_canary_Tq7vYx2LmN9cRb4Wz8KdJs5F"
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ....").decode()
FAST = "interval = 200ms idle-interval = 300ms full-sweep-interval = 3s budget = 100%"


class Service:
    """klv-jobwatch.service with nothing configured or remembered."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.stop(check=False)
        machine.run("rm", "-rf", STATE, KEY_FILE, CONFIG, DROP_INS)
        machine.run("systemctl", "reset-failed", UNIT, check=False)
        self.began = time.time()
        self.drop_in("[Service]\nRestartSec=100ms\n", "fast")

    def configure(self, api_url: str, webhook: str = "", account: str = FAST, more: str = "", key: str | None = KEY) -> None:
        hook = f'webhook "ops" {{ url = "{webhook}" }}\n' if webhook else ""
        self.machine.write(CONFIG, f'api-url = "{api_url}"\naccount "main" {{ {account} }}\n{hook}{more}\n')
        if key is not None:
            self.machine.write(KEY_FILE, key + "\n", 0o600)
        if webhook:
            self.machine.write("/etc/klv-jobwatch/ops.secret", SECRET + "\n", 0o600)
            self.drop_in("[Service]\nLoadCredential=webhook-ops:/etc/klv-jobwatch/ops.secret\n", "webhook")

    def drop_in(self, text: str, name: str) -> None:
        self.machine.write(f"{DROP_INS}/{name}.conf", text)
        self.machine.run("systemctl", "daemon-reload")

    def start(self) -> None:
        done = self.try_start()
        assert done == 0, self.text()

    def try_start(self) -> int:
        return self.machine.run("systemctl", "start", UNIT, check=False).returncode

    def stop(self, check: bool = True) -> None:
        self.machine.run("systemctl", "stop", UNIT, check=check)

    def show(self, name: str) -> str:
        return self.machine.show(UNIT, name)

    @property
    def pid(self) -> int:
        """As the machine numbers it; 0 while it does not run."""
        return int(self.show("MainPID"))

    def signal(self, name: str) -> None:
        self.machine.run("kill", f"-{name}", str(self.pid))

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """The unit's entries of this test."""
        return self.machine.journal(f"--since=@{self.began:.6f}", f"--unit={UNIT}", *matches)

    def text(self) -> str:
        return "\n".join(str(entry.get("MESSAGE")) for entry in self.journal())

    def told(self, kind: str) -> list[str]:
        """The job (or "") of every event of this kind, in the journal's order."""
        return [entry.get("KLV_JOB_ID", "") for entry in self.journal(f"KLV_EVENT={kind}")]

    def wait_told(self, kind: str, *jobs: str) -> None:
        """Waits until the journal has the event for each of the jobs."""
        wanted = set(jobs or ("",))
        wait_for(lambda: wanted <= set(self.told(kind)), DEADLINE, lambda: f"no {kind} of {wanted} in:\n{self.text()}")

    def wait_said(self, text: str) -> None:
        wait_for(lambda: text in self.text(), DEADLINE, lambda: f"{text!r} is not in:\n{self.text()}")

    def wait_status(self, condition: Callable[[str], bool]) -> str:
        """STATUS= as systemctl shows it, once it is as wanted."""
        last = ""

        def fits() -> bool:
            nonlocal last
            last = self.show("StatusText")
            return condition(last)
        wait_for(fits, DEADLINE, lambda: f"the status stays {last!r}")
        return last
