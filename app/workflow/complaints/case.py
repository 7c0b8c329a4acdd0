"""A complaint with what its table asks about: route, items, survey and the people of the city."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.complaints import Complaint, ComplaintState
from app.domain.principals import Principals
from app.domain.referrals import OPEN, Referral, Referrals, ReferralState
from app.domain.registry_changes import UNDECIDED, RegistryChange, RegistryChanges
from app.domain.routes import Route, Routes
from app.domain.surveys import Surveys
from app.domain.vocabulary import Priority, Visit
from app.workflow.parties import Parts, Staff

LIVE = (ReferralState.DRAFT, *OPEN)
# Where somebody else may act at once when those first asked are not there.
DEPENDS_ON_STAFF = (
    ComplaintState.ASSIGNED,
    ComplaintState.RETURNED,
    ComplaintState.AWAITING_SUPERVISOR,
    ComplaintState.AWAITING_MANAGER,
)


@dataclass(slots=True)
class Case:
    """What guards and parties read. Built for many complaints at once; changed by none."""

    complaint: Complaint
    at: datetime
    route: Route = field(default_factory=Route)
    staff: Staff = field(default_factory=Staff)
    items: Sequence[Referral] = ()
    changes: Sequence[RegistryChange] = ()
    surveyed: bool = False
    contacts: int = 0

    @property
    def state(self) -> ComplaintState:
        return self.complaint.state

    @property
    def village_code(self) -> str:
        return self.complaint.village_code

    @property
    def confidential(self) -> bool:
        return self.complaint.confidential

    @property
    def assigned_to(self) -> UUID | None:
        return self.complaint.assigned_to

    @property
    def submitted_by(self) -> UUID:
        return self.complaint.submitted_by

    @property
    def stage_level(self) -> int:
        return self.complaint.escalation_level

    @property
    def breached(self) -> bool:
        return self.complaint.level == 3

    @property
    def emergency(self) -> bool:
        return self.complaint.priority is Priority.EMERGENCY

    @property
    def visit_needed(self) -> bool:
        """An emergency needs no visit before it goes on; it may follow."""
        return self.route.visit is Visit.REQUIRED and not self.emergency

    @property
    def live_items(self) -> list[Referral]:
        """Items that can still go on: drafts, and open ones that are linked."""
        return [item for item in self.items if item.state in LIVE]

    @property
    def live_changes(self) -> list[RegistryChange]:
        """Registry changes that are still to be decided with the complaint."""
        return [one for one in self.changes if one.state in UNDECIDED]

    @property
    def parts(self) -> Parts:
        one = self.complaint
        return Parts(
            _ids(one.submitted_by, *one.surveyors),
            _ids(one.approved_by),
            _ids(*one.rejected_by),
        )


def _ids(*ids: UUID | None) -> frozenset[UUID]:
    return frozenset(id for id in ids if id is not None)


async def staff_of(session: AsyncSession, regency_code: str) -> Staff:
    """The people of a city, read once per session."""
    known: dict[str, Staff] = session.info.setdefault("staff", {})
    if regency_code not in known:
        known[regency_code] = Staff(tuple(await Principals(session).staff(regency_code)))
    return known[regency_code]


async def cases(
    session: AsyncSession, complaints: Sequence[Complaint], at: datetime, staffed: bool = False
) -> list[Case]:
    """The cases of some complaints, in a fixed number of queries.

    The people of the city are read where who may act depends on them, or when `staffed`.
    """
    ids = [complaint.id for complaint in complaints]
    if not ids:
        return []
    routes = await Routes(session).all()
    items = await Referrals(session).items_of(ids)
    changes = await RegistryChanges(session).of_complaints(ids)
    surveyed = await Surveys(session).submitted(ids)
    return [
        Case(
            complaint,
            at,
            routes.get((complaint.kind, complaint.category), Route()),
            await staff_of(session, complaint.regency_code)
            if staffed or complaint.state in DEPENDS_ON_STAFF
            else Staff(),
            items[complaint.id],
            changes[complaint.id],
            complaint.id in surveyed,
        )
        for complaint in complaints
    ]


async def case_of(
    session: AsyncSession, complaint: Complaint, at: datetime, staffed: bool = False
) -> Case:
    return (await cases(session, [complaint], at, staffed))[0]
