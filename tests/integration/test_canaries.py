"""The search around every test finds what is planted: whole or in part, in files, outputs, processes and requests. (With keys of its own: the
search around these tests has to find nothing.)"""

from __future__ import annotations

import base64
import os
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable

import pytest
from canaries import Canaries
from conftest import ROOT
from klaviyo import SimKlaviyo
from receiver import Receiver

KEY = "pk_planted_Zq7LmX2vT9cR4wNb"
RAW = b"planted: 8Hf3JkQz6YtVxM1sD0gWpE"
SECRET = "whsec_" + base64.b64encode(RAW).decode()


@pytest.fixture
def search() -> Canaries:
    return Canaries(KEY, SECRET)


def in_a_database(folder: Path) -> None:
    with sqlite3.connect(folder / "state.db") as db:
        db.execute("CREATE TABLE notes (text TEXT)")
        db.execute("INSERT INTO notes VALUES (?)", (f"asked with {KEY}",))
    db.close()


PLANTED: dict[str, Callable[[Path], Any]] = {
    "log": lambda folder: (folder / "daemon.log").write_text(f"refused: {KEY}\n"),
    "half of it": lambda folder: (folder / "daemon.log").write_text(f"refused: {KEY[:20]}...\n"),
    "the other half": lambda folder: (folder / "daemon.log").write_text(f"...{KEY[9:]}\n"),
    "base64": lambda folder: (folder / "daemon.log").write_bytes(b"Basic " + base64.b64encode(KEY.encode()) + b"\n"),
    "secret, decoded": lambda folder: (folder / "core").write_bytes(b"\0" * 100 + RAW + b"\0" * 100),
    "secret": lambda folder: (folder / "report").write_text(f'{{"secret":"{SECRET}"}}'),
    "database": in_a_database,
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_file(tmp_path: Path, search: Canaries, what: str) -> None:
    (deep := tmp_path / "one" / "two").mkdir(parents=True)
    (tmp_path / "api-key").write_text(KEY + "\n")  # holds nothing else: that is where it belongs
    (tmp_path / "clean.log").write_text("refused: the key is not shown\n")
    search.look_at_files(tmp_path)
    assert not search.found and search.searched["files"] == 1
    PLANTED[what](deep)
    search.look_at_files(tmp_path)
    assert search.found


def test_an_output(search: Canaries) -> None:
    shell = "import sys; print(sys.argv[1]); sys.stderr.write(sys.argv[1])"
    search.look_at_output(subprocess.run([sys.executable, "-c", shell, "nothing"], capture_output=True))
    assert not search.found
    search.look_at_output(subprocess.run([sys.executable, "-c", shell, SECRET], capture_output=True))
    assert {found.split(" of ")[0] for found in search.found} == {"arguments", "stdout", "stderr"}


def test_a_process(search: Canaries) -> None:
    for more, env in (([], {}), ([KEY], {}), ([], {"KLV_KEY": KEY})):
        process = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()", *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env=os.environ | env)
        assert process.stdout and process.stdout.readline()  # it is itself by now
        search.look_at_process(process.pid)
        process.communicate(b"\n")
        assert bool(search.found) == bool(more or env)
        search.found.clear()


def ask(url: str, **headers: str) -> None:
    try:
        urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60).close()
    except urllib.error.HTTPError as error:
        error.close()


def test_a_request(search: Canaries) -> None:
    """The key belongs into one header for the API; anywhere else, and at a webhook, it is a leak. The secret always is."""
    with SimKlaviyo() as sim, Receiver() as hook, search:
        api = sim.url + "/api/catalog-category-bulk-delete-jobs"
        ask(api, authorization=f"Klaviyo-API-Key {KEY}")
        ask(hook.url, authorization="Bearer something")
        assert not search.found and search.searched["requests"] == 2
        for url, headers in ((f"{api}?key={KEY}", {}), (api, {"x-key": KEY}), (api, {"authorization": f"Basic {KEY}"}), (api, {"x-secret": SECRET}),
                             (hook.url, {"authorization": f"Klaviyo-API-Key {KEY}"}), (f"{hook.url}/{SECRET}", {})):
            ask(url, **headers)
            assert search.found, (url, headers)
            search.found.clear()


def test_it_fails_a_run(tmp_path: Path) -> None:
    """A run of pytest with a test that leaves the real key in a log: as every other test, it is searched behind."""
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "conftest.py").write_text((ROOT / "tests" / "torture" / "conftest.py").read_text().replace(
        "Path(__file__).resolve().parents[1]", f"Path({str(ROOT / 'tests')!r})"))
    (folder / "test_planted.py").write_text('from harness import KEY\n\n\ndef test_clean(tmp_path):\n    (tmp_path / "log").write_text("nothing")\n\n\n'
                                            'def test_leak(tmp_path):\n    (tmp_path / "log").write_text("key=" + KEY)\n')
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path.parent / 'planted-run'}", str(folder)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "2 passed, 1 error" in done.stdout, done.stdout
    assert "ERROR" in done.stdout and "test_planted.py::test_leak" in done.stdout and "searched for the key and the secret: 1 files" in done.stdout
