"""Every type of event that is written, what it says, and which of them the feed tells."""

from app.domain.feed import KINDS
from app.workflow import (
    accounts,
    exports,
    households,
    ladder,
    other_needs,
    quotas,
    registry,
    ticket_books,
)
from app.workflow.citizens import pins, ratings
from app.workflow.complaint_documents import verbs as evidence
from app.workflow.complaints import centre, joining, surveys, transferring, verbs
from app.workflow.complaints.table import EVENT_TYPES as COMPLAINT_EVENTS
from app.workflow.devices import manifests
from app.workflow.devices import overdue as missing
from app.workflow.devices import verbs as devices
from app.workflow.dispatches import acknowledging
from app.workflow.dispatches import overdue as undispatched
from app.workflow.dispatches import verbs as dispatches
from app.workflow.eligibility import screening
from app.workflow.referrals.table import DRAFTED, LINKED, UNLINKED
from app.workflow.referrals.table import EVENT_TYPES as REFERRAL_EVENTS
from app.workflow.referrals.table import MOVED as REFERRAL_MOVED
from app.workflow.registry_changes import applying, deaths, merging
from app.workflow.registry_changes import overdue as changes_overdue
from app.workflow.registry_changes.table import CARRIED_OVER as REGISTRY_CARRIED_OVER
from app.workflow.registry_changes.table import DRAFTED as REGISTRY_DRAFTED
from app.workflow.registry_changes.table import EVENT_TYPES as REGISTRY_CHANGE_EVENTS
from app.workflow.visits import table as visits
from app.workflow.visits.table import EVENT_TYPES as VISIT_EVENTS
from app.workflow.webhooks import endpoints

