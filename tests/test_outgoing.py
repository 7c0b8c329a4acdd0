"""Calls to addresses that others chose: nothing private is reached, whatever it is called."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app import outgoing
from app.domain.webhooks import Failure
from app.outgoing import Allowed, CallFailed, UrlRefused, addresses, caller, checked, is_public

NAME = "hook.example.test"
HERE = Allowed.read("127.0.0.0/8")
NOBODY = Allowed()
ANSWER = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.test/", "https_required"),
        ("ftp://example.test/", "invalid_url"),
        ("example.test", "invalid_url"),
        ("https:///path", "invalid_url"),
        ("https://", "invalid_url"),
        ("https://user@example.test/", "invalid_url"),
        ("https://user:secret@example.test/", "invalid_url"),
        ("https://example.test/#", "invalid_url"),
        ("https://example.test\\@127.0.0.1/", "invalid_url"),
        ("https://example.test:0/", "invalid_url"),
        ("https://example.test:65536/", "invalid_url"),
        ("https://example.test:x/", "invalid_url"),
        ("https://example.test/" + "a" * 1000, "invalid_url"),
        ("https://localhost/", "invalid_url"),
        ("https://example.test./", "invalid_url"),
        # What some read as 127.0.0.1.
        ("https://2130706433/", "invalid_url"),
        ("https://0x7f.1/", "invalid_url"),
        ("https://127.1/", "invalid_url"),
        ("https://\uff11\uff12\uff17.0.0.1/", "invalid_url"),
        ("https://[fe80::1%25eth0]/", "address_not_public"),
        ("https://127.0.0.1/", "address_not_public"),
        ("https://169.254.169.254/latest/meta-data", "address_not_public"),
        ("https://[::1]/", "address_not_public"),
        ("https://[::ffff:10.0.0.1]/", "address_not_public"),
    ],
)
def test_urls_that_are_never_called(url: str, code: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        checked(url, NOBODY)
    assert refused.value.code == code


def test_urls_that_are() -> None:
    assert str(checked("https://EXAMPLE.test:8443/a b?c=d", NOBODY)) == (
        "https://example.test:8443/a%20b?c=d"
    )
    assert checked("https://bücher.example/x", NOBODY).raw_host == b"xn--bcher-kva.example"
    assert checked("https://93.184.216.34/", NOBODY)
    for url in ("http://127.0.0.1:1/", "https://127.0.0.1/"):
        assert checked(url, HERE)
    by_name = Allowed.read("receiver-1, 10.0.0.0/8")
    assert checked("http://receiver-1:8080/", by_name)
    with pytest.raises(UrlRefused, match="https_required"):
        checked("http://example.test/", by_name)
    for text in ("10.0.0.0/99", "a b", "10.0.0.300", "example.test/8"):
        with pytest.raises(ValueError, match="cannot be read"):
            Allowed.read(text)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
        "ff0e::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1", "2001:0:1::1",
        "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1",
        "2002:7f00:1::", "2002:a00:1::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"],
)
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def named(monkeypatch: pytest.MonkeyPatch, *places: str) -> None:
    """A name service that knows one name."""
    monkeypatch.setattr(outgoing, "_ask", lambda host: list(places) if host == NAME else [])


async def test_every_address_of_a_name_must_be_public(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, "8.8.8.8", "2606:4700::1111")
    assert await addresses(NAME, NOBODY) == ["8.8.8.8", "2606:4700::1111"]
    named(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(CallFailed, match="address_not_public"):
        await addresses(NAME, NOBODY)
    assert await addresses(NAME, HERE) == ["8.8.8.8", "127.0.0.1"]
    assert await addresses(NAME, Allowed.read(NAME)) == ["8.8.8.8", "127.0.0.1"]
    with pytest.raises(CallFailed, match="address_not_public"):
        await addresses("10.0.0.1", HERE)


async def test_a_name_that_is_not_known() -> None:
    assert await posted("https://does-not-exist.invalid/") is Failure.NAME_NOT_RESOLVED


async def posted(url: str, allowed: Allowed = HERE) -> int | Failure:
    async with caller(allowed) as call:
        try:
            return await call.post(url, b"{}", {})
        except CallFailed as failed:
            return failed.failure


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@contextlib.asynccontextmanager
async def server(handle: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that does with a connection what a test says; its port."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.close()

    found = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    async with found:
        yield found.sockets[0].getsockname()[1]


async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    request = await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    await writer.drain()
    return request


async def test_a_name_that_leads_to_a_private_address_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[bytes] = []

    async def remember(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.append(await polite(reader, writer))

    named(monkeypatch, "127.0.0.1")
    async with server(remember) as port:
        url = f"https://{NAME}:{port}/"
        assert await posted(url, NOBODY) is Failure.ADDRESS_NOT_PUBLIC
        # What was allowed when the endpoint was made may be so no longer.
        assert await posted(f"http://127.0.0.1:{port}/", NOBODY) is Failure.ADDRESS_NOT_PUBLIC
        assert called == []
        assert await posted(f"http://127.0.0.1:{port}/hook?a=b") == 204
    assert called[0].startswith(b"POST /hook?a=b HTTP/1.1\r\n")


async def test_the_name_is_asked_once_and_the_checked_address_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another answer to a second question would lead elsewhere."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    monkeypatch.setattr(outgoing, "_ask", lambda _: answers.pop(0))
    called: list[bytes] = []

    async def remember(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.append(await polite(reader, writer))

    async with server(remember) as port:
        assert await posted(f"http://{NAME}:{port}/", Allowed.read(NAME)) == 204
    assert len(answers) == 1
    assert f"host: {NAME}:{port}".encode() in called[0].lower()


async def test_the_next_address_is_tried_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named(monkeypatch, "127.0.0.9", "127.0.0.1")
    async with server(polite) as port:
        assert await posted(f"http://{NAME}:{port}/", Allowed.read(NAME)) == 204
        named(monkeypatch, "127.0.0.9")
        gone = await posted(f"http://{NAME}:{port}/", Allowed.read(NAME))
    assert gone is Failure.CONNECTION_FAILED
    named(monkeypatch)
    assert await posted(f"http://{NAME}/", Allowed.read(NAME)) is Failure.NAME_NOT_RESOLVED


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS for a name, and the file of who vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, private = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context, pem


async def test_the_certificate_must_be_the_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The address is called; asked for, and proved, is the name."""
    tls, pem = certificate(tmp_path, NAME)
    asked: list[str | None] = []
    tls.sni_callback = lambda _, name, __: asked.append(name)
    trusting = ssl.create_default_context(cafile=pem)
    named(monkeypatch, "127.0.0.1")
    async with server(polite, tls) as port:
        url = f"https://{NAME}:{port}/"
        # Nobody whom the world trusts vouches for it.
        assert await posted(url) is Failure.TLS_FAILED
        monkeypatch.setattr(outgoing, "_tls", lambda: trusting)
        assert await posted(url) == 204
        assert asked == [NAME, NAME]
        monkeypatch.setattr(outgoing, "_ask", lambda _: ["127.0.0.1"])
        assert await posted(f"https://other.example.test:{port}/") is Failure.TLS_FAILED


