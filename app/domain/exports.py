"""Exports: all that a reader may see of one kind, as it is at one moment.

Every row is written as JSON by the database; only the masked numbers are put in here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role, Scope
from app.domain.base import within
from app.domain.complaints import Complaint
from app.domain.feed import TIME, owners_of
from app.domain.households import Household, Member
from app.domain.identifiers import Keys, masked
from app.domain.referrals import Referral, owned_by

C: Any = Complaint
H: Any = Household
M: Any = Member
R: Any = Referral
OFFICE = (Role.MANAGER, Role.HEAD)
# Sixteen digits or more, however they are spaced: a number of a person or a family.
NUMBER = r"\d(?:[ .-]?\d){15,}"
ROWS_AT_ONCE = 500
# A statement of an export may take this long; so may its reader, to take what it is given.
PATIENCE = "30s"
# The driver takes the values in the text: they are the regions and programmes of an actor.
LITERAL = {"literal_binds": True}


class ExportPurpose(StrEnum):
    """What an export is for: stands in the log with who took it."""

    SERVICE = "service"
    REPORTING = "reporting"
    RESEARCH = "research"
    AUDIT = "audit"
    MIGRATION = "migration"


@dataclass(frozen=True, slots=True)
class Export:
    """One kind of export. `fields` in order; `query` selects a row's JSON and what is sealed in it;
    `render(keys)` makes of a row its JSON, with its numbers masked."""

    name: str
    about: str
    fields: tuple[str, ...]
    may: Callable[[Actor], bool]
    query: Callable[[Actor], sa.Select[Any]]
    render: Callable[[Keys], Callable[[Any], str]]


async def freeze(session: AsyncSession) -> None:
    """Begin a transaction that only reads, and sees the database as it is now until its end."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    await session.connection(execution_options=options)
    for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
        await session.execute(sa.text(f"set local {name} = '{PATIENCE}'"))


async def rows(session: AsyncSession, export: Export, actor: Actor) -> AsyncIterator[list[str]]:
    """The rows of an export as JSON, some at a time, through a cursor of the database.

    Straight from the driver: the rows of SQLAlchemy cost as much again. While some are written
    here, the database makes the next ones.
    """
    render, connection = export.render(Keys.of(session)), await session.connection()
    statement = export.query(actor).compile(connection.sync_engine, compile_kwargs=LITERAL)
    driver: Any = (await connection.get_raw_connection()).driver_connection
    cursor = await driver.cursor(str(statement))
    ahead = _begun(cursor.fetch(ROWS_AT_ONCE))
    try:
        while some := await ahead:
            ahead = _begun(cursor.fetch(ROWS_AT_ONCE))
            # It goes to the database only as the loop comes round: once to ask, once to send.
            for _ in range(2):
                await asyncio.sleep(0)
            yield [render(row) for row in some]
    finally:
        ahead.cancel()


