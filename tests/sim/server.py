"""An HTTP(S) server in a thread of its own, with a listening socket that can be taken away and put back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from typing import Any, Awaitable, Callable, Coroutine

from aiohttp import web

from wire import reset_connection

Handler = Callable[[web.BaseRequest, asyncio.Event], Awaitable[web.StreamResponse]]


class Server:
    """Listens from start() to stop(). The port is the kernel's choice unless given, and stays ours while refusing."""

    def __init__(self, handler: Handler, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None,
                 keepalive: float = 75.0) -> None:
        self.host, self.port, self._tls, self._keepalive, self._handler = host, port, tls, keepalive, handler
        self.connections = 0  # ever accepted
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sim-server", daemon=True)
        self._reserved: socket.socket | None = None
        self._listener: asyncio.AbstractServer | None = None
        self._http: web.Server | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{'localhost' if self._tls else self.host}:{self.port}"

    def start(self) -> None:
        self._reserved = self._bind()
        self.port = self._reserved.getsockname()[1]
        self._thread.start()
        self.call(self._open())

    def stop(self) -> None:
        """Ends every connection, the thread and its loop; a second call does nothing."""
        if self._loop.is_closed():
            return
        if self._thread.is_alive():
            self.call(self._shut())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        if self._reserved:
            self._reserved.close()

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine in the server's loop and waits for it. Not from the loop's own thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def refuse(self, drop_connections: bool = True) -> None:
        """From now on new connections are refused."""
        self.call(self._close(drop_connections))

    def accept(self) -> None:
        """Listens again, on the same port."""
        self.call(self._listen())

    def drop_connections(self) -> None:
        """Resets every open connection."""
        self.call(self._drop())

    def later(self, seconds: float, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Runs a coroutine in the server's loop after a while, unless it stops before."""
        self._loop.call_soon_threadsafe(
            lambda: self._loop.call_later(seconds, lambda: self._loop.create_task(work())))

    async def refuse_now(self) -> None:
        await self._close(True)

    async def accept_now(self) -> None:
        await self._listen()

    def _bind(self) -> socket.socket:
        """A socket on our port. One is bound all the time, without listening, so that nobody else is given the port."""
        sock = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        if self.port != 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self.host, self.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return sock

    async def _open(self) -> None:
        self._stopping = asyncio.Event()
        self._http = web.Server(self._answer, access_log=None, keepalive_timeout=self._keepalive)
        await self._listen()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._stopping is not None
        return await self._handler(request, self._stopping)

    def _protocol(self) -> asyncio.Protocol:
        assert self._http is not None
        self.connections += 1
        return self._http()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await self._loop.create_server(self._protocol, sock=self._bind(), ssl=self._tls, backlog=512)

    async def _close(self, drop_connections: bool) -> None:
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
            self._listener = None
        if drop_connections:
            await self._drop()

    async def _drop(self) -> None:
        assert self._http is not None
        for connection in self._http.connections:
            if connection.transport is not None:
                reset_connection(connection.transport)
        await asyncio.sleep(0)

    async def _shut(self) -> None:
        assert self._stopping is not None and self._http is not None
        self._stopping.set()
        await self._close(True)
        await self._http.shutdown(0.05)
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*rest, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
