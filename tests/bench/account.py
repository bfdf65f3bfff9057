"""An account as static pages, and nginx that serves them: a real server, which costs the clients nothing of their own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sim"))

from jobs import ulid  # noqa: E402
from tls import Certificates  # noqa: E402

SYSTEM_CERTS = "/etc/ssl/certs"
FAMILY = "catalog-category-bulk-delete-job"
PATH = f"/api/{FAMILY}s"
ORIGIN = "https://a.klaviyo.com"
PAGE = 100
START = datetime(2026, 7, 1, tzinfo=timezone.utc)


def cursor(page: int) -> str:
    """Opaque to a client; page 0 has none."""
    return f"bmV4dDo6aWQ6{page:07d}"


def job_id(n: int) -> str:
    return ulid(START.timestamp() - n * 60, n * 2654435761 % (1 << 80))


def _error(i: int) -> str:
    return (f'{{"id":"e4eebb08-b055-4a6f-bb13-{i:012d}","code":"invalid","title":"Invalid input.","detail":"The category '
            f'$custom:::$default:::C{i} does not exist in this catalog.","source":{{"pointer":"/data/attributes/categories/data/{i % 100}"}}}}')


def _relationships(n: int, url: str) -> str:
    items = ",".join(f'{{"type":"catalog-category","id":"$custom:::$default:::C{n}-{i}"}}' for i in range(5))
    return (f'"relationships":{{"categories":{{"data":[{items}],"links":{{"self":"{url}/relationships/categories",'
            f'"related":"{url}/categories"}}}}}},')


@dataclass(frozen=True)
class Shape:
    """What the pages show. `moved` picks the jobs that have gone on since the first sweep."""

    jobs: int
    whole: bool = True  # with errors and relationships, as a server that does not know sparse fieldsets; else as asked for
    moved: str = ""  # "", "newest" or "spread": one job in a hundred

    def has_moved(self, n: int) -> bool:
        return self.moved == "newest" and n < self.jobs // 100 or self.moved == "spread" and n % 100 == 7


def is_active(n: int, jobs: int) -> bool:
    """The newest hundredth, and one of each page: whichever hundredth moves was in progress before."""
    return n < jobs // 100 or n % 100 == 7


def job(n: int, shape: Shape) -> str:
    """The n-th newest job as JSON."""
    total, created = 40 + n % 61, START - timedelta(minutes=n)
    active, moved = is_active(n, shape.jobs), shape.has_moved(n)
    failed = 2 if not active and n % 12 == 0 else 0
    status, completed = ("processing", total // 2) if active else ("complete", total - failed)
    if moved:
        status, completed = ("complete", total) if n % 2 else ("processing", total // 2 + 3)
    ended = f'"{(created + timedelta(minutes=3)).isoformat()}"' if status == "complete" else "null"
    url = f"{ORIGIN}{PATH}/{job_id(n)}"
    errors = f',"errors":[{",".join(_error(n + i) for i in range(failed))}]' if shape.whole else ""
    return (f'{{"type":"{FAMILY}","id":"{job_id(n)}","attributes":{{"status":"{status}","created_at":"{created.isoformat()}",'
            f'"total_count":{total},"completed_count":{completed},"failed_count":{failed},"completed_at":{ended},'
            f'"expires_at":"{(created + timedelta(days=365)).isoformat()}"{errors}}},{_relationships(n, url) if shape.whole else ""}'
            f'"links":{{"self":"{url}"}}}}')


def in_own_mounts() -> None:
    """Runs this program again where it may mount, see Nginx.trust; as another user than root, in a user namespace."""
    if "KLV_BENCH_MOUNTS" not in os.environ:
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        os.environ["KLV_BENCH_MOUNTS"] = "own"
        os.execvp("unshare", ["unshare", "--mount", *user, sys.executable, *sys.argv])


def write_pages(folder: Path, shape: Shape, family: str = FAMILY) -> int:
    """Writes the pages as folder/NNNNNNN.json; returns how many."""
    folder.mkdir(parents=True)
    pages = (shape.jobs + PAGE - 1) // PAGE
    for page in range(pages):
        rows = ",".join(job(n, shape) for n in range(page * PAGE, min((page + 1) * PAGE, shape.jobs)))
        link = f'"{ORIGIN}{PATH}?page%5Bcursor%5D={cursor(page + 1)}"' if page + 1 < pages else "null"
        text = f'{{"data":[{rows}],"links":{{"self":"{ORIGIN}{PATH}","next":{link},"prev":null}}}}'
        (folder / f"{page:07d}.json").write_text(text.replace(FAMILY, family))
    return pages


def write_lists(folder: Path, families: list[str]) -> None:
    """A short list of each family, whole and by status, as folder/FAMILY/LIST.json: three jobs, of which one is in progress."""
    for family in families:
        (folder / family).mkdir(parents=True)
        rows = [job(n, Shape(3, whole=False)).replace(FAMILY, family) for n in (5, 6, 7)]
        for name, shown in (("all", rows), ("processing", rows[2:]), ("queued", [])):
            (folder / family / f"{name}.json").write_text(f'{{"data":[{",".join(shown)}],"links":{{"next":null}}}}')


CONFIG = """
daemon off;
worker_processes 1;
pid {place}/nginx.pid;
error_log stderr warn;
{user}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000;
    open_file_cache max=20000;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    types {{ }}
    default_type application/vnd.api+json;
    map $args $page {{
        default 0000000;
        "~page%5Bcursor%5D=bmV4dDo6aWQ6(?<number>[0-9]+)" $number;
    }}
    map $args $list {{
        default all;
        "~^filter=[^&]*processing" processing;
        "~^filter=[^&]*queued" queued;
    }}
    {servers}
}}
"""
SERVER = """
    server {{
        listen 127.0.0.1:{port}{tls};
        root {root};
        location ~ ^/api/(?<family>[a-z-]+-job)s$ {{ rewrite ^ {rule} break; }}
        location = /accepted {{ stub_status; }}
        location / {{ return 404; }}
    }}