def _begun(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Work under way. What goes wrong with it is of no interest where nobody waits for it."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def without_numbers(column: Any) -> Any:
    """What somebody wrote, with the numbers of people and families masked."""
    return sa.case(
        (column.op("~")("[0-9]"), sa.func.regexp_replace(column, NUMBER, "*" * 16, "g")),
        else_=column,
    )


def _json(table: Any, fields: dict[str, Any], sealed: Any, **nested: Mapping[str, Any]) -> Any:
    """Select rows of a table as JSON, with their ids and what is sealed in them.

    `row_to_json` of a row takes half the time of `json_build_object` of its parts.
    """
    home = sa.inspect(table).local_table
    parts = {name: _row(one).correlate(home).lateral(name) for name, one in nested.items()}
    whole = _row(fields | {name: part.table_valued() for name, part in parts.items()})
    json = whole.correlate(home, *parts.values()).lateral("json")
    source = home
    for one in (*parts.values(), json):
        source = source.join(one, sa.true())
    text = sa.cast(sa.func.row_to_json(json.table_valued()), sa.Text)
    # The id as text: it is needed as such, and costs less so than as a UUID of the driver.
    return sa.select(text, sa.cast(table.id, sa.Text).label("row_id"), sealed).select_from(source)


def _row(fields: Mapping[str, Any]) -> Any:
    return sa.select(*(column.label(name) for name, column in fields.items()))


def _plain(table: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(table, name) for name in names}


def _times(table: Any, *names: str) -> dict[str, Any]:
    return {name: _moment(table, name) for name in names}


def _moment(table: Any, name: str) -> Any:
    """A time as the API writes it."""
    column = f"{table.__tablename__}.{name}"
    return sa.literal_column(TIME.format(column), sa.Text)


def _masks(keys: Keys, table: str, column: str) -> Callable[[bytes | None, str], str]:
    """How the sealed numbers of a column, with the ids of their rows, become masked JSON."""
    open = keys.opener(table, column)
    return lambda sealed, row: f'"{masked(open(sealed, row))}"' if sealed else "null"


def _with_number(table: str, column: str) -> Callable[[Keys], Callable[[Any], str]]:
    """Put the number of a row into the last of its parts."""

    def render(keys: Keys) -> Callable[[Any], str]:
        mask = _masks(keys, table, column)
        return lambda row: f'{row[0][:-2]},"national_id":{mask(row[2], row[1])}}}}}'

    return render


# Referrals: what their owner needs to know of a person, and no more.
REFERRAL = {
    **_plain(R, "id", "version", "complaint_id", "program_code", "purpose"),
    "region_code": R.village_code,
    "state": R.state,
    "reason": without_numbers(R.reason),
    **_times(R, "sent_at", "received_at", "answered_at", "informed_at", "due_at"),
}
BENEFICIARY = {
    **_plain(R, "member_id", "household_id"),
    "name": without_numbers(R.beneficiary_name),
}


def _referrals(actor: Actor) -> sa.Select[Any]:
    found: sa.Select[Any] = _json(
        Referral, REFERRAL, R.beneficiary_national_id, beneficiary=BENEFICIARY
    )
    return found.where(
        sa.or_(
            within(R, actor.regions(*OFFICE)),
            owned_by(actor.granted(Role.PROGRAM_MANAGER)),
            sa.and_(R.sent_at.is_not(None), owned_by(owners_of(actor))),
        )
    )


COMPLAINT = {
    **_plain(C, "id", "version", "ticket", "kind", "category", "sector", "program_code",
        "priority", "channel"),
    "region_code": C.village_code,
    **_plain(C, "state", "outcome", "delivery"),
    "narrative": without_numbers(C.narrative),
    "reason": without_numbers(C.reason),
    "answer": without_numbers(C.answer),
    **_plain(C, "household_id", "submitted_by", "assigned_to", "escalation_level",
        "reopened_count", "confidential"),
    **_times(C, "received_at", "recorded_at", "due_at", "deadline_at", "breached_at",
        "handled_at", "at_centre_at", "informed_at", "closed_at"),
}  # fmt: skip
REPORTER = {
    "name": without_numbers(C.reporter_name),
    "relation": C.reporter_relation,
}


def _complaints(actor: Actor) -> sa.Select[Any]:
    found: sa.Select[Any] = _json(Complaint, COMPLAINT, C.reporter_national_id, reporter=REPORTER)
    return found.where(within(C, actor.regions(*OFFICE)))


# Households: no family card, and of their people no facts, since some of them are about health.
HOUSEHOLD = {
    **_plain(H, "id", "version", "registry_source", "registry_id"),
    "region_code": H.village_code,
    **_plain(H, "address", "rt", "rw", "decile", "percentile", "facts", "facts_source",
        "facts_as_of", "presence", "presence_on", "merged_into"),
    **_times(H, "verified_at", "ended_at", "updated_at"),
}  # fmt: skip
MEMBER = _plain(M, "id", "version", "name", "birth_date", "sex", "relation", "presence")


def _households(actor: Actor) -> sa.Select[Any]:
    regions = actor.regions(*OFFICE)
    if Scope.REGISTRY_READ in actor.scopes:
        regions += actor.region_codes

    people = _json(Member, MEMBER, M.national_id)
    people = people.where(M.household_id == H.id, M.ended_at.is_(None)).correlate(H.__table__)
    people = people.order_by(M.number, M.id).subquery("people")
    members = sa.select(*(sa.func.array_agg(column) for column in people.c)).lateral("members")
    found: sa.Select[Any] = _json(Household, HOUSEHOLD, members.c[0])
    return found.add_columns(*members.c[1:]).join(members, sa.true()).where(within(H, regions))


def _with_people(keys: Keys) -> Callable[[Any], str]:
    """Put its people into a household, each with the number."""
    mask = _masks(keys, "members", "national_id")

    def render(row: Any) -> str:
        text, _, people, ids, sealed = row
        members = ",".join(
            f'{person[:-1]},"national_id":{mask(number, id)}}}'
            for person, id, number in zip(people or (), ids or (), sealed or (), strict=True)
        )
        return f'{text[:-1]},"members":[{members}]}}'

    return render


def _reads_households(actor: Actor) -> bool:
    return bool(actor.regions(*OFFICE)) or Scope.REGISTRY_READ in actor.scopes


def _reads_referrals(actor: Actor) -> bool:
    return bool(owners_of(actor) or actor.regions(*OFFICE, Role.PROGRAM_MANAGER))


def _reads_complaints(actor: Actor) -> bool:
    return bool(actor.regions(*OFFICE))


def _columns(fields: Mapping[str, Any], **nested: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of a table: what has parts is spread out."""
    parts = [f"{name}.{part}" for name, one in nested.items() for part in (*one, "national_id")]
    return (*fields, *parts)


EXPORTS = (
    Export(
        "referrals",
        "Referrals with their state and, of the beneficiary, name, masked number, place and ids.",
        _columns(REFERRAL, beneficiary=BENEFICIARY),
        _reads_referrals,
        _referrals,
        _with_number("referrals", "beneficiary_national_id"),
    ),
    Export(
        "complaints",
        "Complaints with their state, dates and what was written; numbers in it are masked.",
        _columns(COMPLAINT, reporter=REPORTER),
        _reads_complaints,
        _complaints,
        _with_number("complaints", "reporter_national_id"),
    ),
    Export(
        "households",
        "Households of the registry with their people; facts about health and income are left out.",
        (*HOUSEHOLD, "members"),
        _reads_households,
        _households,
        _with_people,
    ),
)
