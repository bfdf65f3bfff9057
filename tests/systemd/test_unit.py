"""The unit under a real systemd: what an operator sees of it."""

from __future__ import annotations

from typing import Any

from klaviyo import SimKlaviyo
from service import DELETE, Service


def test_start_blocks_until_it_watches(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    acct.add_job(DELETE, id="A", status="processing")
    service.configure(sim.url)
    service.start()
    assert service.show("ActiveState") == "active"
    service.wait_told("watch.started")
    acct.set("A", status="complete")
    service.wait_told("job.completed", "A")
    assert "1 jobs" in service.wait_status(lambda text: "0 active" in text)
