"""Every column where something is sealed, so that it can be counted and sealed anew.

Files are sealed too: see `app.domain.complaint_documents`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.complaint_documents import FILE_PLACE
from app.domain.complaints import Complaint
from app.domain.dispatches import DispatchRow
from app.domain.households import CARD_PLACE, Family, Member
from app.domain.identifiers import Keys
from app.domain.operations import CHUNK_PLACE, OperationChunk
from app.domain.other_needs import OtherNeed
from app.domain.referrals import Referral
from app.domain.registry_changes import RegistryChange
from app.domain.registry_rows import RegistryRow
from app.domain.screenings import Screening
from app.domain.surveys import Survey
from app.domain.webhooks import WebhookEndpoint


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed column. `bound_to` is the place it was sealed for, `row` whose id it is bound to;
    with `part`, the number of a piece of it. `at_once`: how many values fit into memory."""

    table: Any
    column: str
    bound_to: tuple[str, str]
    row: str = "id"
    part: str | None = None
    at_once: int = 500

    @property
    def name(self) -> str:
        return f"{self.table.__tablename__}.{self.column}"


def _own(table: Any, column: str) -> Sealed:
    return Sealed(table, column, (table.__tablename__, column))


SEALED = (
    _own(Complaint, "reporter_national_id"),
    _own(Complaint, "subject_national_id"),
    _own(Complaint, "subject_family_card_number"),
    Sealed(Family, "family_card_number", CARD_PLACE),
    _own(Member, "national_id"),
    _own(OtherNeed, "text"),
    _own(Referral, "beneficiary_national_id"),
    _own(RegistryChange, "content"),
    _own(RegistryChange, "undo"),
    Sealed(RegistryRow, "national_id", ("members", "national_id"), "member_id"),
    Sealed(RegistryRow, "family_card_number", CARD_PLACE, "family_id"),
    _own(Screening, "content"),
    _own(Survey, "content"),
    Sealed(OperationChunk, "content", CHUNK_PLACE, "operation_id", part="number", at_once=16),
    Sealed(DispatchRow, "content", ("dispatch_rows", "content"), "registry_change_id"),
    _own(WebhookEndpoint, "secret"),
    _own(WebhookEndpoint, "previous_secret"),
)
Place = tuple[Any, ...]


class SealedValues:
    """The only place that writes SQL about sealed columns as such."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def count(self, sealed: Sealed) -> Mapping[str, int]:
        """How many values of a column are sealed under each key, by the key's id."""
        await self._patiently()
        column = getattr(sealed.table, sealed.column)
        length = sa.func.get_byte(column, 0)
        key_id = sa.func.convert_from(sa.func.substr(column, 2, length), "UTF8")
        statement = sa.select(key_id, sa.func.count()).where(column.is_not(None)).group_by(key_id)
        rows = (await self.session.execute(statement.order_by(key_id))).all()
        return {str(id): int(count) for id, count in rows}

    async def hold(self) -> None:
        """Wait for all who are writing, and let nobody write until the end of the transaction."""
        await self.session.execute(sa.text("set local lock_timeout = '10s'"))
        tables = {one.table.__tablename__ for one in SEALED} | {FILE_PLACE[0]}
        names = ", ".join(sorted(tables))
        await self.session.execute(sa.text(f"lock table {names} in share mode"))

    async def reseal(self, sealed: Sealed, after: Place | None, limit: int) -> list[Place]:
        """Seal the next values of a column under the current key; the primary keys of their rows.

        Rows that somebody else holds are left for another time: nobody waits for this, and what
        they write is never overwritten.
        """
        await self._patiently()
        keys, table = Keys.of(self.session), sa.inspect(sealed.table).local_table
        column, primary = table.c[sealed.column], list(table.primary_key.columns)
        part: Any = table.c[sealed.part] if sealed.part else sa.null()
        key_id = keys.current.encode()
        mark = bytes([len(key_id)]) + key_id
        statement = (
            sa.select(*primary, table.c[sealed.row], part, column)
            .where(column.is_not(None), sa.func.substr(column, 1, len(mark)) != mark)
            .order_by(*primary)
            .limit(min(limit, sealed.at_once))
            .with_for_update(skip_locked=True)
        )
        if after is not None:
            statement = statement.where(sa.tuple_(*primary) > sa.tuple_(*map(sa.literal, after)))
        rows = [tuple(row) for row in await self.session.execute(statement)]
        if rows:
            anew = (
                sa.update(table)
                .where(*(one == sa.bindparam(f"at_{n}") for n, one in enumerate(primary)))
                .values({column: sa.bindparam("anew")})
            )
            await self.session.execute(anew, [self._anew(sealed, row) for row in rows])
        return [row[:-3] for row in rows]

    def _anew(self, sealed: Sealed, row: tuple[Any, ...]) -> dict[str, Any]:
        *place, id, part, value = row
        keys = Keys.of(self.session)
        bound_to = id if part is None else (id, part)
        plain = keys.open_bytes(value, *sealed.bound_to, bound_to)
        anew = keys.seal_bytes(plain, *sealed.bound_to, bound_to)
        return {f"at_{n}": one for n, one in enumerate(place)} | {"anew": anew}

    async def _patiently(self) -> None:
        """A whole table is read; that may take longer than a call may."""
        await self.session.execute(sa.text("set local statement_timeout = '10min'"))
