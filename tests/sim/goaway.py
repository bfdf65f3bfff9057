"""An HTTP/2 server that breaks off: frames by hand in front of a simulated server, since nghttpx always ends politely."""

from __future__ import annotations

import http.client
import socket
import ssl
import struct
import threading
from typing import Callable

import hpack

from tls import Certificates

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
ACK = END_STREAM = 1
END_HEADERS = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME = 16384

# What becomes of a request: a whole answer; GOAWAY in its place, which says that it was not worked on; GOAWAY behind its answer;
# GOAWAY with an error in the middle of its answer; RST_STREAM in the middle; a GOAWAY that lets the answer still come.
MANNERS = ("answer", "goaway-before", "goaway-after", "goaway-within", "reset-within", "goaway-first")


class BreakingHttp2:
    """`with BreakingHttp2(sim.port, certificates, manner_of) as front:`; manner_of(n) says what the n-th request gets."""

    def __init__(self, backend_port: int, certificates: Certificates, manner_of: Callable[[int], str]) -> None:
        self._backend, self._manner_of = backend_port, manner_of
        self._context = certificates.context()
        self._context.set_alpn_protocols(["h2"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests = self.connections = 0
        self._threads = [threading.Thread(target=self._listen)]

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def __enter__(self) -> "BreakingHttp2":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _listen(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(raw,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        try:
            with self._context.wrap_socket(raw, server_side=True) as sock:
                sock.settimeout(60)
                _Connection(sock, self).run()
        except (OSError, ssl.SSLError):
            pass  # the client went away

    def manner(self) -> str:
        self.requests += 1
        return self._manner_of(self.requests - 1)

    def fetch(self, headers: dict[str, str]) -> tuple[int, list[tuple[str, str]], bytes]:
        backend = http.client.HTTPConnection("127.0.0.1", self._backend)
        try:
            backend.request("GET", headers[":path"], headers={n: v for n, v in headers.items() if not n.startswith(":")})
            answer = backend.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            backend.close()


class _Connection:
    """One connection: reads frames, answers one request after the other."""

    def __init__(self, sock: ssl.SSLSocket, front: BreakingHttp2) -> None:
        self._sock, self._front = sock, front
        self._decoder, self._encoder = hpack.Decoder(), hpack.Encoder()
        self._stream = sock.makefile("rb")

    def run(self) -> None:
        if self._stream.read(len(PREFACE)) != PREFACE:
            return
        self._send(SETTINGS, 0, 0, b"")
        going_on = True
        while going_on:
            head = self._stream.read(9)
            if len(head) < 9:
                return
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
            going_on = self._frame(kind, flags, stream, self._stream.read(length))

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> bool:
        if kind == SETTINGS and not flags & ACK:
            self._send(SETTINGS, ACK, 0, b"")
        if kind == PING and not flags & ACK:
            self._send(PING, ACK, 0, payload)
        if kind == HEADERS:
            if flags & 0x20:  # priority
                payload = payload[5:]
            return self._answer(stream, dict(self._decoder.decode(payload)))
        return kind != GOAWAY

    def _answer(self, stream: int, headers: dict[str, str]) -> bool:
        manner = self._front.manner()
        if manner == "goaway-before":
            self._goaway(max(stream - 2, 0), 0)
            return False
        if manner == "goaway-first":
            self._goaway(stream, 0)
        status, lines, body = self._front.fetch(headers)
        kept = [(n.lower(), v) for n, v in lines if n.lower() not in ("connection", "transfer-encoding", "content-length")]
        self._send(HEADERS, END_HEADERS, stream, self._encoder.encode([(":status", str(status)), *kept]))
        if manner.endswith("-within"):
            self._send(DATA, 0, stream, body[:len(body) // 2])
            if manner == "goaway-within":
                self._goaway(stream, 2)
                return False
            self._send(RST_STREAM, 0, stream, struct.pack(">I", 2))
            return True
        chunks = [body[i:i + MAX_FRAME] for i in range(0, len(body), MAX_FRAME)] or [b""]
        for i, chunk in enumerate(chunks):
            self._send(DATA, END_STREAM if i == len(chunks) - 1 else 0, stream, chunk)
        if manner == "goaway-after":
            self._goaway(stream, 0)
        return not manner.startswith("goaway")

    def _goaway(self, last: int, error: int) -> None:
        self._send(GOAWAY, 0, 0, struct.pack(">II", last, error))

    def _send(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self._sock.sendall(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload)
