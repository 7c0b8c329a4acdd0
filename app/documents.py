"""The generated pages of docs/: the workflows from their tables, and the reference lists."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from app.demo.accounts import WATES
from app.domain.criteria import CriterionReading, Home, Met, Rule, read
from app.domain.facts import Known
from app.domain.identifiers import Keys
from app.domain.notifications import Step
from app.domain.program_criteria import shipped
from app.domain.programs import program_rows
from app.domain.survey_forms import CURRENT, FORMS
from app.domain.surveys import SurveyContent
from app.problems.catalogue import CATALOGUE
from app.settings import Settings
from app.workflow.complaints.table import EVENT_TYPES as COMPLAINT_EVENTS
from app.workflow.complaints.table import MACHINE as COMPLAINT
from app.workflow.eligibility import surveyed
from app.workflow.event_types import ACTIONS, OTHER_EVENTS
from app.workflow.machine import Machine, names
from app.workflow.referrals.table import EVENT_TYPES as REFERRAL_EVENTS
from app.workflow.referrals.table import MACHINE as REFERRAL
from app.workflow.registry_changes.table import EVENT_TYPES as REGISTRY_CHANGE_EVENTS
from app.workflow.registry_changes.table import MACHINE as REGISTRY_CHANGE
from app.workflow.sweeps import SWEEPS
from app.workflow.visits.table import EVENT_TYPES as VISIT_EVENTS
from app.workflow.visits.table import MACHINE as VISIT

VISITED = datetime(2026, 11, 24, 3, tzinfo=UTC)
MADE = "<!-- Made by `make contract` from the code; a test holds both equal. -->\n"
STEPS = {
    Step.REMINDER: "75 % of the stage's time is gone; a visit is due.",
    Step.LEVEL_1: "The stage's time is over; more people may act. A visit is a day late.",
    Step.LEVEL_2: "One and a half times the stage's time is over; still more may act.",
    Step.BREACH: "The promise was broken.",
    Step.ASSIGNED: "A complaint or visit was given to you.",
    Step.RETURNED: "A survey came back to be corrected.",
    Step.RETURNED_TWICE: "A survey came back for the second time.",
    Step.DAY_7: "Documents have been missing for 7 days.",
    Step.DAY_21: "Documents have been missing for 21 days.",
    Step.DAY_30: "Documents have been missing for 30 days; nobody has tried to reach the citizen.",
    Step.OWNER_ASKED: "A referral is past its date.",
    Step.UNANSWERED: "A referral has had no answer for 120 days.",
    Step.INFO_REQUESTED: "A programme's owner asks something.",
    Step.ANSWERED: "There is an answer to tell.",
    Step.DEATH_REPORTED: "A beneficiary is reported dead: pay nothing more before it is decided.",
    Step.DEATH_REVOKED: "A beneficiary reported dead lives.",
    Step.HEIRS: "The heirs of somebody who died need civil documents.",
    Step.UNDISPATCHED: "Approved registry changes are in no uploaded batch.",
    Step.NEED_MAPPED: "A need of a survey was mapped after its complaint was decided.",
    Step.UNACKNOWLEDGED: "The centre has not answered a batch for 30 days.",
    Step.SELF_ASSIGNED: "A facilitator took a complaint that they filed at the door.",
    Step.MISSING_UPLOADS: "A tablet has not sent what it promised; a reserved ticket is asked for.",
    Step.DEVICE_SILENT: "A tablet with open work has not been heard of for two days.",
    Step.DEVICE_RETIRED: "A tablet was retired; visits without a survey are to be repeated.",
    Step.ENDPOINT_DISABLED: "A webhook endpoint was disabled: it is gone, or failed for five days.",
}


def write(folder: Path) -> list[Path]:
    """Write all pages; returns their paths."""
    pages = {
        "workflows.md": workflows(),
        "reference.md": reference(),
        "eligibility-example.md": eligibility_example(),
    }
    for name, text in pages.items():
        (folder / name).write_text(text)
    return [folder / name for name in pages]


def workflows() -> str:
    """States, clocks, transitions and a diagram of each workflow."""
    parts = [
        "# Workflows\n",
        MADE,
        "Who may do what from where, as the tables in `app/workflow` have it."
        " The same is at `GET /v1/workflows/{complaint|referral|visit}`."
        " Whoever a level of a state names may from then on take every action of that state.\n",
    ]
    for title, machine, events in (
        ("Complaint", COMPLAINT, COMPLAINT_EVENTS),
        ("Referral", REFERRAL, REFERRAL_EVENTS),
        ("Registry change", REGISTRY_CHANGE, REGISTRY_CHANGE_EVENTS),
        ("Visit", VISIT, VISIT_EVENTS),
    ):
        parts += [f"## {title}\n", f"```mermaid\n{machine.mermaid()}\n```\n"]
        parts += ["### States\n", _states(machine), "### Transitions\n"]
        parts.append(_transitions(machine, events))
    return "\n".join(parts)


def _states(machine: Machine[Any, Any]) -> str:
    rows = []
    for state, rungs in machine.ladder.items():
        levels = [
            " or ".join(
                part
                for part in (
                    f"the system: {rung.system}" if rung.system else "",
                    rung.party.name if rung.party else "",
                )
                if part
            )
            for rung in (rungs.level_1, rungs.level_2)
        ]
        rows.append(
            (f"`{state}`", rungs.waits_for, rungs.budget or "", rungs.emergency or "", *levels)
        )
    return _table(("state", "waits for", "time", "emergency", "level 1", "level 2"), rows)


def _transitions(machine: Machine[Any, Any], events: dict[Any, str]) -> str:
    rows = [
        (
            f"`{row.action}`",
            ", ".join(row.sources),
            ", ".join("(same)" if target is None else target for target in row.targets),
            "; ".join(names(row.by)),
            " ".join(guard.text for guard in row.guards),
            ", ".join((["note"] if row.note else []) + (["reason"] if row.reasons else [])),
            f"`{events[row.action]}`",
        )
        for row in machine.transitions
    ]
    return _table(("action", "from", "to", "by", "only if", "needs", "event"), rows)


def reference() -> str:
    """Settings, problem codes, event types, notification steps and sweeps."""
    settings = [
        (f"`SLRT_{name.upper()}`", field.description or "", _default(name, field.default))
        for name, field in Settings.model_fields.items()
    ]
    problems = [
        (f"`{kind.code}`", kind.status, kind.title_en + ".", kind.advice_en)
        for kind in sorted(CATALOGUE.values(), key=lambda kind: (kind.status, kind.code))
    ]
    taken = [
        (f"`{type_}`", f"The action `{action}` was taken; `from` and `to` are states.")
        for type_, action in ACTIONS.items()
    ]
    events = taken + [(f"`{type_}`", text) for type_, text in OTHER_EVENTS.items()]
    sweeps = [(f"`{one.name}`", one.every, one.finds) for one in SWEEPS.values()]
    return "\n".join(
        [
            "# Reference\n",
            MADE,
            "## Settings\n",
            "From the environment, or from a file `.env` in the working directory.\n",
            _table(("setting", "what", "default"), settings),
            "## Problem codes\n",
            "Every answer that is no success is a problem document (RFC 9457) with one of these.\n",
            _table(("code", "status", "what", "what to do"), problems),
            "## Event types\n",
            "What stands in histories. Events are thin: ids and what changed, no personal data.\n",
            _table(("type", "what"), events),
            "## Notification steps\n",
            _table(("step", "why"), [(f"`{step}`", text) for step, text in STEPS.items()]),
            "## Sweeps\n",
            _table(("sweep", "every", "finds"), sweeps),
        ]
    )


SIGNS = {Met.MET: "yes", Met.NOT_MET: "no", Met.UNKNOWN: "?"}


def eligibility_example() -> str:
    """A family, screened for every programme by the criteria that ship."""
    ranked = Known("decile", 2, "DTSEN", date(2026, 7, 1))
    registry = Home(id=None, village_code=WATES, registered=True, decile=ranked, source="DTSEN")
    content = SurveyContent(
        CURRENT, VISITED.isoformat(), answers=FORMS[CURRENT].sample()["answers"]
    )
    # Nobody of the family has a number in the registry yet: no key is needed to compare them.
    home = surveyed.laid_over(registry, [], content, Keys({}, "", bytes(32), b"", b""))
    rows = []
    for program in program_rows():
        rule = Rule.model_validate({"criteria": shipped()[program["code"]]})
        single = program["unit"] == "individual"
        for person in home.people if single else [None]:
            reading = read(rule, home, person, VISITED.date())
            reasons = [
                f"**{SIGNS[found.verdict]}** {said.text_en} {_why(found)}".strip()
                for said, found in zip(rule.criteria, reading.criteria, strict=True)
            ]
            whom = person.name if person else "the home"
            rows.append((f"`{program['code']}`", whom, reading.verdict, "<br>".join(reasons)))
    return "\n".join(
        [
            "# One family, screened for every programme\n",
            MADE,
            "Bu Siti, her husband Slamet and their daughter Dewi live in Wates. The registry has"
            " the home in decile 2; the rest is from the example of the home-visit survey, of"
            f" {VISITED.date()}. Each criterion stands with its verdict (yes, no, ? for not known)"
            " and with what decided it. `GET /v1/screenings/{id}` gives the same for any home.\n",
            _table(("programme", "for", "verdict", "why"), rows),
        ]
    )


def _why(found: CriterionReading) -> str:
    """What decided a criterion, in a few words."""
    said = []
    for seen in found.seen:
        whose = f"{seen.name.split()[0]}: " if seen.name else ""
        unknown = f"ask {seen.question.id}" if seen.question else "not known"
        value = unknown if seen.verdict is Met.UNKNOWN else _shown(seen.value)
        said.append(f"{whose}{seen.of.replace('_', ' ')} {value}")
    return f"({'; '.join(dict.fromkeys(said))})"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return str(value).replace("_", " ")


def _default(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name.startswith("demo_") and hasattr(value, "get_secret_value"):
        return f"`{value.get_secret_value()}`"
    return f"`{value}`"


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    names_ = list(head)
    lines = [f"| {' | '.join(names_)} |", f"|{' --- |' * len(names_)}"]
    lines += [f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"
