"""Slow and broken clients: closed in time, or told what is wrong."""

import json
import socket
import time

import pytest

from app import deadlines
from tests.conftest import World


def connect(world: World) -> socket.socket:
    port = int(world.base_url.rsplit(":", 1)[1])
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def test_headers_that_do_not_arrive_end_the_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "HEADERS_WITHIN", 0.3)
    with connect(world) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
        began = time.monotonic()
        assert client.recv(1000) == b""
        assert time.monotonic() - began < 5


def test_a_connection_that_says_nothing_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "HEADERS_WITHIN", 0.3)
    with connect(world) as client:
        assert client.recv(1000) == b""


def test_a_quick_request_is_answered_and_the_next_one_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "HEADERS_WITHIN", 0.5)
    with connect(world) as client:
        for _ in range(2):
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(10_000).startswith(b"HTTP/1.1 200")
            time.sleep(0.7)


def test_what_is_no_http_gets_a_problem_document(world: World) -> None:
    with connect(world) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        head, _, body = client.recv(10_000).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "http_error"
