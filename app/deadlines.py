"""Receive deadlines, which uvicorn has none of: headers must arrive within ten seconds."""

import asyncio
import json
from typing import Any
from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.problems.catalogue import CATALOGUE

HEADERS_WITHIN = 10.0


class Protocol(HttpToolsProtocol):
    """A connection that is closed when headers come too slowly.

    Bodies have their own deadline, where they are read. What is no HTTP gets a problem document.
    """

    timer: asyncio.TimerHandle | None = None
    body_under_way = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        if not self.body_under_way:
            self._expect_headers()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._rest()
        self.body_under_way = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.body_under_way = False
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        kind = CATALOGUE["http_error"]
        body = json.dumps(
            {
                "type": "/problems/http_error",
                "title": kind.title("id"),
                "status": 400,
                "detail": kind.advice("id"),
                "instance": f"urn:uuid:{uuid4()}",
                "code": "http_error",
                "errors": [],
            }
        ).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _expect_headers(self) -> None:
        if self.timer is None:
            self.timer = self.loop.call_later(HEADERS_WITHIN, self._too_slow)

    def _rest(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _too_slow(self) -> None:
        self.timer = None
        transport: Any = self.transport
        if not transport.is_closing():
            transport.close()
