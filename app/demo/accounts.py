"""The demo's people and clients: named so that scripts can rely on them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from app.demo.people import staff_name
from app.domain.actors import Role, Scope
from app.domain.programs import program_rows
from app.domain.regions import region_rows

CITY = "35.76"
FACILITATORS = 57
IN_WATES = 7
WATES = "35.76.02.1010"
PROGRAM_MANAGERS = 4


@dataclass(frozen=True, slots=True)
class Account:
    username: str
    name: str
    role: Role
    region_codes: tuple[str, ...]
    program_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientAccount:
    username: str
    name: str
    scopes: tuple[Scope, ...]
    program_codes: tuple[str, ...]


def villages() -> list[tuple[str, str]]:
    """(code, name) of the 18 kelurahan."""
    return [(row["code"], row["name"]) for row in region_rows() if row["code"].count(".") == 3]


def districts() -> list[tuple[str, str]]:
    return [(row["code"], row["name"]) for row in region_rows() if row["code"].count(".") == 2]


def program_codes() -> list[str]:
    return [row["code"] for row in program_rows()]


def facilitator_counts() -> dict[str, int]:
    """How many facilitators each kelurahan has: 7 in Wates, 57 in all."""
    others = [code for code, _ in villages() if code != WATES]
    share, more = divmod(FACILITATORS - IN_WATES, len(others))
    return {WATES: IN_WATES} | {code: share + (n < more) for n, code in enumerate(others)}


def people(seed: int) -> list[Account]:
    """Everybody of the demo, in the order of the organisation."""
    rng = Random(seed)
    return list(_people(rng))


def _people(rng: Random) -> Iterator[Account]:
    def one(
        username: str, role: Role, regions: Sequence[str], programs: Sequence[str] = ()
    ) -> Account:
        return Account(username, staff_name(rng), role, tuple(regions), tuple(programs))

    counts = facilitator_counts()
    for code, name in villages():
        slug = name.lower().replace(" ", "")
        yield one(f"puskesos.{slug}", Role.PUSKESOS_OFFICER, [code])
        for n in range(1, counts[code] + 1):
            yield one(f"facilitator.{slug}.{n}", Role.FACILITATOR, [code])
    for n in (1, 2):
        yield one(f"front.{n}", Role.FRONT_OFFICE, [CITY])
        yield one(f"back.{n}", Role.BACK_OFFICE, [CITY])
    for code, name in districts():
        yield one(f"supervisor.{name.lower().replace(' ', '')}", Role.SUPERVISOR, [code])
    yield one("manager", Role.MANAGER, [CITY])
    yield one("head", Role.HEAD, [CITY])
    codes = program_codes()
    share = len(codes) // PROGRAM_MANAGERS
    for n in range(PROGRAM_MANAGERS):
        mine = codes[n * share : (n + 1) * share]
        yield one(f"program.{n + 1}", Role.PROGRAM_MANAGER, [CITY], mine)
    yield one("dpo", Role.DATA_PROTECTION_OFFICER, [CITY])
    yield one("admin", Role.ADMIN, [])


def clients() -> list[ClientAccount]:
    read, answer, hooks = Scope.REFERRALS_READ, Scope.REFERRALS_ANSWER, Scope.WEBHOOKS_MANAGE
    everything = tuple(program_codes())
    return [
        ClientAccount("agency-pkh", "PKH, Kementerian Sosial", (read, answer, hooks), ("PKH",)),
        ClientAccount("integrator", "Integrator Dinas Sosial", (read, hooks), everything),
        ClientAccount("script-batch", "Skrip kiriman kolektif", (Scope.COMPLAINTS_SUBMIT,), ()),
    ]
