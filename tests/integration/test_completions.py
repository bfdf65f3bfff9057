"""The completions of bash, zsh and fish: each shell loads its own script and offers what the program says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import DEADLINE, DELETE, PROGRAM, ROOT, Place

SCRIPTS = ROOT / "config" / "completions"


def offers(*words: str) -> list[str]:
    done = subprocess.run([str(PROGRAM), "complete", "--", *words], capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert done.stderr == ""
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def in_bash(words: list[str], here: Path) -> list[str]:
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _klv_jobwatch; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "--norc", "-c", script, "bash", str(SCRIPTS / "klv-jobwatch.bash"), str(PROGRAM), *words], cwd=here,
                          capture_output=True, text=True, timeout=DEADLINE)
    return done.stdout.split()


def in_zsh(words: list[str], here: Path) -> list[str]:
    """zsh's own helpers need its line editor; what the script hands to them is looked at instead."""
    script = ('script=$1; shift; words=("$@"); CURRENT=$#words; _describe() { print -l -- "${offers[@]%%:*}" }; _files() { print -l -- *(.N) }; '
              'source $script')
    done = subprocess.run(["zsh", "-f", "-c", script, "zsh", str(SCRIPTS / "_klv-jobwatch"), str(PROGRAM), *words], cwd=here,
                          capture_output=True, text=True, timeout=DEADLINE)
    assert done.stderr == ""
    return done.stdout.split()


def in_fish(words: list[str], here: Path) -> list[str]:
    line = " ".join(["klv-jobwatch", *words])
    environment = os.environ | {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": str(here), "XDG_CONFIG_HOME": str(here / "fish")}
    done = subprocess.run(["fish", "--no-config", "-c", f"source {SCRIPTS}/klv-jobwatch.fish; complete -C '{line}'"], cwd=here, env=environment,
                          capture_output=True, text=True, timeout=DEADLINE)
    assert done.stderr == ""
    return [offer.split("\t")[0] for offer in done.stdout.splitlines()]


SHELLS = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> Any:
    assert shutil.which(request.param), f"{request.param} is not installed: make deps"
    return SHELLS[request.param]


def test_each_shell_offers_what_the_program_says(shell: Any, place: Place, tmp_path: Path) -> None:
    place.write(accounts=f'account "shop-eu" {{ api-key-file = "{place.path}/api-key" }}\naccount "shop-us" {{ api-key-file = "{place.path}/api-key" }}\n',
                webhook="https://hooks.example.com/")
    typed = ["--config", str(place.config)]
    (here := tmp_path / "here").mkdir()
    (here / "some.conf").touch()
    assert shell(["sta"], here) == ["status"]
    assert set(shell([""], here)) == {*offers("")} >= {"run", "once", "check", "status", "jobs", "events", "help"}
    assert shell(["events", "--kin"], here) == ["--kind"]
    assert shell(["events", *typed, "--account", "shop-e"], here) == ["shop-eu"]
    assert set(shell(["events", *typed, "--account", ""], here)) == {"shop-eu", "shop-us"}
    assert set(shell(["jobs", "--family", "catalog-category"], here)) == {f"catalog-category-bulk-{verb}-job" for verb in ("create", "update", "delete")}
    assert shell(["check", "--config", "some"], here) == ["some.conf"]


def test_options_with_an_equals_sign(place: Place) -> None:
    place.write(webhook="https://hooks.example.com/")
    assert offers("events", "--config", str(place.config), "--account=m") == ["--account=main"]
    assert offers("events", f"--config={place.config}", "--account=m") == ["--account=main"]
    # bash hands over three words
    assert in_bash(["events", "--config", str(place.config), "--account", "=", "m"], place.path) == ["main"]
    assert in_bash(["events", "--config", str(place.config), "--account", "="], place.path) == ["main"]


def test_values() -> None:
    assert offers("events", "--kind", "api.un") == ["api.unreachable", "api.unauthorized"]
    assert offers("events", "-p", "w") == ["warning"]
    assert "active" in offers("jobs", "--status", "")
    assert "failed" in offers("jobs", "--sort", "")
    assert offers("jobs", "-n", "") == ["all"]
    assert "today" in offers("events", "--since", "")
    assert offers("once", "") == offers("status", "") == offers("nonsense", "") == []
    assert set(offers("check", "--")) == {"--config", "--state", "--online", "--help", "--version"}
    assert "status" in offers("help", "")


def test_a_broken_configuration_is_silent(place: Place) -> None:
    place.config.write_text("account {")
    assert offers("status", "--config", str(place.config), "--account", "") == []


def test_jobs_are_offered_but_no_word_that_a_shell_would_read(place: Place, acct: Any) -> None:
    for id in ("GOOD-1", "GOOD_2", "GOOD$(touch pwned)", "GOOD;ls", "GOOD 3", "GOOD`id`"):
        acct.add_job(DELETE, id=id, status="processing")
    place.write()
    place.once()
    assert sorted(offers("jobs", "--state", str(place.state), "GOO")) == ["GOOD-1", "GOOD_2"]
