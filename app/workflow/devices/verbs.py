"""The verbs of a tablet: registered, handed on, blocked, retired."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.actors import Actor, Role
from app.domain.base import move_to, new_id
from app.domain.complaints import Complaint
from app.domain.complaints import visible_to as complaints_visible_to
from app.domain.devices import KEEPERS, Device, Devices, DeviceState, keeps
from app.domain.errors import Conflict, Fault, Forbidden, Invalid, PreconditionFailed
from app.domain.notifications import Notifications, Step, SubjectKind
from app.domain.principals import Principals
from app.domain.visits import Visit
from app.domain.visits import visible_to as visits_visible_to
from app.workflow.complaints.commands import ActionData, Command, Facilitator, NoData
from app.workflow.devices.people import supervisors_of
from app.workflow.history import log

REGISTERED, HANDED_ON = "device.registered", "device.handed_on"
BLOCKED, RETIRED = "device.blocked", "device.retired"
VISITS_SHOWN = 200


class DeviceAction(StrEnum):
    HAND_ON = "hand_on"
    BLOCK = "block"
    RETIRE = "retire"


A, S = DeviceAction, DeviceState
DATA: dict[DeviceAction, type[ActionData]] = {
    A.HAND_ON: Facilitator,
    A.BLOCK: NoData,
    A.RETIRE: NoData,
}
# From which states each action is taken. A tablet that is found again is handed on.
FROM = {
    A.HAND_ON: (S.ACTIVE, S.BLOCKED),
    A.BLOCK: (S.ACTIVE,),
    A.RETIRE: (S.ACTIVE, S.BLOCKED),
}
LEAVES = {A.HAND_ON: HANDED_ON, A.BLOCK: BLOCKED, A.RETIRE: RETIRED}


@dataclass(frozen=True, slots=True)
class ToRepeat:
    """What the facilitator of a retired tablet was to visit and has no survey of."""

    complaints: Sequence[Complaint] = ()
    visits: Sequence[Visit] = ()


def check_keeper(actor: Actor) -> None:
    """Raises Forbidden for those who never keep tablets."""
    if not actor.granted(Role.ADMIN, *KEEPERS):
        raise Forbidden("role_not_allowed")


def may_act(actor: Actor, device: Device) -> list[DeviceAction]:
    """What the actor may do with a tablet now."""
    if not keeps(actor, device.regency_code):
        return []
    return [action for action, states in FROM.items() if device.state in states]


async def register(
    session: AsyncSession, actor: Actor, name: str, facilitator_id: UUID, at: datetime
) -> Device:
    """A new tablet of a facilitator. Raises Invalid for one whom the actor does not look after."""
    region: dict[str, Any] = await _region_of(session, actor, facilitator_id, "/facilitator_id")
    device = Device(
        id=new_id(), name=name, facilitator_id=facilitator_id, held_since=at,
        registered_by=actor.id, registered_at=at, **region,
    )  # fmt: skip
    Devices(session).add(device)
    await Devices(session).add_holder(device)
    log(
        session, REGISTERED, device, actor, at,
        role=_role(actor), facilitator_id=str(facilitator_id),
    )  # fmt: skip
    return device


async def act(
    session: AsyncSession, actor: Actor, id: UUID, command: Command, version: int, at: datetime
) -> Device:
    """Take one action. Raises PreconditionFailed, Conflict `action_not_allowed`, Invalid."""
    device = await Devices(session).lock(id)
    if version != device.version:
        raise PreconditionFailed("stale_version")
    if command.action not in may_act(actor, device):
        raise Conflict("action_not_allowed")
    if command.action is A.BLOCK and not command.note:
        raise Invalid("note_required", (Fault("note_required", "/note"),))
    if command.faults:
        raise Invalid("missing", command.faults)
    data = {}
    if command.action is A.HAND_ON:
        data = await _hand_on(session, actor, device, command.data.facilitator_id, at)
    elif command.action is A.BLOCK:
        device.state = S.BLOCKED
    else:
        device.state, device.retired_at = S.RETIRED, at
        await _tell_retired(session, device, at)
    device.version += 1
    log(
        session, LEAVES[command.action], device, actor, at,
        note=command.note, reason=command.reason, role=_role(actor),
        **{"action": command.action} | data,
    )  # fmt: skip
    return device


async def _hand_on(
    session: AsyncSession, actor: Actor, device: Device, chosen: UUID, at: datetime
) -> dict[str, str]:
    """Give it to another facilitator, or back to the same one where it was blocked."""
    pointer = "/data/facilitator_id"
    if chosen == device.facilitator_id and device.state is S.ACTIVE:
        raise Invalid("same_facilitator", (Fault("same_facilitator", pointer),))
    region = await _region_of(session, actor, chosen, pointer)
    before = device.facilitator_id
    device.facilitator_id, device.held_since, device.state = chosen, at, S.ACTIVE
    device.silence_told_at = None
    move_to(device, region)
    await Devices(session).add_holder(device)
    Notifications(session).tell([chosen], SubjectKind.DEVICE, device, Step.ASSIGNED, at)
    return {"from_facilitator": str(before), "facilitator_id": str(chosen)}


async def _tell_retired(session: AsyncSession, device: Device, at: datetime) -> None:
    people = [device.facilitator_id, *await supervisors_of(session, device)]
    Notifications(session).tell(people, SubjectKind.DEVICE, device, Step.DEVICE_RETIRED, at)


async def to_repeat(session: AsyncSession, actor: Actor, device: Device, at: datetime) -> ToRepeat:
    """Of a retired tablet: the visits to repeat, as far as the actor sees their cases."""
    if device.retired_at is None:
        return ToRepeat()
    complaints, visits = await Devices(session).to_repeat(
        device.facilitator_id, device.retired_at, complaints_visible_to(actor, at),
        visits_visible_to(actor, at), VISITS_SHOWN,
    )  # fmt: skip
    return ToRepeat(complaints, visits)


async def _region_of(
    session: AsyncSession, actor: Actor, facilitator_id: UUID, pointer: str
) -> dict[str, str]:
    """Where an active facilitator works: the region that all of theirs lie in."""
    found = await Principals(session).actor(facilitator_id)
    codes = found[0].regions(Role.FACILITATOR) if found else ()
    parts = [code.split(".") for code in codes]
    shared = parts[0] if parts else []
    for other in parts[1:]:
        same = [a == b for a, b in zip(shared, other, strict=False)]
        shared = shared[: same.index(False) if False in same else len(same)]
    regency = ".".join(shared[:2])
    if len(shared) < 2 or not keeps(actor, regency):
        raise Invalid("unknown_facilitator", (Fault("unknown_facilitator", pointer),))
    names = ("province_code", "regency_code", "district_code", "village_code")
    return {
        name: ".".join(shared[: n + 1]) if n < len(shared) else "" for n, name in enumerate(names)
    }


def _role(actor: Actor) -> Role:
    return next(role for role in (*KEEPERS, Role.ADMIN) if actor.granted(role))