"""
ONE_FAMILY, PAGES_OF_FAMILIES, ALL_FAMILIES = "/$page.json", "/$family/$page.json", "/$family/$list.json"
TLS = """ ssl{http2};
        ssl_certificate {chain};
        ssl_certificate_key {key}"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _rule_of(root: Path) -> str:
    if not (root / FAMILY).is_dir():
        return ONE_FAMILY
    return ALL_FAMILIES if (root / FAMILY / "all.json").exists() else PAGES_OF_FAMILIES


class Nginx:
    """Serves each named folder of pages from ports of its own: NAME by HTTP, NAME+tls by HTTP/2 and NAME+tls1 by HTTP/1.1 over TLS."""

    def __init__(self, roots: dict[str, Path]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="klv-bench-nginx-")
        self.place = Path(self._folder.name)
        self.certificates = Certificates()
        self.ports: dict[str, int] = {}
        self.asked = 0
        for _ in range(5):  # a port may be taken between our look and nginx's
            if self._start(roots):
                return
        raise RuntimeError("nginx did not start")

    def _start(self, roots: dict[str, Path]) -> bool:
        chain, key = self.certificates.files()
        blocks = []
        for name, root in roots.items():
            kinds = {"": "", "+tls": TLS.format(chain=chain, key=key, http2=" http2"), "+tls1": TLS.format(chain=chain, key=key, http2="")}
            rule = _rule_of(root)
            for suffix, tls in kinds.items():
                port = self.ports[name + suffix] = _free_port()
                blocks.append(SERVER.format(port=port, tls=tls, root=root, rule=rule))
        config = self.place / "nginx.conf"
        user = "user root root;" if os.geteuid() == 0 else ""
        config.write_text(CONFIG.format(place=self.place, user=user, servers="".join(blocks)))
        nginx = "/usr/sbin/nginx"
        self.process = subprocess.Popen([nginx, "-p", str(self.place), "-e", "stderr", "-c", str(config)])
        return self._wait()

    def _wait(self) -> bool:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", list(self.ports.values())[-1]), timeout=1):
                    return True
            except OSError:
                time.sleep(0.02)
        self.process.terminate()
        self.process.wait()
        return False

    def url(self, name: str) -> str:
        if "+tls" in name:
            return f"https://127.0.0.1:{self.ports[name]}"
        return f"http://127.0.0.1:{self.ports[name]}"

    def accepted(self) -> int:
        """How many connections it has accepted, but for those that asked for this."""
        with urlopen(f"{self.url(next(iter(self.ports)))}/accepted", timeout=10) as status:
            numbers = status.read().split(b"requests")[1].split()
        self.asked += 1
        return int(numbers[0]) - self.asked

    def trust(self) -> None:
        """Makes our authority one of the system's in this mount namespace, so that finding it costs what it costs in real use."""
        folder, ours = self.place / "certs", Path(self.certificates.ca_file)
        shutil.copytree(SYSTEM_CERTS, folder, symlinks=True)
        name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", str(ours)], stdout=subprocess.PIPE, text=True, check=True).stdout
        shutil.copy(ours, folder / f"{name.strip()}.0")
        with (folder / "ca-certificates.crt").open("a") as bundle:
            bundle.write(ours.read_text())
        subprocess.run(["mount", "--bind", str(folder), SYSTEM_CERTS], check=True)

    def check(self, name: str, pages: int) -> None:
        """The last page is the last page, and another one is not: else every figure would be about something else."""
        with urlopen(f"{self.url(name)}{PATH}?fields=x&page%5Bcursor%5D={cursor(pages - 1)}", timeout=10) as last:
            if b'"next":null' not in last.read():
                raise RuntimeError("nginx does not serve the pages by cursor")

    def close(self) -> None:
        subprocess.run(["umount", SYSTEM_CERTS], stderr=subprocess.DEVNULL, check=False)
        self.process.terminate()
        self.process.wait(timeout=10)
        self.certificates.close()
        self._folder.cleanup()

    def __enter__(self) -> "Nginx":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
