"""Tablets: whose they are, what has come from each of them, and what they still hold."""

from app.domain.devices.promises import NOTHING, SHOWN, DevicePromises, Outstanding
from app.domain.devices.queries import DeviceFilter, Devices
from app.domain.devices.rows import (
    GAP_AT_MOST,
    SEQUENCE_AT_MOST,
    Arrival,
    Device,
    DeviceHolder,
    DeviceManifest,
    DevicePromise,
    DeviceState,
    DeviceWrite,
    Flag,
    WriteKind,
)
from app.domain.devices.sight import KEEPERS, keeps, visible_to
from app.domain.devices.uploads import DeviceWrites

__all__ = [
    "GAP_AT_MOST", "KEEPERS", "NOTHING", "SEQUENCE_AT_MOST", "SHOWN", "Arrival", "Device",
    "DeviceFilter", "DeviceHolder", "DeviceManifest", "DevicePromise", "DevicePromises",
    "DeviceState", "DeviceWrite", "DeviceWrites", "Devices", "Flag", "Outstanding", "WriteKind",
    "keeps", "visible_to",
]  # fmt: skip
