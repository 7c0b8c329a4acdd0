"""What is written twice is equal: contract and app, docs and tables, enums and CHECKs."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from app import documents
from app.cli import contract_text
from app.database import create_engine
from app.documents import STEPS
from app.domain.notifications import Step
from app.domain.tables import metadata
from app.migrations import current, drift, head, migrate
from app.problems.catalogue import CATALOGUE, FAULTS
from app.settings import Settings
from app.workflow.complaints.commands import ComplaintAction
from app.workflow.complaints.effects import EFFECTS
from app.workflow.complaints.table import EVENT_TYPES as COMPLAINT_EVENTS
from app.workflow.event_types import EVENT_TYPES
from app.workflow.referrals.table import EVENT_TYPES as REFERRAL_EVENTS
from app.workflow.referrals.table import ReferralAction
from app.workflow.registry_changes.table import EVENT_TYPES as CHANGE_EVENTS
from app.workflow.registry_changes.table import ChangeAction
from app.workflow.sweeps import SWEEPS
from app.workflow.visits.table import EVENT_TYPES as VISIT_EVENTS
from app.workflow.visits.table import VisitAction
from tests.conftest import Cluster

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
CONTRACT = json.loads((ROOT / "openapi" / "slrt.v1.json").read_text())


def test_the_contract_is_the_one_the_app_has() -> None:
    assert (ROOT / "openapi" / "slrt.v1.json").read_text() == contract_text(), "make contract"


def test_the_contract_is_valid_openapi() -> None:
    assert CONTRACT["openapi"].startswith("3.1")
    validate(CONTRACT)


def _schemas(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if isinstance(node.get("type"), str):
            yield path, node
        for name, child in node.items():
            yield from _schemas(child, f"{path}/{name}")
    elif isinstance(node, list):
        for n, child in enumerate(node):
            yield from _schemas(child, f"{path}/{n}")


def _is_bounded(schema: dict[str, Any]) -> bool:
    kind = schema["type"]
    if "enum" in schema or "const" in schema:
        return True
    if kind == "string":
        return "maxLength" in schema or schema.get("format") in ("uuid", "date", "date-time")
    if kind == "array":
        return "maxItems" in schema
    if kind in ("integer", "number"):
        low = {"minimum", "exclusiveMinimum"} & schema.keys()
        return bool(low and {"maximum", "exclusiveMaximum"} & schema.keys())
    return True


def test_everything_in_the_contract_is_bounded() -> None:
    assert [path for path, schema in _schemas(CONTRACT) if not _is_bounded(schema)] == []


def test_every_call_names_its_problems() -> None:
    for path, operations in CONTRACT["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            assert "500" in answers, (method, path)
            problems = [a for status, a in answers.items() if status >= "400"]
            assert all("application/problem+json" in a["content"] for a in problems)


@pytest.mark.parametrize("page", ["workflows", "reference", "eligibility-example"])
def test_the_generated_pages_are_those_of_the_code(page: str) -> None:
    made = getattr(documents, page.replace("-", "_"))()
    assert (ROOT / "docs" / f"{page}.md").read_text() == made, "make contract"


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`SLRT_{name.upper()}`" in REFERENCE


def test_every_problem_sweep_and_step_is_described() -> None:
    for name in [*CATALOGUE, *SWEEPS, *STEPS]:
        assert f"`{name}`" in REFERENCE
    assert set(STEPS) == set(Step)


def _sources() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))


def test_every_problem_that_is_raised_is_in_the_catalogue() -> None:
    kinds = "Unauthenticated|BadRequest|Forbidden|Conflict|Invalid|PreconditionRequired"
    kinds += "|PreconditionFailed|Gone|TooLarge|UnsupportedMediaType|RequestTimeout|TooManyRequests"
    raised = set(re.findall(rf'(?:{kinds})\(\s*"(\w+)"', _sources()))
    raised |= set(re.findall(r'@guard\(\w+, "(\w+)"\)', _sources()))
    assert raised <= set(CATALOGUE)
    faults = set(re.findall(r'Fault\(\s*"(\w+)"', _sources()))
    assert faults <= set(CATALOGUE) | set(FAULTS)


def test_every_problem_speaks_both_languages() -> None:
    for kind in CATALOGUE.values():
        assert kind.title("id") != kind.title("en")
        assert kind.advice("id")
        assert kind.advice("en")


def test_every_event_type_is_described() -> None:
    written = set(
        re.findall(
            r'"((?:complaint|referral|survey|account|registry_change|household|member|visit|dispatch|operation|export|webhook_endpoint|quota|other_need|device|ticket_book)\.[a-z_]+)"',
            _sources(),
        )
    )
    assert written == EVENT_TYPES
    assert set(COMPLAINT_EVENTS) == set(ComplaintAction)
    assert set(REFERRAL_EVENTS) == set(ReferralAction)
    assert set(VISIT_EVENTS) == set(VisitAction)
    assert set(CHANGE_EVENTS) == set(ChangeAction)


def test_every_action_has_an_effect() -> None:
    assert set(EFFECTS) == set(ComplaintAction) - {ComplaintAction.SUBMIT}


def test_migrations_go_up_down_and_up_again_and_end_at_the_tables(cluster: Cluster) -> None:
    name = "drift_check"

    async def up_and_down() -> None:
        engine = create_engine(cluster.url(name))
        try:
            await migrate(engine)
            assert await current(engine) == head()
            assert await drift(engine) == []
            await migrate(engine, "base")
            assert await current(engine) is None
            await migrate(engine)
            assert await drift(engine) == []
        finally:
            await engine.dispose()

    cluster.execute("postgres", f"create database {name}")
    try:
        asyncio.run(up_and_down())
    finally:
        cluster.execute("postgres", f"drop database {name} with (force)")


def test_every_enum_is_the_check_of_its_column(cluster: Cluster) -> None:
    async def checks() -> dict[tuple[str, str], str]:
        engine = create_engine(cluster.url("slrt_template"))
        try:
            async with engine.connect() as connection:
                rows = await connection.exec_driver_sql(
                    "select c.conrelid::regclass::text, a.attname, pg_get_constraintdef(c.oid)"
                    " from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid"
                    " and a.attnum = any(c.conkey) where c.contype = 'c'"
                )
                return {(table, column): text for table, column, text in rows}
        finally:
            await engine.dispose()

    found = asyncio.run(checks())
    seen = 0
    for table in metadata.tables.values():
        for column in table.columns:
            if values := getattr(column.type, "enums", None):
                text = found[table.name, column.name]
                assert set(re.findall(r"'([^']+)'", text)) == set(values), (table.name, column.name)
                seen += 1
    assert seen > 20


def test_the_repository_names_no_registry_and_no_neighbour() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    words = ["pypi" + ".org", "npm" + "js.org", "npm" + "js.com", "files.python" + "hosted"]
    for name in filter(None, tracked):
        path = ROOT / name
        if path.is_file() and path.suffix not in (".png",):
            content = path.read_text("utf-8", "ignore")
            assert not [word for word in words if word in content], name


def test_the_example_is_what_the_command_runs() -> None:
    assert (ROOT / "examples" / "pull_referrals.py").read_text() == (
        ROOT / "app" / "pulling.py"
    ).read_text(), "cp app/pulling.py examples/pull_referrals.py"
