"""Possible duplicates: the same person with the same matter, filed twice within a month.

Both are accepted. Who comes second is marked, and people look.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.complaints import Complaint
from app.domain.matters import Matters, Wanted
from app.workflow.complaints.persons import Whom, whom

WITHIN = timedelta(days=30)
MARKED_AT_MOST = 10
WARNING = "possible_duplicate"


async def mark(
    session: AsyncSession, complaints: Sequence[Complaint], corrected: bool = False
) -> None:
    """Mark new complaints with what was filed already; those before them in the same sequence
    count, too. `corrected`: they were filed before, and more is known of them now.

    Until commit, others who file about the same people wait here, so that of two that come at
    once one finds the other. Called once for all in a transaction: two calls could wait for each
    other's.
    """
    people = {one.id: whom(one) for one in complaints if one.category and not one.confidential}
    named = [one for one in complaints if one.id in people]
    if not named:
        return
    keys = {f"{one.category} {key}" for one in named for key in people[one.id].ways()}
    matters = Matters(session)
    await matters.hold(keys)
    known = list(await matters.alike(_wanted(named, list(people.values()))))
    ours = {one.id for one in named}
    others = [(one, whom(one)) for one in known if one.id not in ours]
    for one in named:
        if corrected:
            others = [each for each in others if _is_before(each[0], one)]
        found = [
            other.id for other, person in others if _is_same(one, people[one.id], other, person)
        ]
        one.possible_duplicates = found[:MARKED_AT_MOST]
        rest = [word for word in one.warnings if word != WARNING]
        one.warnings = [*rest, WARNING] if found else rest
        others.insert(0, (one, people[one.id]))


def _is_before(other: Complaint, one: Complaint) -> bool:
    return (other.recorded_at, other.id) < (one.recorded_at, one.id)


def _is_same(one: Complaint, person: Whom, other: Complaint, their: Whom) -> bool:
    near = abs(one.received_at - other.received_at) <= WITHIN
    return near and one.category is other.category and person.is_same(their)


def _wanted(complaints: Sequence[Complaint], people: Sequence[Whom]) -> Wanted:
    moments = [one.received_at for one in complaints]
    return Wanted(
        {one.regency_code for one in people},
        {one.category for one in complaints if one.category},
        min(moments) - WITHIN,
        max(moments) + WITHIN,
        {one.national_id for one in people if one.national_id},
        {one.family_card_number for one in people if one.family_card_number},
        {one.household_id for one in people if one.household_id},
        {one.name for one in people if one.name},
    )
