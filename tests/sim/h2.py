"""HTTP/2 for a simulated server: nghttpx with a TLS certificate in front of it, ALPN h2."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from typing import IO

from tls import Certificates

ATTEMPTS = 5  # a free port may be taken by somebody else before nghttpx has it
READY_WITHIN = 30.0


class Http2Front:
    """`with Http2Front(sim.port, certificates) as front:` serves front.url by h2 (and http/1.1 unless alpn is "h2")."""

    def __init__(self, backend_port: int, certificates: Certificates, kind: str = "good", alpn: str = "h2,http/1.1",
                 options: tuple[str, ...] = ()) -> None:
        binary = shutil.which("nghttpx")
        if not binary:
            raise RuntimeError("nghttpx is missing: install the package nghttp2-proxy")
        cert, key = certificates.files(kind)
        self.port = 0
        self._command = [binary, "--conf=/dev/null", f"--backend=127.0.0.1,{backend_port}", "--single-process", "--no-ocsp",
                         "--log-level=ERROR", "--accesslog-file=/dev/null", f"--npn-list={alpn}", *options]
        self._files = [key, cert]
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def __enter__(self) -> "Http2Front":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        for _ in range(ATTEMPTS):
            self.port = _free_port()
            self._errors = tempfile.TemporaryFile()
            self._process = subprocess.Popen([*self._command, f"--frontend=127.0.0.1,{self.port}", *self._files],
                                             stdin=subprocess.DEVNULL, stdout=self._errors, stderr=self._errors)
            if self._ready():
                return
            problem = self._output()
            self.stop()
        raise RuntimeError(f"nghttpx does not start: {problem}")

    def stop(self) -> None:
        """Ends nghttpx at once, open connections too; a second call does nothing."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._errors:
            self._errors.close()
            self._errors = None

    def _ready(self) -> bool:
        assert self._process is not None
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until:
            try:
                self._process.wait(0.01)
                return False
            except subprocess.TimeoutExpired:
                pass
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
        return False

    def _output(self) -> str:
        assert self._errors is not None
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip() or "it says nothing"


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
