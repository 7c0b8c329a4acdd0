"""Households and their people: the registry, present and past."""

from app.domain.households.queries import Households
from app.domain.households.rows import (
    CARD_PLACE,
    Family,
    Household,
    Member,
    MemberRelation,
    Participation,
    Presence,
    RegistryEntry,
    RegistryId,
    RegistryVersion,
    Sex,
    WelfareRank,
    touch,
)

__all__ = [
    "CARD_PLACE",
    "Family",
    "Household",
    "Households",
    "Member",
    "MemberRelation",
    "Participation",
    "Presence",
    "RegistryEntry",
    "RegistryId",
    "RegistryVersion",
    "Sex",
    "WelfareRank",
    "touch",
]
