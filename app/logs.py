"""Logs as JSON lines, without personal data: no bodies, no queries, no exception messages."""

import logging
import sys
import traceback
from collections.abc import Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

# Said by a warning or not at all: of some of them a call's whole URL.
NOISY = ("alembic", "httpx", "httpcore", "asyncio")
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)


class Formatter(JsonFormatter):
    """One record, one line. Of an exception only its class and where it was raised."""

    def formatException(  # noqa: N802 - the library's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        kind, _, trace = ei
        places = [f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in _frames(trace)]
        return f"{kind.__name__ if kind else ''}: " + " < ".join(reversed(places[-12:]))

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        super().add_fields(log_data, record, message_dict)
        log_data.pop("color_message", None)
        if (request_id := REQUEST_ID.get()) is not None:
            log_data["request_id"] = request_id


def _frames(trace: TracebackType | None) -> Sequence[traceback.FrameSummary]:
    return traceback.extract_tb(trace) if trace else []


def configure(level: str) -> None:
    """Send every logger's records to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        Formatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "at", "levelname": "level", "name": "logger"},
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Our own access line says more, and says nothing personal.
    logging.getLogger("uvicorn.access").disabled = True
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # A tick that finds the run before it still going says so every 250 ms otherwise.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
