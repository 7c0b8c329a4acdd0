"""Finding households and their people, holding them, and moving what hangs on them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.domain.base import InRegion, new_id, region_of, within
from app.domain.households.rows import (
    CARD_PLACE,
    Family,
    Household,
    Member,
    MemberRelation,
    Participation,
    RegistryId,
)
from app.domain.identifiers import Keys

# Where a participation stands: its household, and its member if it is one person's.
Place = tuple[UUID, UUID | None]


class Households:
    """The only place that writes SQL about households and members."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    @property
    def keys(self) -> Keys:
        return Keys.of(self.session)

    def add(
        self, household: Household, members: Sequence[Member], families: Sequence[Family] = ()
    ) -> None:
        self.session.add_all([household, *families, *members])

    def family(self, household: Household, family_card_number: str, number: int = 1) -> Family:
        """A family of a household, its number sealed and blindly indexed."""
        id = new_id()
        return Family(
            id=id,
            household_id=household.id,
            number=number,
            family_card_number=self.keys.seal(family_card_number, *CARD_PLACE, id),
            family_card_number_index=self.keys.blind(family_card_number),
            **region_of(household),
        )

    def seal_national_id(self, member: Member, national_id: str | None) -> None:
        """Put a number into a row, sealed and blindly indexed."""
        member.national_id = member.national_id_index = None
        if national_id:
            member.national_id = self.keys.seal(national_id, "members", "national_id", member.id)
            member.national_id_index = self.keys.blind(national_id)

    def family_card_number(self, family: Family) -> str:
        return self.keys.open(family.family_card_number, *CARD_PLACE, family.id)

    def national_id(self, member: Member) -> str | None:
        if member.national_id is None:
            return None
        return self.keys.open(member.national_id, "members", "national_id", member.id)

    async def families_of(self, ids: Sequence[UUID]) -> dict[UUID, list[Family]]:
        """The present families of some households."""
        statement = (
            sa.select(Family)
            .where(col(Family.household_id).in_(ids), col(Family.ended_at).is_(None))
            .order_by(col(Family.number), col(Family.id))
        )
        found: dict[UUID, list[Family]] = {id: [] for id in ids}
        for family in await self.session.scalars(statement):
            found[family.household_id].append(family)
        return found

    async def present(self, ids: Sequence[UUID], regions: tuple[str, ...]) -> dict[UUID, Household]:
        """Those of some households that the registry has now, in the regions."""
        statement = sa.select(Household).where(
            col(Household.id).in_(ids),
            within(Household, regions),
            col(Household.ended_at).is_(None),
        )
        return {one.id: one for one in await self.session.scalars(statement)}

    async def lock(self, id: UUID) -> Household:
        """The row as it is now, held until commit. Households are locked before their members."""
        statement = sa.select(Household).where(col(Household.id) == id).with_for_update()
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one()

    async def lock_member(self, id: UUID) -> Member:
        """The person as they are now, held until commit; the household is locked before."""
        statement = sa.select(Member).where(col(Member.id) == id).with_for_update()
        statement = statement.execution_options(populate_existing=True)
        return (await self.session.scalars(statement)).one()

    async def hold(self, ids: Sequence[UUID]) -> None:
        """Hold several until commit, in id order so that two lockers cannot meet head-on."""
        row = col(Household.id)
        await self.session.execute(
            sa.select(row).where(row.in_(ids)).order_by(row).with_for_update()
        )

    async def hold_people(self, ids: Sequence[UUID], household_ids: Sequence[UUID]) -> None:
        """Hold people, and everybody of some households, until commit, in id order."""
        row, home = col(Member.id), col(Member.household_id)
        statement = sa.select(row).where(sa.or_(row.in_(ids), home.in_(household_ids)))
        await self.session.execute(statement.order_by(row).with_for_update())

    async def members_of(self, ids: Sequence[UUID]) -> dict[UUID, list[Member]]:
        """The present members of some households, the dead among them."""
        statement = (
            sa.select(Member)
            .where(col(Member.household_id).in_(ids), col(Member.ended_at).is_(None))
            .order_by(col(Member.number).asc().nulls_last(), col(Member.id))
        )
        found: dict[UUID, list[Member]] = {id: [] for id in ids}
        for member in await self.session.scalars(statement):
            found[member.household_id].append(member)
        return found

    async def by_ids(self, ids: Sequence[UUID]) -> dict[UUID, Household]:
        """Households, whether or not the registry still has them."""
        statement = sa.select(Household).where(col(Household.id).in_(ids))
        return {one.id: one for one in await self.session.scalars(statement)}

    async def members_by_ids(self, ids: Sequence[UUID]) -> dict[UUID, Member]:
        """People, whether or not the registry still has them."""
        statement = sa.select(Member).where(col(Member.id).in_(ids))
        return {one.id: one for one in await self.session.scalars(statement)}

    async def heads_of(self, ids: Sequence[UUID]) -> dict[UUID, Member]:
        """The head of each household: the present one, else the one who was it last."""
        statement = (
            sa.select(Member)
            .where(col(Member.household_id).in_(ids), col(Member.relation) == MemberRelation.HEAD)
            .order_by(col(Member.ended_at).asc().nulls_first(), col(Member.id).desc())
        )
        found: dict[UUID, Member] = {}
        for member in await self.session.scalars(statement):
            found.setdefault(member.household_id, member)
        return found

    async def registry_ids_of(self, ids: Sequence[UUID]) -> dict[UUID, list[RegistryId]]:
        """The ids that the registries gave some households."""
        statement = (
            sa.select(RegistryId)
            .where(col(RegistryId.household_id).in_(ids))
            .order_by(col(RegistryId.source), col(RegistryId.kind), col(RegistryId.value))
        )
        found: dict[UUID, list[RegistryId]] = {id: [] for id in ids}
        for one in await self.session.scalars(statement):
            found[one.household_id].append(one)
        return found

    async def member(self, id: UUID) -> Member | None:
        return await self.session.get(Member, id)

    async def find(self, id: UUID) -> Household | None:
        return await self.session.get(Household, id)

    async def member_by_national_id(self, regency_code: str, index: bytes) -> Member | None:
        """The first present member of the city with this national id, by its blind index."""
        statement = (
            sa.select(Member)
            .where(
                col(Member.national_id_index) == index,
                col(Member.regency_code) == regency_code,
                col(Member.ended_at).is_(None),
            )
            .order_by(col(Member.id))
            .limit(1)
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def lock_row(self, id: UUID) -> Household | Member:
        """A household or a member, held until commit."""
        if await self.find(id) is not None:
            return await self.lock(id)
        return await self.lock_member(id)

    async def keep(self, id: UUID) -> None:
        """Let nobody change a household's key or end it before the commit; readers may read."""
        statement = sa.select(Household.id).where(col(Household.id) == id)  # type: ignore[call-overload]
        await self.session.execute(statement.with_for_update(read=True, key_share=True))

    async def version_of(self, id: UUID) -> int:
        version = await self.session.scalar(
            sa.select(col(Household.version)).where(col(Household.id) == id)
        )
        assert isinstance(version, int)
        return version

    async def take_part(self, row: Participation) -> bool:
        """Write that somebody takes part, by a source's word; whether the source says so anew.

        What it said before is brought up to date; one that had ended begins again.
        """
        columns = [name for name in Participation.model_fields if name != "id"]
        statement = insert(Participation).values(
            id=row.id, **{name: getattr(row, name) for name in columns}
        )
        new, old = statement.excluded, col(Participation.ended_on)
        began = sa.case((old.is_(None), col(Participation.began_on)))
        statement = statement.on_conflict_do_update(
            index_elements=["household_id", "member_id", "program_code", "source"],
            set_={
                "as_of": new.as_of,
                "began_on": sa.func.coalesce(began, new.began_on),
                "ended_on": None,
            },
        )
        # xmax is 0 for a row that was not there before.
        inserted = sa.literal_column("participations.xmax = 0", sa.Boolean)
        return bool(await self.session.scalar(statement.returning(inserted)))

    async def move_participations(self, whose: Place, into: Place) -> list[dict[str, Any]]:
        """What one takes part in goes to another, if new there. Returns what was moved."""
        program, source = col(Participation.program_code), col(Participation.source)
        known = sa.select(program, source).where(_at(into))
        statement = (
            sa.update(Participation)
            .where(_at(whose), sa.tuple_(program, source).not_in(known))
            .values(household_id=into[0], member_id=into[1])
            .returning(col(Participation.id))
            .execution_options(synchronize_session=False)
        )
        ids = await self.session.scalars(statement)
        member_id = str(whose[1]) if whose[1] else None
        return [
            {"id": str(id), "household_id": str(whose[0]), "member_id": member_id} for id in ids
        ]

    async def return_participations(self, moved: list[dict[str, Any]], from_id: UUID) -> None:
        """Undo `move_participations`, as far as they are still with a household."""
        for kept in moved:
            member_id = UUID(kept["member_id"]) if kept["member_id"] else None
            await self.session.execute(
                sa.update(Participation)
                .where(
                    col(Participation.id) == UUID(kept["id"]),
                    col(Participation.household_id) == from_id,
                )
                .values(household_id=UUID(kept["household_id"]), member_id=member_id)
                .execution_options(synchronize_session=False)
            )

    async def move_belongings(self, household_id: UUID, into_id: UUID) -> dict[str, list[str]]:
        """Ids and families of a household belong to another from now on. Returns which."""
        moved: dict[str, list[str]] = {}
        for name, kind in BELONGINGS.items():
            whose: Any = kind
            statement = (
                sa.update(kind)
                .where(whose.household_id == household_id)
                .values(household_id=into_id)
                .returning(whose.id)
            )
            moved[name] = [str(id) for id in await self.session.scalars(statement)]
        return moved

    async def return_belongings(
        self, household_id: UUID, from_id: UUID, moved: dict[str, list[str]]
    ) -> None:
        """Undo `move_belongings`, as far as they are still with the other."""
        for name, kind in BELONGINGS.items():
            whose: Any = kind
            ids = [UUID(id) for id in moved[name]]
            await self.session.execute(
                sa.update(kind)
                .where(whose.id.in_(ids), whose.household_id == from_id)
                .values(household_id=household_id)
            )


def _at(place: Place) -> Any:
    return sa.and_(
        col(Participation.household_id) == place[0],
        col(Participation.member_id).is_not_distinct_from(place[1]),
    )


# What hangs on a household, besides people, complaints and referrals.
BELONGINGS: dict[str, type[InRegion]] = {"families": Family, "registry_ids": RegistryId}
