"""State machines as data. Nothing here knows of HTTP, SQL or the clock."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from app.domain.actors import Actor, Role
from app.domain.base import regency_of
from app.domain.errors import Conflict, DomainError, Fault, Forbidden, Invalid

StateT = TypeVar("StateT", bound=StrEnum)
ActionT = TypeVar("ActionT", bound=StrEnum)

Predicate = Callable[[Actor, Any], bool]
NOT_NOW = "action_not_allowed"
# A row whose reason is free text.
ANY_REASON = ("any",)


@dataclass(frozen=True, slots=True)
class Party:
    """Who may act: `could` asks for role and scope alone, `may` for this case now."""

    name: str
    roles: tuple[Role, ...]
    could: Predicate
    may: Predicate


@dataclass(frozen=True, slots=True)
class Guard:
    """A sentence that is true when the step is allowed; its code names the refusal.

    `holds(case, actor, command)`; the command is None when `actions` are listed, and a guard
    that is about the command alone is then true.
    """

    name: str
    code: str
    kind: type[DomainError]
    holds: Callable[[Any, Actor, Any], bool]
    text: str


def guard(kind: type[DomainError], code: str) -> Callable[[Callable[..., bool]], Guard]:
    def made(holds: Callable[[Any, Actor, Any], bool]) -> Guard:
        return Guard(holds.__name__, code, kind, holds, (holds.__doc__ or "").strip())

    return made


@dataclass(frozen=True, slots=True)
class Rung:
    """A level of the ladder: who is told, and may act from then on; or what the system does."""

    party: Party | None = None
    system: str | None = None


# The share of a stage's time, from its beginning, at which each step of its ladder is taken.
SHARES = (0.75, 1.0, 1.5)


def step_moment(began_at: datetime, budget: timedelta | None, step: int) -> datetime | None:
    """When a step of a stage is due (0 reminder, 1 and 2 levels); None: never."""
    if budget is None or step >= len(SHARES):
        return None
    return began_at + budget * SHARES[step]


@dataclass(frozen=True, slots=True)
class Ladder:
    """What a state waits for, how long, and who is told when nobody comes."""

    waits_for: str
    budget: timedelta | None = None
    emergency: timedelta | None = None
    holder: Party | None = None
    level_1: Rung = Rung()
    level_2: Rung = Rung()
    # The actions that move a case on; a state without any is a dead end.
    advancing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transition(Generic[StateT, ActionT]):
    """A row of the table: from, action, to (none = the same state), by whom, only if, needs."""

    sources: tuple[StateT, ...]
    action: ActionT
    targets: tuple[StateT | None, ...]
    by: tuple[Party, ...]
    guards: tuple[Guard, ...] = ()
    note: bool = False
    reasons: tuple[str, ...] = ()
    # Theirs alone: no level of the ladder gives it to others.
    own: bool = False

    def leads_to(self, source: StateT) -> tuple[StateT, ...]:
        return tuple(source if target is None else target for target in self.targets)


@dataclass(frozen=True)
class Machine(Generic[StateT, ActionT]):
    """The table and its readers: the check, the list of actions, the diagram."""

    name: str
    initial: StateT
    final: tuple[StateT, ...]
    ladder: Mapping[StateT, Ladder]
    transitions: tuple[Transition[StateT, ActionT], ...]
    system: Party
    # Who may take every action of a state once the promise is broken, and where it can be.
    on_breach: tuple[Party, ...] = ()
    promised: tuple[StateT, ...] = ()
    rows: dict[tuple[StateT, ActionT], Transition[StateT, ActionT]] = field(
        init=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        """A table with a hole in it does not import."""
        for transition in self.transitions:
            for source in transition.sources:
                key = (source, transition.action)
                assert key not in self.rows, f"two rows for {key}"
                self.rows[key] = transition
        states = set(type(self.initial))
        assert set(self.ladder) == states, "a state without a ladder"
        reached = {self.initial}
        for (source, _), transition in self.rows.items():
            reached |= set(transition.leads_to(source))
        assert reached == states, f"states that nothing leads to: {states - reached}"
        for state, ladder in self.ladder.items():
            assert ladder.advancing or state in self.final, f"{state} is a dead end"
            for action in ladder.advancing:
                assert (state, action) in self.rows, f"no row {action} in {state}"
            for rung in (ladder.level_1, ladder.level_2):
                assert not rung.system or self._system_may(state, rung.system)

    def _system_may(self, state: StateT, action: str) -> bool:
        return any(
            self.system in transition.by
            for (source, name), transition in self.rows.items()
            if (source, name) == (state, action)
        )

    def parties(self, state: StateT, action: ActionT) -> tuple[Party, ...]:
        """Everybody that a row or the ladder of its state ever gives the action to.

        What only the system does, or somebody does for themselves, is nobody's to take over.
        """
        row = self.rows[state, action]
        if row.own or row.by == (self.system,):
            return row.by
        ladder = self.ladder[state]
        named = (ladder.level_1.party, ladder.level_2.party)
        return (*row.by, *(party for party in named if party), *self._above(state))

    def _above(self, state: StateT) -> tuple[Party, ...]:
        return self.on_breach if state in self.promised else ()

    def ever(self, actor: Actor, case: Any, action: ActionT) -> bool:
        """Whether any row or ladder gives the action to any of the actor's roles and scopes."""
        return any(
            party.could(actor, case)
            for (state, name) in self.rows
            if name == action
            for party in self.parties(state, action)
        )

    def standing(self, actor: Actor, case: Any, action: ActionT) -> bool:
        """Whether the actor may take the action in the present state at the present level."""
        return self.party(actor, case, action) is not None

    def party(self, actor: Actor, case: Any, action: ActionT) -> Party | None:
        """As what the actor may take the action now: a party of its row, or of the ladder."""
        row = self.rows.get((case.state, action))
        if row is None:
            return None
        open_ = list(row.by)
        if not row.own and row.by != (self.system,):
            ladder = self.ladder[case.state]
            for level, rung in ((1, ladder.level_1), (2, ladder.level_2)):
                if rung.party is not None and case.stage_level >= level:
                    open_.append(rung.party)
            open_ += self._above(case.state) if case.breached else ()
        return next((party for party in open_ if party.may(actor, case)), None)

    def role(self, actor: Actor, case: Any, action: ActionT) -> Role | None:
        """The role by which the actor may take the action: what the history says."""
        party = self.party(actor, case, action)
        city = regency_of(case.village_code)
        roles = party.roles if party else ()
        return next((role for role in roles if actor.holds_near(city, role)), None)

    def check(
        self, case: Any, action: ActionT, actor: Actor, command: Any
    ) -> Transition[StateT, ActionT]:
        """The row to take, or the reason there is none, in the order of the contract.

        Raises Forbidden `role_not_allowed`, Conflict `action_not_allowed`, Forbidden for four
        eyes and conflicts, Invalid for a missing note, reason or data, Conflict for the rest.
        """
        self.check_role(case, action, actor)
        if not self.standing(actor, case, action):
            raise Conflict(NOT_NOW)
        row = self.rows[case.state, action]
        now, eyes, rest = _in_order(row.guards)
        self._guards((*now, *eyes), case, actor, command)
        self._needs(row, command)
        self._guards(rest, case, actor, command)
        return row

    def check_role(self, case: Any, action: ActionT, actor: Actor) -> None:
        if not self.ever(actor, case, action):
            raise Forbidden("role_not_allowed")

    def _guards(self, guards: Iterable[Guard], case: Any, actor: Actor, command: Any) -> None:
        for guard in guards:
            if not guard.holds(case, actor, command):
                raise guard.kind(guard.code)

    def _needs(self, row: Transition[StateT, ActionT], command: Any) -> None:
        faults = list(command.faults)
        if row.note and not command.note:
            faults.append(Fault("note_required", "/note"))
        if row.reasons and not command.reason:
            faults.append(Fault("reason_required", "/reason"))
        elif row.reasons and row.reasons != ANY_REASON and command.reason not in row.reasons:
            allowed = ", ".join(row.reasons)
            faults.append(Fault("reason_not_allowed", "/reason", params={"allowed": allowed}))
        if faults:
            raise Invalid(faults[0].code if len(faults) == 1 else "action_data", tuple(faults))

    def actions(self, case: Any, actor: Actor) -> list[ActionT]:
        """What this actor may do with this case now."""
        return [
            action
            for (state, action), row in self.rows.items()
            if state == case.state
            and self.standing(actor, case, action)
            and all(guard.holds(case, actor, None) for guard in row.guards)
        ]

    def advancing(self, case: Any, actor: Actor) -> list[ActionT]:
        """The actions that move the case on and that this actor may take now."""
        wanted = self.ladder[case.state].advancing
        return [action for action in self.actions(case, actor) if action in wanted]

    def everybody(self) -> list[Party]:
        """Every party that the table speaks of, once."""
        named = [party for state, action in self.rows for party in self.parties(state, action)]
        held = [ladder.holder for ladder in self.ladder.values() if ladder.holder]
        return list(dict.fromkeys([*named, *held]))

    def mermaid(self) -> str:
        """The table as a state diagram."""
        arrows: dict[tuple[StateT, StateT], list[str]] = {}
        for (source, action), row in self.rows.items():
            for target in row.leads_to(source):
                arrows.setdefault((source, target), []).append(action)
        lines = [f"    {a} --> {b}: {', '.join(names)}" for (a, b), names in arrows.items()]
        final = [f"    {state} --> [*]" for state in self.final]
        return "\n".join(["stateDiagram-v2", f"    [*] --> {self.initial}", *lines, *final])


def _in_order(guards: Iterable[Guard]) -> tuple[list[Guard], list[Guard], list[Guard]]:
    """Guards about the state, about who decides, and the others: as they are answered."""
    now = [one for one in guards if one.code == NOT_NOW]
    eyes = [one for one in guards if one.kind is Forbidden]
    return now, eyes, [one for one in guards if one not in now and one not in eyes]


def by(*parties: Party) -> tuple[Party, ...]:
    return parties


def names(parties: Iterable[Party]) -> list[str]:
    return [party.name for party in parties]
