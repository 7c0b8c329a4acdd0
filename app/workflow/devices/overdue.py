"""Uploads that do not come, and tablets that fall silent: facilitator and supervisor are told."""

from datetime import datetime, time, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.base import JAKARTA
from app.domain.devices import Device, DevicePromises, Devices
from app.domain.notifications import Step, SubjectKind
from app.workflow.devices.people import supervisors_of
from app.workflow.telling import tell_once

MISSING, SILENT = "device.uploads_missing", "device.fell_silent"
NOT_SENT_FOR = timedelta(hours=4)
OPENS, CLOSES = time(7), time(20)
MANIFESTS_KEPT_FOR = timedelta(days=30)


def daytime_before(at: datetime, time_: timedelta = NOT_SENT_FOR) -> datetime:
    """The moment since which so much time between 07:00 and 20:00 has passed."""
    day, end = at.astimezone(JAKARTA).date(), at
    while True:
        opens, closes = (datetime.combine(day, one, JAKARTA) for one in (OPENS, CLOSES))
        end = min(end, closes)
        if end - opens >= time_:
            return end - time_
        time_ -= max(end - opens, timedelta(0))
        day -= timedelta(days=1)


async def tell(session: AsyncSession, device: Device, at: datetime) -> None:
    """Of a locked tablet: the numbers that are late, and its silence, each told once."""
    people = [device.facilitator_id, *await supervisors_of(session, device)]
    since = daytime_before(at)
    if late := await DevicePromises(session).mark_told(device.id, since, at):
        await tell_once(
            session, SubjectKind.DEVICE, device, f"numbers {late[0]}-{late[-1]}",
            Step.MISSING_UPLOADS, people, MISSING, at, since,
            numbers=len(late), first=late[0], last=late[-1],
        )  # fmt: skip
    if device.silence_told_at is None and await Devices(session).silent([device.id], at):
        heard = max(device.held_since, device.last_seen_at or device.held_since)
        device.silence_told_at = at
        await tell_once(
            session, SubjectKind.DEVICE, device, f"silent since {heard.isoformat()}",
            Step.DEVICE_SILENT, people, SILENT, at, at, since=heard.isoformat(),
        )  # fmt: skip
