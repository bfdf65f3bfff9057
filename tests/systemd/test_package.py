"""The Debian package from its first installation to its purge, and `make install` without it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from klaviyo import SimKlaviyo
from machine import Machine, wait_for
from service import CONFIG, DELETE, KEY, KEY_FILE, STATE, UNIT, Service

ROOT = Path(__file__).resolve().parents[2]
INSTANCE = "klv-jobwatch@shop.service"
INSTALLED = {
    "sbin/klv-jobwatch", "lib/systemd/system/klv-jobwatch.service", "lib/systemd/system/klv-jobwatch@.service",
    "lib/systemd/system-preset/50-klv-jobwatch.preset", "lib/systemd/catalog/klv-jobwatch.catalog", "share/man/man8/klv-jobwatch.8",
    "share/man/man5/klv-jobwatch.conf.5", "share/doc/klv-jobwatch/examples/klv-jobwatch.conf",
    "share/bash-completion/completions/klv-jobwatch", "share/zsh/site-functions/_klv-jobwatch", "share/fish/vendor_completions.d/klv-jobwatch.fish",
}


def make(*words: str) -> None:
    done = subprocess.run(["make", "--no-print-directory", "-s", "-C", str(ROOT), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def files(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir()}


@pytest.fixture
def newer(package: Path, tmp_path: Path) -> Path:
    """The same package with the next revision."""
    tree, result = tmp_path / "tree", tmp_path / "newer.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(tree)], check=True)
    control = tree / "DEBIAN" / "control"
    version = next(line for line in control.read_text().splitlines() if line.startswith("Version: "))
    control.write_text(control.read_text().replace(version, version + "+next"))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(result)], check=True, stdout=subprocess.DEVNULL)
    return result


def version_of(package: Path) -> str:
    return subprocess.run(["dpkg-deb", "--field", str(package), "Version"], check=True, capture_output=True, text=True).stdout.strip()


def test_lintian_finds_no_error(package: Path) -> None:
    done = subprocess.run(["lintian", "--fail-on=error", str(package)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_version_is_the_programs(package: Path) -> None:
    version = subprocess.run(["make", "--no-print-directory", "-s", "-C", str(ROOT), "version"], check=True, capture_output=True, text=True).stdout.strip()
    assert version_of(package) == f"{version}-1"


@pytest.mark.parametrize("words, prefix", [((), "usr/local"), (("PREFIX=/usr",), "usr")])
def test_make_install_and_uninstall(tmp_path: Path, words: tuple[str, ...], prefix: str) -> None:
    make("install", f"DESTDIR={tmp_path}", *words)
    config = "etc/klv-jobwatch/klv-jobwatch.conf"
    assert files(tmp_path) == {f"{prefix}/{file}" for file in INSTALLED} | {config}
    (tmp_path / config).write_text("mine")
    make("install", f"DESTDIR={tmp_path}", *words)
    assert (tmp_path / config).read_text() == "mine", "a configuration that is there stays"
    unit = (tmp_path / prefix / "lib/systemd/system/klv-jobwatch.service").read_text()
    assert f"ExecStart=/{prefix}/sbin/klv-jobwatch run" in unit and "@SBINDIR@" not in unit
    make("uninstall", f"DESTDIR={tmp_path}", *words)
    assert files(tmp_path) == {config}


def test_what_is_installed(installed: Machine) -> None:
    listed = set(installed.out("dpkg", "--listfiles", "klv-jobwatch").splitlines())
    for file in INSTALLED:
        file = file.replace("zsh/site-functions", "zsh/vendor-completions")  # where Debian's zsh looks for a package's
        assert listed & {f"/usr/{file}", f"/{file}", f"/usr/{file}.gz"}, file
    assert {"/usr/share/doc/klv-jobwatch/copyright", "/usr/share/doc/klv-jobwatch/changelog.Debian.gz", CONFIG} <= listed


def test_installing_names_the_next_step_and_starts_nothing(installed: Machine, package: Path) -> None:
    installed.run("dpkg", "--purge", "klv-jobwatch")
    said = installed.install(package)
    assert "put the API key into /etc/klv-jobwatch/api-key" in said and "systemctl enable --now klv-jobwatch" in said
    assert installed.show(UNIT, "ActiveState") == "inactive"
    assert installed.run("systemctl", "is-enabled", UNIT, check=False).stdout.strip() == "disabled"
    assert installed.out("dpkg", "--verify", "klv-jobwatch") == ""
    assert installed.path(CONFIG).read_bytes() == (ROOT / "config" / "klv-jobwatch.conf").read_bytes()


def start_both(service: Service, sim: SimKlaviyo) -> None:
    """The unit and an instance of the template, enabled."""
    machine = service.machine
    service.configure(sim.url)
    machine.write("/etc/klv-jobwatch/shop.conf", machine.path(CONFIG).read_text().replace('"main"', '"shop"'))
    machine.write("/etc/klv-jobwatch/shop.api-key", KEY, 0o600)
    machine.run("systemctl", "enable", "--now", UNIT, INSTANCE)
    service.wait_told("watch.started")
    wait_for(lambda: machine.journal(f"--unit={INSTANCE}", "KLV_EVENT=watch.started"), what="the instance tells")


def test_the_life_of_the_package(service: Service, sim: SimKlaviyo, acct: Any, package: Path, newer: Path) -> None:
    machine = service.machine
    jobs = acct.add_many(DELETE, 20, active=10)[10:]
    start_both(service, sim)
    pids = service.pid, int(machine.show(INSTANCE, "MainPID"))
    mine = machine.path(CONFIG).read_text()

    def tells(job: str) -> None:
        acct.set(job, status="complete")
        service.wait_told("job.completed", job)

    # Upgraded: both go on, with their state and their configuration.
    tells(jobs[0])
    machine.install(newer)
    assert machine.out("dpkg-query", "--show", "--showformat=${Version}", "klv-jobwatch") == version_of(newer) != version_of(package)
    assert service.show("ActiveState") == machine.show(INSTANCE, "ActiveState") == "active"
    assert service.pid not in (0, pids[0]) and int(machine.show(INSTANCE, "MainPID")) not in (0, pids[1])
    tells(jobs[1])
    assert machine.path(CONFIG).read_text() == mine

    # Removed: stopped and gone, but what is the administrator's stays; installed again, it goes on where it was.
    machine.run("dpkg", "--remove", "klv-jobwatch")
    assert machine.run("systemctl", "is-active", UNIT, INSTANCE, check=False).stdout.split() == ["inactive", "inactive"]
    assert service.show("LoadState") == "not-found" and not machine.path("/usr/sbin/klv-jobwatch").exists()
    assert all(machine.path(file).exists() for file in (CONFIG, KEY_FILE, f"{STATE}/klv-jobwatch.db"))
    acct.set(jobs[2], status="complete")
    machine.install(package)
    assert machine.run("systemctl", "is-enabled", UNIT, INSTANCE).stdout.split() == ["enabled", "enabled"]
    service.start()
    service.wait_told("job.completed", *jobs[:3])
    assert sorted(service.told("job.completed")) == sorted(jobs[:3]) and len(service.told("watch.started")) == 1

    # Purged: nothing is left.
    machine.run("rm", "-rf", "/run/systemd/system/klv-jobwatch.service.d")
    machine.run("dpkg", "--purge", "klv-jobwatch")
    assert machine.files() - machine.before == set()
    assert machine.out("systemctl", "list-units", "--all", "--no-legend", "klv-jobwatch*") == ""
    machine.install(package)


def test_installed_by_make(service: Service, sim: SimKlaviyo, acct: Any, package: Path) -> None:
    """What `make install` puts under /usr/local is found by systemd, journalctl and man."""
    machine = service.machine
    acct.add_many(DELETE, 20, active=10)
    machine.run("dpkg", "--purge", "klv-jobwatch")
    destination = f"DESTDIR={machine.path('')}"
    make("install", destination)
    try:
        machine.run("systemctl", "daemon-reload")
        machine.run("journalctl", "--update-catalog")
        service.configure(sim.url)
        service.start()
        service.wait_told("watch.started")
        assert "Jobs of the type" in machine.out("journalctl", "--catalog", f"--since=@{service.began:.6f}", "KLV_EVENT=watch.started")
        assert service.show("FragmentPath") == "/usr/local/lib/systemd/system/klv-jobwatch.service"
        assert machine.out("man", "--where", "klv-jobwatch").startswith("/usr/local/")
        service.stop()
    finally:
        make("uninstall", destination)
        shutil.rmtree(machine.path("/etc/klv-jobwatch"))
        machine.install(package)