# By the actions of the tables: which action leaves an event of the type.
ACTIONS = {
    type_: action
    for table in (COMPLAINT_EVENTS, REFERRAL_EVENTS, REGISTRY_CHANGE_EVENTS, VISIT_EVENTS)
    for action, type_ in table.items()
}
# Events that no action of a table leaves, and what each says.
OTHER_EVENTS = {
    evidence.ADDED: "A document was uploaded; `document_id` and its `kind`.",
    evidence.READ: "Somebody read the content of a document; `document_id`.",
    verbs.CHANGED: "What was filed was corrected; `fields` names what.",
    registry.CHECKED: "The registry was asked; `outcome` says what it knew.",
    households.FOUND: "A search showed the household; `by` says what was asked by.",
    screening.SCREENED: "The household was screened for every programme; `screening_id`.",
    households.REVEALED: "A person's numbers were shown in full; the reason stands beside.",
    verbs.OUTCOME_CHANGED: "A later answer changed the outcome before it was told; `outcome`.",
    transferring.LEFT: "It was transferred: for readers of the region it left; `region_to`.",
    joining.JOINED_BY: "Another complaint was joined into this one; `complaint_id`.",
    verbs.FOUND: "A desk found the complaint by a search.",
    pins.REISSUED: "A desk gave a new PIN; `documents_seen` says against what.",
    ratings.RATED: "The citizen said how content they are; `satisfaction`, 1 to 5.",
    surveys.SAVED: "A survey draft was saved; `survey_version` is its new version.",
    surveys.ADDITIONAL: "The survey of a replaced facilitator was kept beside.",
    ladder.REMINDED: "The holder was reminded; `told` says how many people.",
    ladder.ESCALATED: "A level of the ladder was reached; `level` and `told`.",
    ladder.BREACHED: "The promise was broken; manager and head were told.",
    ladder.TELLER_REMINDED: "A late answer has not been told; `level` and `told`.",
    ladder.OWNER_REMINDED: "A referral was past its date; `step` says who was told.",
    DRAFTED: "A referral was drafted from a survey, by a desk or for a waived document.",
    LINKED: "Another complaint holds the referral too.",
    REFERRAL_MOVED: "A referral not sent yet goes along with its transferred complaint.",
    UNLINKED: "A complaint no longer holds the referral.",
    visits.OPENED: "A visit was opened and given to a facilitator; `kind`, `assigned_to`.",
    visits.REMINDED: "A visit was due; its facilitator was reminded.",
    visits.ESCALATED: "A visit was a day late; its supervisor was told.",
    visits.MOVED: "A visit goes to the household that its own was merged into, or back.",
    visits.TRANSFERRED: "A visit goes along with its transferred complaint.",
    visits.CARRIED_OVER: "A visit goes along with a complaint joined into another.",
    centre.AT_CENTRE: "The data has come to the centre or to a programme's owner.",
    dispatches.MADE: "Approved changes were put into a batch; `rows` says how many.",
    dispatches.UPLOADED: "The batch was given to the centre.",
    dispatches.FILE_READ: "A file of the batch, with full numbers, was read; `format`.",
    acknowledging.ANSWERED: "The centre answered `rows` rows of the batch.",
    acknowledging.ACKNOWLEDGED: "The centre has answered every row of the batch.",
    undispatched.DISPATCH_OVERDUE: "A batch waits too long for upload or answer; `level`, `told`.",
    undispatched.CHANGE_OVERDUE: "An approved change is in no batch; `level` and `told`.",
    exports.BEGUN: "An export was begun; `what`, `purpose` and `format`.",
    exports.ENDED: "It was given out whole; `rows` says how many.",
    REGISTRY_DRAFTED: "A registry change was written; `kind` and `origin`.",
    REGISTRY_CARRIED_OVER: "It goes along with a complaint joined into another; `complaint_id`.",
    changes_overdue.REMINDED: "Who holds a registry change was reminded.",
    changes_overdue.ESCALATED: "A level of a registry change's ladder was reached.",
    applying.HOUSEHOLD_CHANGED: "A registry change was applied to a household, or taken back.",
    applying.MEMBER_CHANGED: "A registry change was applied to a person, or taken back.",
    merging.HOUSEHOLD_MERGED: "The complaint's household was merged into another.",
    deaths.HELD: "A death was reported: no new referral for the person.",
    deaths.RELEASED: "The report of a death ended: the hold, too.",
    deaths.DEAD: "A supervisor approved the report of a death.",
    deaths.LIVES: "A person reported dead lives.",
    deaths.SIGNALLED: "The owner of an open referral was told of a death, or that it was none.",
    endpoints.CREATED: "A webhook endpoint was made.",
    endpoints.CHANGED: "A webhook endpoint was changed.",
    endpoints.ROTATED: "A webhook endpoint got a new secret.",
    endpoints.ENABLED: "A webhook endpoint was switched on.",
    endpoints.DISABLED: "A webhook endpoint was disabled; `why` says `by_hand`, `gone`, `failing`.",
    endpoints.DELETED: "A webhook endpoint was deleted.",
    other_needs.RECORDED: "A survey named a need without a programme; `sector`.",
    other_needs.MAPPED: "It was said what meets a need; `mapped_to`, `program_code`.",
    quotas.ADDED: "Places of a programme in a region and period were named.",
    quotas.CHANGED: "A quota was raised or lowered; `places`, `managed_here`.",
    devices.REGISTERED: "A tablet was given to a facilitator; `facilitator_id`.",
    devices.HANDED_ON: "A tablet was handed on; `from_facilitator`, `facilitator_id`.",
    devices.BLOCKED: "A tablet was blocked: what it still sends is taken in and flagged.",
    devices.RETIRED: "A tablet was retired.",
    manifests.GAVE_UP: "Numbers of a tablet will not come; `numbers`, `first` and `last`.",
    missing.MISSING: "What a tablet promised has not come; `numbers`, `first` and `last`.",
    missing.SILENT: "A tablet with open work was not heard of; `since`.",
    ticket_books.RESERVED: "Tickets were reserved for a tablet or a pad; `count`.",
    ticket_books.ASKED_FOR: "A reserved ticket was asked for and has not come; `ticket`.",
    accounts.CREATED: "A person or client was let in.",
    accounts.CHANGED: "An account was changed or shut out.",
}
EVENT_TYPES = frozenset({*ACTIONS, *OTHER_EVENTS})
# What a reader of the feed may ask for: types, and whole kinds.
TOLD = frozenset(type_ for type_ in EVENT_TYPES if type_.split(".")[0] in KINDS)
ASKED = TOLD | {f"{kind}.*" for kind in KINDS}


def instead_of(asked: str) -> str:
    """What may be asked for instead of a type that there is not: its kind's, or the kinds."""
    kind = asked.split(".")[0]
    mine = sorted(one for one in ASKED if one.startswith(f"{kind}."))
    return ", ".join(mine or sorted(ASKED - TOLD))
