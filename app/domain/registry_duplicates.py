"""People who share a national id across households: what looks like one person twice."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.registry_changes import ChangeKind, RegistryChange

Pair = tuple[UUID, UUID]
R: Any = RegistryChange
# As the city's registry will stand once the compared file is applied. A pair that a change was
# ever made of has been judged, or waits to be. A number that many bear is no sign of one person.
# What has landed already stands in both halves, and counts once. Who was there first stays: of two
# that are new, who stands first in the file.
PAIRS = """
with standing as materialized (
  select m.id, coalesce(c.national_id_index, m.national_id_index) as number,
    coalesce(c.home_id, m.household_id) as home_id
  from members m left join people_changes c on c.id = m.id
  where m.regency_code = :regency and m.merged_into is null and (m.ended_at is null or c.ended)
    and not exists (select 1 from people_ending e where e.id = m.id)
  union
  select s.id, r.national_id_index, s.home_id
  from people_standing s
  join registry_rows r on r.operation_id = cast(:op as uuid) and r.line = s.line
  join home_standing hs on hs.id = s.home_id and not hs.held
  where s.new
), twice as (
  select number from standing where number is not null
  group by number having count(*) between 2 and 20
), ordered as materialized (
  select st.id, st.number, st.home_id, row_number() over (partition by st.number
    order by new.id is not null, case when new.id is null then m.created_at end, new.line, st.id
  ) as place
  from twice t
  join standing st on st.number = t.number
  left join people_standing new on new.id = st.id and new.new
  left join members m on m.id = st.id
)
select a.id as one, b.id as other
from ordered a
join ordered b on b.number = a.number and b.home_id <> a.home_id and a.place < b.place
where not exists (select 1 from registry_changes c where c.kind = 'merge_duplicate'
  and (c.member_id, c.into_id) in ((a.id, b.id), (b.id, a.id)))
order by a.id, b.id limit 1000
"""


class RegistryDuplicates:
    """The only place that writes SQL about pairs that look like one person."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def pairs(self, operation_id: UUID, regency_code: str) -> list[Pair]:
        """Pairs (who stays first) that an import, compared and in this transaction, leaves.

        At most 1,000; what is left over is found by the next import.
        """
        # All against all: a plan that goes row by row, made on stale figures, takes hours.
        await self.session.execute(sa.text("set local enable_nestloop = off"))
        params = {"op": operation_id, "regency": regency_code}
        rows = (await self.session.execute(sa.text(PAIRS), params)).all()
        await self.session.execute(sa.text("set local enable_nestloop = on"))
        return [(row.one, row.other) for row in rows]

    async def judged(self, pairs: Sequence[Pair]) -> set[Pair]:
        """Those of some pairs that a change to merge them exists of, whatever became of it."""
        either = [*pairs, *((other, one) for one, other in pairs)]
        statement = sa.select(R.member_id, R.into_id).where(
            R.kind == ChangeKind.MERGE_DUPLICATE, sa.tuple_(R.member_id, R.into_id).in_(either)
        )
        found = {(row.member_id, row.into_id) for row in await self.session.execute(statement)}
        return {pair for pair in pairs if pair in found or pair[::-1] in found}
