"""From a proposal to a draft: who, about what, and what stood there when it was made."""

from datetime import datetime
from typing import Any
from uuid import UUID

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
    visit_id: UUID | None = None,
    regency_code: str | None = None,
    pointer: str = "",
) -> RegistryChange:
    """A change as draft. `regency_code` is the city it must be in, where no complaint says so.

    Raises what `drafts.target_of` and `drafts.check` raise.
    """
    city = complaint.regency_code if complaint else regency_code
    target = await drafts.target_of(session, wanted, city, pointer)
    await drafts.check(session, wanted, target, at, pointer)
    columns: dict[str, Any] = region_columns(target.village_code)
    change = RegistryChange(
        id=new_id(), kind=wanted.kind, origin=origin,
        complaint_id=complaint.id if complaint else None, visit_id=visit_id,
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
    sent = wanted.model_dump(mode="json")
    people = [sent["person"]] if sent["person"] else (sent["household"] or {}).pop("people", [])
    before = await values_of(session, target.household, target.member, wanted.fields)
    content = ChangeContent(
        fields=sent["fields"], before=before, household=sent["household"], people=people,
        evidence=sent["evidence"], note=sent["note"],
    )  # fmt: skip
    row = target.row
    change.base_version = wanted.base_version or (row.version if row else None)
    change.refused_fields = []
    RegistryChanges(session).seal(change, content)
