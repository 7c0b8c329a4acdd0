"""Calls to addresses that somebody else chose: the one module that makes them.

Every address a name has must be public, and the call goes to an address that was checked, never
to the name once more: what a name means can change between two questions.
"""

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpx

from app.domain.webhooks import Failure

TOTAL = 15.0
CONNECT = 5.0
# How long, and how much of, an answer's body is listened to; only its status counts.
BODY = 2.0
BODY_LIMIT = 64 * 1024
URL_LIMIT = 1000
# Where events come from, where no address is set.
SOURCE = "urn:slrt"
USER_AGENT = "slrt-webhooks/1"
# Names are asked for in threads of their own: one that hangs must not hold up others.
RESOLVERS = ThreadPoolExecutor(32, "resolver")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# A full name as DNS has it; a last label of digits would be read as an address by some.
NAME = re.compile(r"(?=.{4,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Set aside for documentation after the Python that we support was made.
DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")


class UrlRefused(Exception):
    """A URL that is never called; `code` is a fault's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class CallFailed(Exception):
    """A call that came to nothing, and why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Allowed:
    """Hosts and networks that may be called although they are not public, also without TLS."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @staticmethod
    def read(text: str) -> "Allowed":
        """From names and networks with commas between them. Raises ValueError."""
        hosts, networks = set(), []
        for word in filter(None, (part.strip().lower() for part in text.split(","))):
            try:
                networks.append(ipaddress.ip_network(word))
            except ValueError:
                last = word.rpartition(".")[2]
                if not re.fullmatch(r"[a-z0-9._-]+", word) or last.isdigit():
                    raise ValueError("is a host or network that cannot be read") from None
                hosts.add(word)
        return Allowed(frozenset(hosts), tuple(networks))

    def covers(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Outside:
    """What is said to others, and who may be called: the deployment's address, and exceptions."""

    source: str = SOURCE
    allowed: Allowed = Allowed()

    @staticmethod
    def of(info: Mapping[Any, Any]) -> "Outside":
        """That which a session, or its factory, was made with."""
        found = info["outside"]
        assert isinstance(found, Outside)
        return found


def checked(text: str, allowed: Allowed) -> httpx.URL:
    """A URL that may be called, as far as it can be told without asking for the name.

    Raises UrlRefused `invalid_url`, `https_required` or `address_not_public`.
    """
    try:
        url = httpx.URL(text)
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        raise UrlRefused("invalid_url") from None
    address = _literal(host)
    listed = host in allowed.hosts or (address is not None and allowed.covers(address))
    if (
        url.scheme not in ("https", "http")
        or url.userinfo
        or "#" in text
        or "\\" in text
        or len(str(url)) > URL_LIMIT
        or (url.port is not None and not 0 < url.port < 65536)
        or not (listed or address or NAME.fullmatch(host))
    ):
        raise UrlRefused("invalid_url")
    if url.scheme == "http" and not listed:
        raise UrlRefused("https_required")
    if address is not None and not listed and not is_public(address):
        raise UrlRefused("address_not_public")
    return url


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet's; one wrapped in it counts (RFC 6052, 3056)."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address not in GLOBAL_UNICAST or address in DOCUMENTATION:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _ask(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[4][0]) for place in found))


async def addresses(host: str, allowed: Allowed) -> list[str]:
    """The addresses of a host, all of them checked. Raises CallFailed where one is not public."""
    literal = _literal(host)
    try:
        loop = asyncio.get_running_loop()
        found = [host] if literal else await loop.run_in_executor(RESOLVERS, _ask, host)
    except OSError:
        raise CallFailed(Failure.NAME_NOT_RESOLVED) from None
    if host not in allowed.hosts:
        for text in found:
            address = ipaddress.ip_address(text)
            if not allowed.covers(address) and not is_public(address):
                raise CallFailed(Failure.ADDRESS_NOT_PUBLIC)
    return found


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Made once: reading the world's certificates takes longer than most calls."""
    return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes calls with one set of connections."""

    client: httpx.AsyncClient
    allowed: Allowed

    async def post(self, url: str, content: bytes, headers: dict[str, str]) -> int:
        """Send, and return the status of the answer. Raises CallFailed after 15 s at the most.

        A redirect is not followed: its status is the answer.
        """
        try:
            async with asyncio.timeout(TOTAL):
                return await self._post(url, content, headers)
        except (TimeoutError, httpx.TimeoutException):
            raise CallFailed(Failure.TIMEOUT) from None
        except httpx.HTTPError as error:
            failure = Failure.TLS_FAILED if _is_tls(error) else Failure.CONNECTION_FAILED
            raise CallFailed(failure) from None

    async def _post(self, text: str, content: bytes, headers: dict[str, str]) -> int:
        try:
            url = checked(text, self.allowed)
        except UrlRefused:
            raise CallFailed(Failure.ADDRESS_NOT_PUBLIC) from None
        host = url.raw_host.decode("ascii")
        places = await addresses(host, self.allowed)
        for n, place in enumerate(places):
            request = self.client.build_request(
                "POST",
                url.copy_with(host=place),
                content=content,
                headers=headers | {"Host": url.netloc.decode("ascii")},
                # The certificate must be the name's, though the address is called.
                extensions={"sni_hostname": host},
            )
            try:
                return await self._status(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if n + 1 == len(places) or _is_tls(error):
                    raise
        raise CallFailed(Failure.NAME_NOT_RESOLVED)

    async def _status(self, request: httpx.Request) -> int:
        answer = await self.client.send(request, stream=True)
        try:
            with contextlib.suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(BODY):
                    size = 0
                    async for piece in answer.aiter_raw(8 * 1024):
                        size += len(piece)
                        if size >= BODY_LIMIT:
                            break
        finally:
            await answer.aclose()
        return answer.status_code


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.asynccontextmanager
async def caller(allowed: Allowed) -> AsyncIterator[Caller]:
    """Something to call with, for as long as this is open."""
    async with httpx.AsyncClient(
        verify=_tls(),
        # Neither proxies nor passwords out of the environment.
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(TOTAL, connect=CONNECT),
        # A connection is good for one call: it is kept by address, and two names may share one.
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
    ) as client:
        yield Caller(client, allowed)
