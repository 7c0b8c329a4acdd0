"""Loading the demo: people, 500 households, 200 complaints in all states and ages, some late.

Everything goes through the same verbs as real cases, at moments of the past, in one transaction:
a load that is interrupted leaves nothing behind.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import hash_secret
from app.database import Sessions
from app.demo import accounts
from app.demo.people import Family, families, phone, story
from app.domain.actors import Actor, PrincipalKind, Role
from app.domain.base import new_id, region_columns, slrt_now
from app.domain.complaints import Complaint, ComplaintState
from app.domain.deployment import the_deployment
from app.domain.households import Household, Households, Member, MemberRelation, Sex
from app.domain.principals import Principal, Principals, RoleGrant
from app.domain.referrals import Referrals, ReferralState
from app.domain.routes import Routes
from app.domain.survey_forms import CURRENT, FORMS
from app.domain.vocabulary import Kind, Visit
from app.settings import Settings
from app.workflow import facilitators, quotas, registry
from app.workflow.complaints import commands, filing, surveys, verbs
from app.workflow.complaints.commands import Command, ComplaintAction
from app.workflow.complaints.surveys import SurveyDraft
from app.workflow.referrals import verbs as referral_verbs
from app.workflow.referrals.table import ReferralAction

SEED = 20261124
HOUSEHOLDS, COMPLAINTS = 500, 200
SOURCE = "demo"
A, S = ComplaintAction, ComplaintState
# How many complaints end where, out of 200.
ENDS = (
    ("received", 22), ("incomplete", 12), ("at_secretariat", 16), ("assigned", 24),
    ("returned", 8), ("awaiting_supervisor", 20), ("awaiting_manager", 12), ("forwarded", 26),
    ("answered", 16), ("told", 20), ("resolved", 14), ("rejected", 6), ("withdrawn", 4),
)  # fmt: skip


async def load(sessions: Sessions, settings: Settings, households: int, complaints: int) -> bool:
    """Load the demo once. False where it is there already."""
    async with sessions.begin() as session:
        deployment = await the_deployment(session)
        if deployment.demo_loaded_at is not None:
            return False
        deployment.demo = True
        now = await slrt_now(session)
        await _accounts(session, settings, now)
        loading = Loading(session, now, Random(SEED))
        await loading.meet_everybody()
        loading.fill_registry(households)
        await session.flush()
        if complaints:
            await loading.keep_quotas()
        await loading.file_complaints(complaints)
        deployment.demo_loaded_at = now
    return True


async def _accounts(session: AsyncSession, settings: Settings, now: datetime) -> None:
    # One hash for all: they share one password, and argon2 is slow on purpose.
    password = await hash_secret(settings.demo_password.get_secret_value())
    secret = await hash_secret(settings.demo_client_secret.get_secret_value())
    principals = Principals(session)
    for one in accounts.people(SEED):
        principal = Principal(
            id=new_id(), kind=PrincipalKind.PERSON, username=one.username, name=one.name,
            secret_hash=password, created_at=now, updated_at=now,
        )  # fmt: skip
        grant = RoleGrant(
            principal_id=principal.id, role=one.role,
            region_codes=list(one.region_codes), program_codes=list(one.program_codes),
        )  # fmt: skip
        principals.add(principal, [grant])
    for client in accounts.clients():
        principal = Principal(
            id=new_id(), kind=PrincipalKind.CLIENT, username=client.username, name=client.name,
            secret_hash=secret, scopes=[str(scope) for scope in client.scopes],
            region_codes=[accounts.CITY], program_codes=list(client.program_codes),
            created_at=now, updated_at=now,
        )  # fmt: skip
        principals.add(principal, [])
    await session.flush()


@dataclass
class Loading:
    """One load under way."""

    session: AsyncSession
    now: datetime
    rng: Random
    people: dict[str, Actor] = field(default_factory=dict)
    homes: list[tuple[Household, Family, list[Member]]] = field(default_factory=list)

    async def meet_everybody(self) -> None:
        everybody = await Principals(self.session).everybody()
        self.people = {actor.username: actor for actor in everybody}

    async def keep_quotas(self) -> None:
        """One quota that is managed here and soon full, so that some wait; one for information."""
        year = timedelta(days=365)
        period = ((self.now - year).date(), (self.now + year).date())
        for program, places, managed_here in (("PIP", 12, True), ("PKH", 400, False)):
            keeper = next(
                one for one in self.people.values()
                if one.holds_program(accounts.CITY, program, Role.PROGRAM_MANAGER)
            )  # fmt: skip
            await quotas.add(
                self.session, keeper, program, accounts.CITY, period, places, managed_here, self.now
            )

    def fill_registry(self, count: int) -> None:
        households = Households(self.session)
        codes = [code for code, _ in accounts.villages()]
        for family in families(SEED, count, codes, self.now.date()):
            columns: dict[str, Any] = region_columns(family.village_code)
            household = Household(
                id=new_id(), registry_source=SOURCE, registry_id=family.registry_id,
                address=family.address, rt=family.rt, rw=family.rw, decile=family.decile,
                facts_source=SOURCE, created_at=self.now, updated_at=self.now, **columns,
            )  # fmt: skip
            members = [
                Member(
                    id=new_id(), household_id=household.id, name=person.name,
                    birth_date=person.birth_date, birth_year=person.birth_date.year,
                    number=number, facts_source=SOURCE, sex=Sex(person.sex),
                    relation=MemberRelation(person.relation),
                    created_at=self.now, updated_at=self.now, **columns,
                )
                for number, person in enumerate(family.members, 1)
            ]  # fmt: skip
            card = households.family(household, family.family_card_number)
            for member, person in zip(members, family.members, strict=True):
                member.family_id = card.id
                households.seal_national_id(member, person.national_id)
            households.add(household, members, [card])
            self.homes.append((household, family, members))

    async def file_complaints(self, count: int) -> None:
        if not count:
            return
        whole = sum(weight for _, weight in ENDS)
        wanted = [end for end, weight in ENDS for _ in range(max(1, weight * count // whole))]
        self.rng.shuffle(wanted)
        # Every state is there even in a small demo; the rest is filled with new ones.
        wanted += ["received"] * (count - len(wanted))
        for number, end in enumerate(wanted[: max(count, len(ENDS))], 1):
            await Life(self, number, end).live()


@dataclass
class Life:
    """One complaint, from the desk to where it stands now."""

    loading: Loading
    number: int
    end: str
    at: datetime = field(init=False)
    complaint: Complaint = field(init=False)

    def __post_init__(self) -> None:
        days = {
            "received": 0.3, "incomplete": 14, "at_secretariat": 0.7, "assigned": 1.5,
            "returned": 2.5, "awaiting_supervisor": 2.5, "awaiting_manager": 2.5,
        }  # fmt: skip
        longest = timedelta(days=days.get(self.end, 60))
        self.at = self.loading.now - longest * self.loading.rng.uniform(0.25, 1.0)
        self.left = self.loading.now - self.at

    @property
    def session(self) -> AsyncSession:
        return self.loading.session

    @property
    def rng(self) -> Random:
        return self.loading.rng

    def who(self, username: str) -> Actor:
        return self.loading.people[username]

    def later(self, least: float, most: float) -> datetime:
        """Some hours on, but never past now."""
        room = (self.loading.now - self.at) * 0.45
        self.at += min(timedelta(hours=self.rng.uniform(least, most)), room)
        return self.at

    async def live(self) -> None:
        household, family, members = self.rng.choice(self.loading.homes)
        self.family, self.members, self.household = family, members, household
        needs_visit = self.end not in (
            "received",
            "incomplete",
            "resolved",
            "rejected",
            "withdrawn",
        )
        told = story(self.rng)
        while needs_visit and not await self._has_visit(told):
            told = story(self.rng)
        self.story = told
        await self._file()
        steps: dict[str, tuple[Callable[[], Any], ...]] = {
            "received": (),
            "incomplete": (self._incomplete,),
            "resolved": (self._resolve,),
            "rejected": (self._reject, self._tell),
            "withdrawn": (self._withdraw,),
        }
        path = (self._to_secretariat, self._assign, self._survey, self._approve, self._forward)
        stops = (
            "at_secretariat",
            "assigned",
            "awaiting_supervisor",
            "awaiting_manager",
            "forwarded",
        )
        for n, stop in enumerate(stops, 1):
            steps[stop] = path[:n]
        steps["returned"] = (*path[:3], self._return)
        steps["answered"] = (*path, self._answers)
        steps["told"] = (*path, self._answers, self._tell)
        for step in steps[self.end]:
            await step()

    async def _has_visit(self, told: Any) -> bool:
        routes = await Routes(self.session).all()
        route = routes.get((Kind(told.kind), told.category))
        return route is not None and route.visit is not Visit.NONE

    async def _file(self) -> None:
        slug = self._slug()
        desk = self.who(f"puskesos.{slug}")
        reporter = self.rng.choice([p for p in self.family.members if p.relation != "grandchild"])
        draft = filing.ComplaintDraft.model_validate(
            {
                "client_ref": f"demo-{self.number:04d}",
                "kind": self.story.kind,
                "category": self.story.category,
                "sector": self.story.sector,
                "program_code": self.story.program_code,
                "priority": self.story.priority,
                "channel": "puskesos",
                "region_code": self.family.village_code,
                "narrative": self.story.narrative,
                "reporter": {
                    "name": reporter.name,
                    "national_id": reporter.national_id,
                    "phone": phone(self.rng),
                    "relation": "self",
                },
                "subject": {
                    "national_id": reporter.national_id,
                    "family_card_number": self.family.family_card_number,
                    "name": reporter.name,
                },
                "documents_seen": ["id_card"],
                "received_at": self.at,
            }
        )
        sha256 = hashlib.sha256(draft.client_ref.encode()).hexdigest()
        filed = await filing.file(self.session, desk, draft, sha256, self.at)
        self.complaint = filed.complaint
        await self.session.flush()

    def _slug(self) -> str:
        return next(
            name.lower().replace(" ", "")
            for code, name in accounts.villages()
            if code == self.family.village_code
        )

    async def _do(
        self,
        username: str | Actor,
        action: ComplaintAction,
        note: str | None = None,
        reason: str | None = None,
        **data: Any,
    ) -> None:
        actor = username if isinstance(username, Actor) else self.who(username)
        kind = commands.DATA.get(action)
        parsed = kind.model_validate(data) if kind and data else None
        command = Command(action, note=note, reason=reason, data=parsed)
        await verbs.act(self.session, actor, self.complaint.id, command, self.at)
        await self.session.flush()

    async def _incomplete(self) -> None:
        self.later(0.5, 4)
        await self._do(f"puskesos.{self._slug()}", A.REQUEST_DOCUMENTS, missing=["family_card"])

    async def _resolve(self) -> None:
        self.later(0.3, 4)
        await self._do(f"puskesos.{self._slug()}", A.RESOLVE_NOW, note=self.story.answer)

    async def _reject(self) -> None:
        self.later(0.5, 4)
        await self._do(
            f"puskesos.{self._slug()}", A.REJECT, reason="not_a_slrt_matter",
            note="Ini bukan wewenang layanan rujukan; silakan ke kantor kecamatan, gratis.",
        )  # fmt: skip

    async def _withdraw(self) -> None:
        self.later(0.5, 4)
        await self._do(
            f"puskesos.{self._slug()}", A.WITHDRAW, note="Warga mencabut laporannya sendiri."
        )

    async def _to_secretariat(self) -> None:
        self.later(0.5, 4)
        desk = self.who(f"puskesos.{self._slug()}")
        papers = ["id_card", "family_card", "kelurahan_letter"]
        self.complaint.documents_seen = papers
        person = registry.person_of(self.session, self.complaint)
        checked = await registry.check(self.session, (accounts.CITY,), person)
        registry.keep(self.session, self.complaint, checked, [], desk, self.at)
        self.later(0.1, 1)
        await self._do(desk, A.FORWARD_TO_SECRETARIAT)

    async def _assign(self) -> None:
        self.later(0.3, 4)
        proposed = await facilitators.propose(self.session, self.complaint)
        await self._do(f"front.{self.rng.choice((1, 2))}", A.ASSIGN, facilitator_id=proposed)

    async def _facilitator(self) -> Actor:
        return next(a for a in self.loading.people.values() if a.id == self.complaint.assigned_to)

    async def _survey(self) -> None:
        self.later(2, 16)
        facilitator = await self._facilitator()
        draft = SurveyDraft.model_validate(survey_of(self.family, self.members, self.at))
        survey = await surveys.save(self.session, facilitator, self.complaint, draft, 0, self.at)
        await self.session.flush()
        assert survey is not None
        self.later(0.1, 0.5)
        await self._do(facilitator, A.SUBMIT_SURVEY)

    def _supervisor(self) -> str:
        district = self.family.village_code.rsplit(".", 1)[0]
        name = dict(accounts.districts())[district]
        return f"supervisor.{name.lower().replace(' ', '')}"

    async def _return(self) -> None:
        self.later(0.5, 6)
        await self._do(
            self._supervisor(), A.RETURN_FOR_CORRECTION, note="Lengkapi keterangan lantai rumah.",
            fields=["answers.floor"],
        )  # fmt: skip

    async def _approve(self) -> None:
        self.later(0.5, 7)
        await self._do(self._supervisor(), A.APPROVE)

    async def _forward(self) -> None:
        self.later(0.5, 5)
        await self._do("manager", A.FORWARD)

    async def _answers(self) -> None:
        items = (await Referrals(self.session).items_of([self.complaint.id]))[self.complaint.id]
        for item in items:
            if item.state is not ReferralState.SENT:
                continue
            owner = next(
                a for a in self.loading.people.values()
                if a.holds_program(item.village_code, item.program_code, Role.PROGRAM_MANAGER)
            )  # fmt: skip
            self.later(24, 24 * 20)
            action, reason = self.rng.choice(
                ((ReferralAction.GRANT, None), (ReferralAction.GRANT, None),
                 (ReferralAction.DECLINE, "quota_full"), (ReferralAction.WAITLIST, None))
            )  # fmt: skip
            await referral_verbs.act(
                self.session, owner, item.id, Command(action, reason=reason), self.at
            )
            await self.session.flush()

    async def _tell(self) -> None:
        self.later(1, 40)
        teller: Actor | str = f"puskesos.{self._slug()}"
        if self.complaint.assigned_to:
            teller = await self._facilitator()
        if self.complaint.state is S.ANSWERED:
            await self._do(
                teller, A.DELIVER_ANSWER, how="in_person", to=self.complaint.reporter_name,
                satisfaction=self.rng.choice((3, 4, 5)),
            )  # fmt: skip


def survey_of(family: Family, members: list[Member], at: datetime) -> dict[str, Any]:
    """A plausible survey of a family, made from the form's own example."""
    body = FORMS[CURRENT].example(at)
    answers = body["answers"]
    pattern = answers["members"][0]
    head = family.members[0]
    answers |= {
        "head_name": head.name,
        "respondent_name": head.name,
        "family_card_number": family.family_card_number,
        "address": family.address,
        "rt": family.rt,
        "rw": family.rw,
        "members": [
            pattern
            | {
                "name": person.name,
                "national_id": person.national_id,
                "birth_date": person.birth_date.isoformat(),
                "sex": person.sex,
                "relation": person.relation,
                "pregnant": False,
            }
            for person in family.members
        ],
    }
    body["program_needs"] = [
        {
            "program_code": "PKH",
            "purpose": "enrol",
            "beneficiary": {"household_id": str(members[0].household_id)},
        }
    ]
    if len(members) > 2:
        child = str(members[-1].id)
        body["program_needs"].append(
            {"program_code": "PIP", "purpose": "enrol", "beneficiary": {"member_id": child}}
        )
    return body