async def test_a_redirect_is_not_followed() -> None:
    calls: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(await reader.readuntil(b"\r\n\r\n"))
        place = b"location: http://169.254.169.254/\r\n"
        writer.write(b"HTTP/1.1 307 Moved\r\ncontent-length: 0\r\n" + place + b"\r\n")
        await writer.drain()

    async with server(redirect) as port:
        assert await posted(f"http://127.0.0.1:{port}/") == 307
    assert len(calls) == 1


async def test_who_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "TOTAL", 0.3)
    monkeypatch.setattr(outgoing, "BODY", 0.1)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A byte of the head now and then: no single wait is long."""
        for byte in ANSWER:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        await reader.read()

    for handle, outcome in ((hang, Failure.TIMEOUT), (drip, Failure.TIMEOUT), (half, 200)):
        async with server(handle) as port:
            assert await posted(f"http://127.0.0.1:{port}/") == outcome


async def test_no_more_than_64_kib_is_read_and_nothing_is_unpacked() -> None:
    written = 0
    ended = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        head = b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + head)
        try:
            while written < 64 * 1024 * 1024:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                await writer.drain()
                written += 0x10000
        finally:
            ended.set()

    async with server(flood) as port:
        assert await posted(f"http://127.0.0.1:{port}/") == 200
        await asyncio.wait_for(ended.wait(), 5)
    # What the buffers of the connection hold, and not all there is.
    assert written < 16 * 1024 * 1024


async def test_what_is_no_http_is_a_failed_connection() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-nonsense\r\n\r\n")
        await writer.drain()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    for handle in (nonsense, hang_up):
        async with server(handle) as port:
            assert await posted(f"http://127.0.0.1:{port}/") is Failure.CONNECTION_FAILED


async def test_a_name_is_asked_of_this_machine() -> None:
    assert "127.0.0.1" in await addresses("localhost", Allowed.read("localhost"))
