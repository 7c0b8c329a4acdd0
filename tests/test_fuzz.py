"""Whatever the contract allows, and much that it does not, gets an answer that is no 5xx."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error

from tests.conftest import World

CONTRACT = json.loads((Path(__file__).parents[1] / "openapi" / "slrt.v1.json").read_text())
# The clock and the sweeps of the demo would only make the others slow.
SKIPPED = ("/v1/demo/", "/v1/auth/sessions")
QUICK = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


def fuzz(world: World, who: str, times: int) -> Counter[int]:
    """Make every call of the contract some times as somebody; count the statuses answered."""
    seen: Counter[int] = Counter()
    bearer = {"Authorization": f"Bearer {world.token(who)}"}
    for found in schemathesis.openapi.from_dict(CONTRACT).get_all_operations():
        operation = found.ok()
        if operation.path.startswith(SKIPPED):
            continue

        @settings(QUICK, max_examples=times)
        @given(case=operation.as_strategy())
        def call(case: Any) -> None:
            # Whoever asks the feed to wait is kept waiting, which proves nothing here.
            if case.query and str(case.query.get("wait")).isdigit():
                case.query["wait"] = min(1, int(case.query["wait"]))
            answer = case.call(base_url=world.base_url, headers=bearer)
            case.validate_response(answer, checks=(not_a_server_error,))
            seen[answer.status_code] += 1

        call()
    return seen


@pytest.mark.parametrize("who", ["admin", "front.1"])
def test_no_call_of_the_contract_is_answered_by_a_5xx(world: World, who: str) -> None:
    assert fuzz(world, who, 2).total() > 100


@pytest.mark.deep
@pytest.mark.parametrize("who", ["front.1", "manager", "facilitator.wates.1", "agency-pkh"])
def test_many_calls_of_the_contract_are_answered_without_a_5xx(world: World, who: str) -> None:
    assert fuzz(world, who, 60).total() > 1000
