"""From a proposal to a draft: who, about what, and what stood there when it was made."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor
from app.domain.base import new_id, region_columns
from app.domain.complaints import Complaint
from app.domain.registry_changes import (
    ChangeContent,
    ChangeOrigin,
    RegistryChange,
    RegistryChanges,
)
from app.domain.visits import Visit
from app.workflow.history import log
from app.workflow.registry_changes import drafts
from app.workflow.registry_changes.drafts import ChangeDraft, Target
from app.workflow.registry_changes.table import DRAFTED
from app.workflow.registry_changes.values import values_of


async def draft(
    session: AsyncSession,
    actor: Actor,
    wanted: ChangeDraft,
    origin: ChangeOrigin,
    at: datetime,
    *,
    complaint: Complaint | None = None,
    visit: Visit | None = None,
    regency_code: str | None = None,
    pointer: str = "",
) -> RegistryChange:
    """A change as draft. `regency_code` is the city it must be in, where no complaint says so.

    Raises what `drafts.target_of` and `drafts.check` raise.
    """
    city = complaint.regency_code if complaint else regency_code
    target = await drafts.target_of(session, wanted, city, pointer)
    await drafts.check(session, wanted, target, at, pointer)
    case = complaint.id if complaint else visit.complaint_id if visit else None
    await drafts.check_documents(session, wanted.evidence, case, pointer)
    columns: dict[str, Any] = region_columns(target.village_code)
    change = RegistryChange(
        id=new_id(), kind=wanted.kind, origin=origin,
        complaint_id=complaint.id if complaint else None, visit_id=visit.id if visit else None,
        household_id=target.household.id if target.household else None,
        member_id=target.member.id if target.member else None, into_id=target.into_id,
        content=b"", proposed_by=actor.id, authors=[actor.id], created_at=at,
        stage_entered_at=at, **columns,
    )  # fmt: skip
    await write(session, change, wanted, target)
    RegistryChanges(session).add(change)
    log(
        session, DRAFTED, change, actor, at,
        kind=change.kind, origin=origin, complaint_id=str(complaint.id) if complaint else None,
    )  # fmt: skip
    return change


async def write(
    session: AsyncSession, change: RegistryChange, wanted: ChangeDraft, target: Target
) -> None:
    """Seal what is proposed into a change, with what stands there now."""
    before = await values_of(session, target.household, target.member, wanted.fields)
    content = ChangeContent(**_content(wanted), before=before)
    row = target.row
    change.base_version = wanted.base_version or (row.version if row else None)
    change.refused_fields = []
    RegistryChanges(session).seal(change, content)


def is_same(session: AsyncSession, change: RegistryChange, wanted: ChangeDraft) -> bool:
    """Whether a change says what is wanted already."""
    sent = _content(wanted)
    content = RegistryChanges(session).content(change)
    told = (wanted.kind, wanted.household_id, wanted.member_id, wanted.into_id)
    household_id = None if change.member_id else change.household_id
    return (change.kind, household_id, change.member_id, change.into_id) == told and all(
        getattr(content, name) == value for name, value in sent.items()
    )


async def rewrite(
    session: AsyncSession, change: RegistryChange, correction: Any, actor: Actor, at: datetime
) -> None:
    """Correct a change and make it one about the row as it is now."""
    content = RegistryChanges(session).content(change)
    household = content.household
    wanted = ChangeDraft.model_validate(
        {
            "kind": change.kind,
            "household_id": None if change.member_id or household else change.household_id,
            "member_id": change.member_id,
            "into_id": change.into_id,
            "fields": content.fields,
            "household": household | {"people": content.people} if household else None,
            "person": content.people[0] if content.people and not household else None,
            "evidence": content.evidence,
            "note": content.note,
        }
    )
    if correction is not None and correction.fields is not None:
        wanted.fields = content.fields | correction.fields
    if correction is not None and correction.evidence is not None:
        known = {one.document_id for one in wanted.evidence if one.document_id is not None}
        await drafts.check_documents(
            session, correction.evidence, change.complaint_id, "/data", known
        )
        wanted.evidence = correction.evidence
    target = await drafts.target_of(session, wanted, change.regency_code)
    await drafts.check(session, wanted, target, at, anew=True)
    await write(session, change, wanted, target)
    if actor.id not in change.authors:
        change.authors = [*change.authors, actor.id]


def _content(wanted: ChangeDraft) -> dict[str, Any]:
    sent = wanted.model_dump(mode="json")
    for one in sent["evidence"]:
        # Written only where there is one, so that what was kept before compares equal.
        if one["document_id"] is None:
            del one["document_id"]
    people = [sent["person"]] if sent["person"] else (sent["household"] or {}).pop("people", [])
    return {
        "fields": sent["fields"], "household": sent["household"], "people": people,
        "evidence": sent["evidence"], "note": sent["note"],
    }  # fmt: skip
