"""Households of the registry: numbers sealed in their place; those without any are served, too."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from app.domain.base import new_id, region_columns
from app.domain.households import Household, Households, Member, MemberRelation
from app.keys import throwaway
from tests.flows import NATIONAL_ID, WATES

NOW = datetime(2026, 11, 24, tzinfo=UTC)
REGION: dict[str, Any] = region_columns(WATES)


def family() -> tuple[Households, Household, Member]:
    session: Any = SimpleNamespace(info={"keys": throwaway().data})
    household = Household(
        id=new_id(), registry_source="test", registry_id="1", created_at=NOW, updated_at=NOW,
        **REGION,
    )  # fmt: skip
    member = Member(
        id=new_id(), household_id=household.id, name="Sumarmi", relation=MemberRelation.HEAD,
        created_at=NOW, updated_at=NOW, **REGION,
    )  # fmt: skip
    return Households(session), household, member


def test_numbers_are_sealed_and_opened_in_their_own_row_only() -> None:
    households, household, member = family()
    card = households.family(household, NATIONAL_ID)
    households.seal_national_id(member, NATIONAL_ID)
    assert households.family_card_number(card) == NATIONAL_ID
    assert households.national_id(member) == NATIONAL_ID
    assert NATIONAL_ID.encode() not in (member.national_id or b"")
    member.id = card.id = new_id()
    with pytest.raises(InvalidTag):
        households.national_id(member)
    with pytest.raises(InvalidTag):
        households.family_card_number(card)


def test_a_person_without_a_number_has_none() -> None:
    households, _, member = family()
    households.seal_national_id(member, None)
    assert households.national_id(member) is None
    assert member.national_id_index is None
