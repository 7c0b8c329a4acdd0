"""Making a batch, its files, and saying that it was uploaded."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import SECRETARIAT, Actor, Role
from app.domain.base import JAKARTA, new_id, region_of
from app.domain.complaints import Complaint, Complaints
from app.domain.dispatches import Dispatch, Dispatches, DispatchRow, DispatchState
from app.domain.errors import Conflict, Fault, Forbidden, Invalid, PreconditionFailed
from app.domain.registry_changes import ChangeState, RegistryChange, RegistryChanges
from app.workflow.complaints import centre
from app.workflow.complaints.commands import Command
from app.workflow.dispatches import files
from app.workflow.dispatches.contents import contents_of
from app.workflow.dispatches.files import FileFormat
from app.workflow.history import log
from app.workflow.referrals import waiting
from app.workflow.registry_changes import items
from app.workflow.registry_changes.table import MACHINE, ChangeAction, ChangeCase

A, S = ChangeAction, ChangeState
DISPATCHERS = (*SECRETARIAT, Role.PROGRAM_MANAGER)
CHANGES_AT_MOST = 5_000
MADE, UPLOADED = "dispatch.made", "dispatch.uploaded"
FILE_READ = "dispatch.file_read"


def check_dispatcher(actor: Actor, regency_code: str) -> Role:
    """As what the actor makes batches of a city. Raises Forbidden for everybody else."""
    role = next((role for role in DISPATCHERS if actor.holds(regency_code, role)), None)
    if role is None:
        raise Forbidden("role_not_allowed")
    return role


async def make(
    session: AsyncSession,
    actor: Actor,
    regency_code: str,
    change_ids: Sequence[UUID] | None,
    at: datetime,
) -> Dispatch:
    """A batch of the city's approved changes: of those named, or of all that no batch holds.

    Raises Invalid for named ones that are not of the city or not approved, and Conflict
    `nothing_to_dispatch`.
    """
    role = check_dispatcher(actor, regency_code)
    if change_ids is None:
        changes = await RegistryChanges(session).lock_approved(regency_code, CHANGES_AT_MOST)
    else:
        changes = await _named(session, regency_code, change_ids)
    if not changes:
        raise Conflict("nothing_to_dispatch")
    at = max(at, *(one.stage_entered_at for one in changes))
    dispatch = await _batch(session, actor, regency_code, changes, at)
    for change in changes:
        MACHINE.check(ChangeCase(change), A.DISPATCH, actor, Command(A.DISPATCH))
        change.dispatched_at = at
        items.step(
            session, change, A.DISPATCH, S.DISPATCHED, actor, at,
            role=role, dispatch_id=str(dispatch.id),
        )  # fmt: skip
    log(session, MADE, dispatch, actor, at, role=role, rows=len(changes))
    await session.flush()
    return dispatch


async def _named(
    session: AsyncSession, regency_code: str, ids: Sequence[UUID]
) -> list[RegistryChange]:
    changes = await RegistryChanges(session).lock_all(ids)
    known = {one.id: one for one in changes if one.regency_code == regency_code}
    faults = []
    for n, id in enumerate(ids):
        if id not in known:
            faults.append(Fault("unknown_reference", f"/change_ids/{n}"))
        elif known[id].state is not S.MANAGER_APPROVED:
            faults.append(Fault("not_dispatchable", f"/change_ids/{n}"))
        elif id in ids[:n]:
            faults.append(Fault("named_twice", f"/change_ids/{n}"))
    if faults:
        codes = {one.code for one in faults}
        code = codes.pop() if len(codes) == 1 else "not_dispatchable"
        raise Invalid("validation_failed" if code == "named_twice" else code, tuple(faults))
    return changes


async def _batch(
    session: AsyncSession,
    actor: Actor,
    regency_code: str,
    changes: Sequence[RegistryChange],
    at: datetime,
) -> Dispatch:
    """The batch with its sealed rows and the checksums of its files."""
    dispatches = Dispatches(session)
    city, year = regency_code.replace(".", ""), at.astimezone(JAKARTA).year
    dispatch = Dispatch(
        id=new_id(), number=f"{city}-D-{year}-{await dispatches.next_number():04d}",
        regency_code=regency_code, row_count=len(changes), csv_sha256="", json_sha256="",
        made_by=actor.id, made_at=at,
    )  # fmt: skip
    contents = await contents_of(session, changes)
    rows = []
    for number, (change, content) in enumerate(zip(changes, contents, strict=True), 1):
        row = DispatchRow(
            dispatch_id=dispatch.id, number=number, registry_change_id=change.id, content=b"",
            **region_of(change),
        )  # fmt: skip
        dispatches.seal(row, content)
        rows.append(row)
    dispatch.csv_sha256 = files.sha256(files.render(FileFormat.CSV, dispatch, contents))
    dispatch.json_sha256 = files.sha256(files.render(FileFormat.JSON, dispatch, contents))
    dispatches.add(dispatch, rows)
    return dispatch


async def file_of(
    session: AsyncSession, actor: Actor, dispatch: Dispatch, format: FileFormat, at: datetime
) -> bytes:
    """A file with the full numbers, and the record of who read it."""
    role = check_dispatcher(actor, dispatch.regency_code)
    dispatches = Dispatches(session)
    contents = [dispatches.content(row) for row in await dispatches.rows(dispatch.id)]
    log(session, FILE_READ, dispatch, actor, at, role=role, format=format)
    return files.render(format, dispatch, contents)


async def mark_uploaded(
    session: AsyncSession, actor: Actor, id: UUID, at: datetime, version: int | None = None
) -> Dispatch:
    """The file has been given to the centre. Raises Conflict where that was said before."""
    dispatch = await Dispatches(session).lock(id)
    check_dispatcher(actor, dispatch.regency_code)
    if version is not None and version != dispatch.version:
        raise PreconditionFailed("stale_version")
    if dispatch.state is not DispatchState.MADE:
        raise Conflict("action_not_allowed")
    rows = await Dispatches(session).rows(id)
    complaints = await complaints_of(session, rows)
    dispatch.version += 1
    upload(session, dispatch, complaints, actor, max(at, dispatch.made_at))
    await session.flush()
    return dispatch


def upload(
    session: AsyncSession,
    dispatch: Dispatch,
    complaints: Sequence[Complaint],
    actor: Actor,
    at: datetime,
) -> None:
    """A locked batch is at the centre now, and so is the data of its complaints, locked too."""
    dispatch.state = DispatchState.UPLOADED
    dispatch.uploaded_at, dispatch.uploaded_by = at, actor.id
    role = check_dispatcher(actor, dispatch.regency_code)
    log(session, UPLOADED, dispatch, actor, at, role=role)
    centre.arrived(session, complaints, actor, at, dispatch_id=str(dispatch.id))


async def complaints_of(session: AsyncSession, rows: Sequence[DispatchRow]) -> list[Complaint]:
    """The complaints that the changes of some rows came with, locked before them, and those with
    referrals that wait for one."""
    changes = await RegistryChanges(session).by_ids([row.registry_change_id for row in rows])
    ids = {one.complaint_id for one in changes.values() if one.complaint_id}
    ids |= set(await waiting.holders(session, list(changes)))
    return await Complaints(session).lock_all(sorted(ids))
