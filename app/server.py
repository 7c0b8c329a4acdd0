"""The HTTP server: it says not ready, lets running calls end, and goes within 25 seconds."""

import asyncio
import math
import signal
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.deadlines import Protocol
from app.main import Lifetime

ENDS_WITHIN = 23


class Server(uvicorn.Server):
    """Uvicorn, but /readyz says 503 for a moment before connections are refused."""

    def __init__(self, config: uvicorn.Config, lifetime: Lifetime, drain_seconds: float) -> None:
        super().__init__(config)
        self.lifetime = lifetime
        self.drain_seconds = drain_seconds

    def handle_exit(self, sig: int, _: FrameType | None) -> None:
        # Not uvicorn's own: that one ends by killing itself with the same signal, so that
        # nothing of the process is closed after it and the exit code says failure.
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        elif self.lifetime.draining or sig == signal.SIGINT:
            # Whoever waits for news is answered now.
            self.lifetime.draining = self.should_exit = True
        else:
            self.lifetime.draining = True
            asyncio.get_running_loop().call_later(self.drain_seconds, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


def create_server(
    app: FastAPI, host: str, port: int, lifetime: Lifetime, drain_seconds: float
) -> Server:
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=Protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        # Together with the drain it stays below what an orchestrator grants.
        timeout_graceful_shutdown=max(1, math.floor(ENDS_WITHIN - drain_seconds)),
    )
    return Server(config, lifetime, drain_seconds)
