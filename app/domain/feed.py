"""The feed: committed events in one order, as who reads them may see them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from app.domain.actors import Actor, Grant, Role
from app.domain.base import within
from app.domain.deployment import Deployment
from app.domain.events import Event
from app.domain.referrals import owned_by, reading

# The columns as such: a page is asked for often, and the ORM's take twice as long to put together.
E: Any = sa.inspect(Event).local_table.c
D: Any = Deployment
RETENTION = timedelta(days=90)
# What the types of its events begin with.
KINDS = (
    "complaint", "referral", "registry_change", "visit", "survey", "dispatch", "household",
    "member", "quota", "other_need", "device", "ticket_book",
)  # fmt: skip
REFERRALS, CHANGES, DISPATCHES = "referrals", "registry-changes", "dispatches"


class FeedMark(SQLModel, table=True):
    """How far the feed had come at a moment: by it readers begin, since no time is in order."""

    __tablename__ = "feed_marks"

    at: datetime = Field(primary_key=True)
    pos: int = Field(sa_type=sa.BigInteger)


F: Any = FeedMark


def may_read(actor: Actor) -> bool:
    """Whether the actor reads the feed at all."""
    return bool(owners_of(actor) or actor.regions(Role.MANAGER, Role.HEAD, Role.PROGRAM_MANAGER))


def seen_by(actor: Actor) -> sa.ColumnElement[bool]:
    """The events that an actor may see, said of their own columns alone.

    Manager and head: all of their region. A program_manager: referrals of its programmes and
    regions, registry changes there once they are applied, and the batches they go in. An agency,
    and a client with `referrals:read`: referrals of its programmes and regions once they are sent.
    """
    regions = actor.regions(Role.PROGRAM_MANAGER)
    return sa.or_(
        within(E, actor.regions(Role.MANAGER, Role.HEAD)),
        sa.and_(E.collection == REFERRALS, owned_by(actor.granted(Role.PROGRAM_MANAGER), E)),
        sa.and_(E.collection == CHANGES, E.handed_over, within(E, regions)),
        sa.and_(E.collection == DISPATCHES, within(E, regions)),
        sa.and_(E.collection == REFERRALS, E.handed_over, owned_by(owners_of(actor), E)),
    )


def owners_of(actor: Actor) -> Sequence[Grant]:
    """As whom an actor owns programmes. To answer referrals does not let a client read them."""
    return actor.granted(Role.AGENCY) if actor.is_person else reading(actor)


def cloud_event(source: str) -> sa.ColumnElement[str]:
    """An event as a CloudEvent (JSON text), written once, by the database.

    `source` is the deployment's address. Of the table itself, not of an alias; and only numbered
    events have one. Put together as text, which takes half the time: none of its values holds a
    character that JSON escapes.
    """
    quoted = json.dumps(source).replace("'", "''")
    return sa.literal_column(CLOUD_EVENT.replace("SOURCE", quoted), sa.Text)


TIME = """to_char(timezone('UTC', {}), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def _word(*columns: str) -> str:
    """The first of some words or codes that says anything, in quotes; else null."""
    found = (f"""'"' || nullif(events.{column}, '') || '"'""" for column in columns)
    return f"coalesce({', '.join(found)}, 'null')"


# As narrow a region as the event says it: a batch is a whole city's.
CLOUD_EVENT = f"""
    '{{"specversion":"1.0","id":"' || events.id
    || '","source":SOURCE,"type":"' || events.type
    || '","subject":"' || events.collection || '/' || events.subject_id
    || '","time":"' || {TIME.format("events.at")}
    || '","sequence":"' || lpad(events.pos::text, 20, '0')
    || '","data":{{"id":"' || events.subject_id
    || '","version":' || events.subject_version
    || ',"state":' || {_word("state")}
    || ',"outcome":' || {_word("outcome")}
    || ',"region_code":' || {_word("village_code", "district_code", "regency_code")}
    || ',"program_code":' || {_word("program_code")}
    || '}}}}'
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the feed stands: its epoch, the last position, and whether events wait for theirs.

    Events that a snapshot does not hold come after the last position in it.
    """

    epoch: int
    newest: int
    unnumbered: bool


@dataclass(frozen=True, slots=True)
class Types:
    """Which events are wanted: exact types, and whole kinds. Neither: all of them."""

    exact: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @staticmethod
    def of(names: Sequence[str]) -> "Types":
        """`referral.sent` as an exact type, `referral.*` as a whole kind."""
        return Types(
            exact=tuple(name for name in names if not name.endswith(".*")),
            kinds=tuple(name.removesuffix(".*") for name in names if name.endswith(".*")),
        )

    def among(self) -> sa.ColumnElement[bool]:
        if not self.exact and not self.kinds:
            return sa.true()
        whole = (E.type.startswith(f"{kind}.", autoescape=True) for kind in self.kinds)
        return sa.or_(E.type.in_(self.exact), *whole)


@dataclass(frozen=True, slots=True)
class Page:
    """Some events: how many, the position of the last, and all of them as JSON.

    Between two of them is `,` and a line break, which is nowhere else in it.
    """

    count: int
    last: int
    text: str


@lru_cache(maxsize=500)
def _page(actor: Actor, types: Types, source: str) -> sa.Select[Any]:
    """The statement of a page, put together once for each reader: that takes long for one page."""
    events = (
        sa.select(E.pos, cloud_event(source).label("event"))
        .where(E.pos > sa.bindparam("after"), seen_by(actor), types.among())
        .order_by(E.pos)
        .limit(sa.bindparam("limit"))
        .subquery()
    )
    text = sa.func.string_agg(events.c.event, aggregate_order_by(BETWEEN, events.c.pos))
    return sa.select(sa.func.count(), sa.func.max(events.c.pos), text)


BETWEEN = sa.literal_column("E',\\n'", sa.Text)


class Feed:
    """The only place that writes SQL about reading events in order.

    Call `Events.number` before, in a transaction of its own.
    """

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def page(self, actor: Actor, types: Types, after: int, limit: int, source: str) -> "Page":
        """The next events after a position, put together by the database as they are sent."""
        statement = _page(actor, types, source)
        found = await self.session.execute(statement, {"after": after, "limit": limit})
        count, last, text = found.one()
        return Page(count, last or after, text or "")

    async def stand(self) -> Standing:
        """Where the feed stands. The epoch rises by itself where a dump was restored.

        What happened between dump and restore is gone, and its positions are given out again.
        """
        epoch, same, newest, unnumbered = (await self.session.execute(STAND)).one()
        if not same:
            await self.session.execute(MOVED)
            epoch = await self.session.scalar(sa.select(D.feed_epoch))
        return Standing(epoch, newest, unnumbered)

    async def beginning(self, at: datetime) -> int:
        """The position after which events are kept for readers."""
        mark = sa.select(sa.func.max(F.pos)).where(F.at <= at - RETENTION)
        return int(await self.session.scalar(mark) or 0)

    async def mark(self, at: datetime) -> int:
        """Note how far the feed has come; forget the marks that no reader begins from any more.

        Of the events themselves nothing is ever deleted: they are the history.
        """
        begun = sa.select(sa.func.max(F.at)).where(F.at <= at - RETENTION).scalar_subquery()
        result = await self.session.execute(sa.delete(FeedMark).where(F.at < begun))
        mark = insert(FeedMark).values(at=at, pos=(await self.stand()).newest)
        await self.session.execute(mark.on_conflict_do_nothing())
        return int(getattr(result, "rowcount", 0))

    async def restored(self) -> int:
        """Begin another epoch: for a restore that leaves no trace, such as one of the disk."""
        await self.stand()
        statement = sa.update(D).values(feed_epoch=D.feed_epoch + 1).returning(D.feed_epoch)
        return int((await self.session.execute(statement)).scalar_one())


HERE = """
    (select system_identifier from pg_control_system()) as system_identifier,
    (select oid::bigint from pg_database where datname = current_database()) as database_oid
"""
STAND = sa.text(f"""
    select feed_epoch,
        (deployment.system_identifier, deployment.database_oid)
            is not distinct from (here.system_identifier, here.database_oid),
        coalesce((select max(pos) from events), 0),
        exists (select from events where pos is null)
    from deployment, (select {HERE}) here
""")
# Of several who notice, one raises it: the others wait, and find it done.
MOVED = sa.text(f"""
    update deployment set
        feed_epoch = feed_epoch + (deployment.system_identifier is not null)::int,
        system_identifier = here.system_identifier, database_oid = here.database_oid
    from (select {HERE}) here
    where (deployment.system_identifier, deployment.database_oid)
        is distinct from (here.system_identifier, here.database_oid)
""")
