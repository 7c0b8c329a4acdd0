"""The HTTP server: it says not ready, lets running calls end, and goes within 25 seconds."""

import asyncio
import signal
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.main import Lifetime

ENDS_WITHIN = 20


class Server(uvicorn.Server):
    """Uvicorn, but /readyz says 503 for a moment before connections are refused."""

    def __init__(self, config: uvicorn.Config, lifetime: Lifetime, drain_seconds: float) -> None:
        super().__init__(config)
        self.lifetime = lifetime
        self.drain_seconds = drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.lifetime.draining or sig == signal.SIGINT:
            super().handle_exit(sig, frame)
            return
        self.lifetime.draining = True
        asyncio.get_running_loop().call_later(self.drain_seconds, super().handle_exit, sig, frame)


def create_server(
    app: FastAPI, host: str, port: int, lifetime: Lifetime, drain_seconds: float
) -> Server:
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=ENDS_WITHIN,
    )
    return Server(config, lifetime, drain_seconds)
