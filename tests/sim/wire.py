"""Sends an answer: properly through aiohttp, or by hand where the answer is meant to be broken."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from http import HTTPStatus

from aiohttp import web
from multidict import CIMultiDict

from answer import Answer

SMALL = 256  # bytes that are not worth compressing


async def send(request: web.BaseRequest, answer: Answer, compress: bool, stopping: asyncio.Event) -> web.StreamResponse:
    """Answers one request. What it returns is for aiohttp, which ignores it when the connection is closed."""
    wire = answer.wire
    await _pause(stopping, wire.delay)
    while wire.until and not wire.until() and not stopping.is_set():
        await _pause(stopping, 0.005)
    if wire.hold:
        await stopping.wait()
        return _end(request, reset=True)
    body, headers = _encode(request, answer, compress)
    if wire.by_hand:
        return await _by_hand(request, answer, headers, body, stopping)
    if wire.chunk or wire.body_delay or wire.repeat:
        return await _slowly(request, answer, headers, body, stopping)
    return web.Response(status=answer.status, headers=CIMultiDict(headers), body=body)


def _encode(request: web.BaseRequest, answer: Answer, compress: bool) -> tuple[bytes, list[tuple[str, str]]]:
    body = answer.payload()
    if compress and not answer.wire.encoded and len(body) >= SMALL and "gzip" in request.headers.get("Accept-Encoding", ""):
        return gzip.compress(body, 1, mtime=0), answer.headers + [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return body, answer.headers


async def _slowly(request: web.BaseRequest, answer: Answer, headers: list[tuple[str, str]], body: bytes,
                  stopping: asyncio.Event) -> web.StreamResponse:
    wire = answer.wire
    response = web.StreamResponse(status=answer.status, headers=CIMultiDict(headers))
    if not wire.repeat:
        response.content_length = len(body)
    try:
        await response.prepare(request)
        await _pause(stopping, wire.body_delay)
        step = wire.chunk or max(len(body), 1)
        for start in range(0, len(body), step):
            await response.write(body[start:start + step])
            await _pause(stopping, wire.pause)
        block, times = wire.repeat or (b"", 0)
        for _ in range(times):
            if stopping.is_set():
                break
            await response.write(block)
            await _pause(stopping, wire.pause)
    except ConnectionError:
        pass  # the client had enough
    return response


async def _by_hand(request: web.BaseRequest, answer: Answer, headers: list[tuple[str, str]], body: bytes,
                   stopping: asyncio.Event) -> web.StreamResponse:
    wire, transport = answer.wire, request.transport
    if transport is None or wire.silent:
        return _end(request, wire.reset)
    if wire.raw is not None:
        transport.write(wire.raw)
    else:
        transport.write(_head(answer.status, headers, len(body) + wire.length_delta))
        await _pause(stopping, wire.body_delay)
        transport.write(body[:wire.stop_at])
    while wire.reset and transport.get_write_buffer_size() and not transport.is_closing() and not stopping.is_set():
        await asyncio.sleep(0.002)  # RST would throw the rest away
    return _end(request, wire.reset)


def _head(status: int, headers: list[tuple[str, str]], length: int) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"] + [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + f"\r\nContent-Length: {length}\r\n\r\n").encode("latin-1")


def _end(request: web.BaseRequest, reset: bool) -> web.Response:
    if request.transport is not None and reset:
        reset_connection(request.transport)
    elif request.transport is not None:
        request.transport.close()
    return web.Response()


def reset_connection(transport: asyncio.Transport) -> None:
    """Ends a connection with RST."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    """Waits, but no longer than the server lives."""
    if seconds > 0:
        try:
            await asyncio.wait_for(stopping.wait(), seconds)
        except asyncio.TimeoutError:
            pass
