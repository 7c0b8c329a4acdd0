"""Matters: complaints that may be about the same person and thing, filed at two desks."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.complaints import C, Complaint
from app.domain.vocabulary import Category

# More than this of one matter in a month nobody would look through.
AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """By what complaints are looked for: any of it. Numbers by their blind index, names in lower
    case."""

    regency_codes: Collection[str]
    categories: Collection[Category]
    since: datetime
    until: datetime
    national_ids: Collection[bytes]
    family_card_numbers: Collection[bytes]
    household_ids: Collection[UUID]
    names: Collection[str]


class Matters:
    """The only place that writes SQL about complaints that are alike."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def hold(self, keys: Collection[str]) -> None:
        """Until commit, whoever files by one of these keys waits; all are taken in one order."""
        digests = (hashlib.sha256(f"matter {key}".encode()).digest() for key in keys)
        numbers = sorted({int.from_bytes(one[:8], signed=True) for one in digests})
        await self.session.execute(HOLD, {"numbers": numbers})

    async def alike(self, wanted: Wanted) -> Sequence[Complaint]:
        """Complaints in which any of it stands, newest first. Each way has an index."""
        ways: list[Any] = [
            C.subject_national_id_index.in_(wanted.national_ids),
            C.reporter_national_id_index.in_(wanted.national_ids),
            C.subject_family_card_number_index.in_(wanted.family_card_numbers),
            C.household_id.in_(wanted.household_ids),
            *(
                sa.and_(
                    C.regency_code.in_(wanted.regency_codes), sa.func.lower(name).in_(wanted.names)
                )
                for name in (C.reporter_name, C.subject_name)
            ),
        ]
        statement = (
            sa.select(Complaint)
            .where(
                sa.or_(*ways),
                C.regency_code.in_(wanted.regency_codes),
                C.category.in_(wanted.categories),
                C.received_at.between(wanted.since, wanted.until),
                ~C.confidential,
            )
            .order_by(C.received_at.desc(), C.id.desc())
            .limit(AT_MOST)
        )
        return list(await self.session.scalars(statement))


# The numbers come sorted, and are taken as they come.
HOLD = sa.text(
    "select pg_advisory_xact_lock(number) from unnest(cast(:numbers as bigint[])) as number"
)
