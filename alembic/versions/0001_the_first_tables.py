"""The first tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The time of the domain: the database's clock, in demo mode moved forward.
SLRT_NOW = """
create function slrt_now() returns timestamptz language sql volatile parallel safe as $$
    select clock_timestamp() + demo_offset from deployment
$$
"""
# An event is written once; all that may come later is its position.
APPEND_ONLY = """
create function events_are_append_only() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and old.pos is null then
        old.pos := new.pos;
        if old is not distinct from new then
            return new;
        end if;
    end if;
    raise exception 'events are append-only';
end
$$
"""


def upgrade() -> None:
    op.execute("create sequence ticket_numbers")
    op.execute("create sequence event_positions")
    op.create_table(
        "deployment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("demo_offset", sa.Interval(), nullable=False),
        sa.Column("demo_loaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("keys_fingerprint", sa.String(length=64), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_deployment_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
    )
    op.create_table(
        "escalations",
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.String(length=60), nullable=False),
        sa.Column(
            "step",
            sa.Enum(
                "reminder",
                "level_1",
                "level_2",
                "breach",
                "assigned",
                "returned",
                "returned_twice",
                "day_7",
                "day_21",
                "day_30",
                "owner_asked",
                "unanswered",
                "info_requested",
                "answered",
                name="step",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "stage", "step", name=op.f("pk_escalations")),
    )
    op.create_table(
        "events",
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=60), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("subject_version", sa.Integer(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column(
            "actor_role",
            sa.Enum(
                "puskesos_officer",
                "front_office",
                "back_office",
                "facilitator",
                "supervisor",
                "manager",
                "head",
                "program_manager",
                "agency",
                "admin",
                "data_protection_officer",
                "system",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column(
            "data", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sa.UniqueConstraint("id", name=op.f("uq_events_id")),
        sa.UniqueConstraint("pos", name=op.f("uq_events_pos")),
    )
    op.create_index("ix_events_actor_id_at", "events", ["actor_id", "at"], unique=False)
    op.create_index("ix_events_subject", "events", ["subject_id", "seq"], unique=False)
    op.create_index(
        "ix_events_unnumbered",
        "events",
        ["seq"],
        unique=False,
        postgresql_where=sa.text("pos is null"),
    )
    op.create_table(
        "households",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("registry_source", sa.String(length=40), nullable=False),
        sa.Column("registry_id", sa.String(collation="C"), nullable=False),
        sa.Column("family_card_number", sa.LargeBinary(), nullable=True),
        sa.Column("family_card_number_index", sa.LargeBinary(), nullable=True),
        sa.Column("address", sa.String(length=300), nullable=True),
        sa.Column("rt", sa.String(length=3), nullable=True),
        sa.Column("rw", sa.String(length=3), nullable=True),
        sa.Column("decile", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_households")),
        sa.UniqueConstraint(
            "registry_source", "registry_id", name=op.f("uq_households_registry_source_registry_id")
        ),
    )
    op.create_index(
        op.f("ix_households_family_card_number_index"),
        "households",
        ["family_card_number_index"],
        unique=False,
    )
    op.create_index(
        "ix_households_regency_code_id", "households", ["regency_code", "id"], unique=False
    )
    op.create_index(
        "ix_households_village_code_id", "households", ["village_code", "id"], unique=False
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("principal_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(collation="C"), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column(
            "ids", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("principal_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False
    )
    op.create_table(
        "parked_rows",
        sa.Column("sweep", sa.String(collation="C"), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("error", sa.String(length=200), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sweep", "subject_id", name=op.f("pk_parked_rows")),
    )
    op.create_table(
        "principals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "person",
                "client",
                name="principalkind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("username", sa.String(collation="C"), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("secret_hash", sa.String(length=200), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("region_codes", postgresql.ARRAY(sa.String(collation="C")), nullable=False),
        sa.Column("program_codes", postgresql.ARRAY(sa.String(collation="C")), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_principals")),
        sa.UniqueConstraint("username", name=op.f("uq_principals_username")),
    )
    op.create_table(
        "programs",
        sa.Column("code", sa.String(collation="C"), nullable=False),
        sa.Column("name_id", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column(
            "scope",
            sa.Enum(
                "national",
                "city",
                name="programscope",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "unit",
            sa.Enum(
                "individual",
                "family",
                "household",
                "group",
                "school",
                "community",
                name="programunit",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("benefit_type", sa.String(), nullable=False),
        sa.Column("target_criteria", sa.String(), nullable=False),
        sa.Column("rule_hint", sa.String(), nullable=False),
        sa.Column("required_docs", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("status_note", sa.String(), nullable=False),
        sa.Column("unit_note", sa.String(), nullable=False),
        sa.Column("one_of_28", sa.String(), nullable=False),
        sa.Column("criteria_evidence", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_programs")),
    )
    op.create_table(
        "regions",
        sa.Column("code", sa.String(collation="C"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column(
            "level",
            sa.Enum(
                "province",
                "regency",
                "district",
                "village",
                name="regionlevel",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("parent_code", sa.String(collation="C"), nullable=True),
        sa.Column("aliases", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("former_codes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_code"],
            ["regions.code"],
            name=op.f("fk_regions_parent_code"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_regions")),
    )
    op.create_index(op.f("ix_regions_parent_code"), "regions", ["parent_code"], unique=False)
    op.create_table(
        "routes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "complaint",
                "question",
                "suggestion",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "category",
            sa.Enum(
                "inclusion_request",
                "exclusion_objection",
                "program_not_received",
                "card_problem",
                "data_correction",
                "death_report",
                "service_quality",
                "illegal_fee",
                "other",
                name="category",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column(
            "documents", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("check_needed", sa.Boolean(), nullable=False),
        sa.Column(
            "visit",
            sa.Enum(
                "none",
                "optional",
                "required",
                name="visit",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_routes")),
        sa.UniqueConstraint(
            "kind",
            "category",
            name=op.f("uq_routes_kind_category"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "sweep_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sweep", sa.String(collation="C"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("acted", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("oldest_overdue_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweep_runs")),
    )
    op.create_index("ix_sweep_runs_sweep_id", "sweep_runs", ["sweep", "id"], unique=False)
    op.create_table(
        "complaints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("ticket", sa.String(collation="C"), nullable=False),
        sa.Column("client_ref", sa.String(collation="C"), nullable=False),
        sa.Column("payload_sha256", sa.String(length=64), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "complaint",
                "question",
                "suggestion",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "category",
            sa.Enum(
                "inclusion_request",
                "exclusion_objection",
                "program_not_received",
                "card_problem",
                "data_correction",
                "death_report",
                "service_quality",
                "illegal_fee",
                "other",
                name="category",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column(
            "sector",
            sa.Enum(
                "health",
                "education",
                "social_economic",
                "food",
                "energy",
                "agriculture",
                "fisheries",
                "housing",
                "civil_registration",
                name="sector",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("program_code", sa.String(collation="C"), nullable=True),
        sa.Column(
            "priority",
            sa.Enum(
                "normal",
                "emergency",
                name="priority",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "channel",
            sa.Enum(
                "puskesos",
                "secretariat",
                "tablet",
                "phone",
                "paper",
                "batch",
                "public",
                "other",
                name="channel",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("narrative", sa.String(length=4000), nullable=False),
        sa.Column("reporter_name", sa.String(length=120), nullable=False),
        sa.Column("reporter_national_id", sa.LargeBinary(), nullable=True),
        sa.Column("reporter_national_id_index", sa.LargeBinary(), nullable=True),
        sa.Column("reporter_phone", sa.String(length=16), nullable=True),
        sa.Column("reporter_address", sa.String(length=300), nullable=True),
        sa.Column(
            "reporter_relation",
            sa.Enum(
                "self",
                "family",
                "neighbour",
                "official",
                "other",
                name="relation",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("subject_name", sa.String(length=120), nullable=True),
        sa.Column("subject_national_id", sa.LargeBinary(), nullable=True),
        sa.Column("subject_national_id_index", sa.LargeBinary(), nullable=True),
        sa.Column("subject_family_card_number", sa.LargeBinary(), nullable=True),
        sa.Column("subject_family_card_number_index", sa.LargeBinary(), nullable=True),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column(
            "documents_seen",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
        ),
        sa.Column(
            "documents_waived",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
        ),
        sa.Column(
            "documents_missing",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
        ),
        sa.Column(
            "registry_check",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
        ),
        sa.Column(
            "warnings", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("submitted_by", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pin_generation", sa.Integer(), nullable=False),
        sa.Column("confidential", sa.Boolean(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "received",
                "incomplete",
                "at_secretariat",
                "assigned",
                "returned",
                "awaiting_supervisor",
                "awaiting_manager",
                "forwarded",
                "answered",
                "closed",
                name="complaintstate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "outcome",
            sa.Enum(
                "granted",
                "partly_granted",
                "waitlisted",
                "declined",
                "cancelled",
                "resolved",
                "rejected",
                "unanswered",
                "withdrawn",
                "archived",
                name="outcome",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column(
            "delivery",
            sa.Enum(
                "pending",
                "told",
                "undeliverable",
                name="delivery",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=60), nullable=True),
        sa.Column("answer", sa.String(length=4000), nullable=True),
        sa.Column("clock_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("late_when_recorded", sa.Boolean(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("stage_entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stage_extra", sa.Interval(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_step_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("escalation_level", sa.Integer(), nullable=False),
        sa.Column("steps_taken", sa.Integer(), nullable=False),
        sa.Column("breached_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_for", sa.Interval(), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at_centre_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("informed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("forwarded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("assigned_to", sa.Uuid(), nullable=True),
        sa.Column("handed_back_by", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("system_reassigned", sa.Boolean(), nullable=False),
        sa.Column("visit_attempts", sa.Integer(), nullable=False),
        sa.Column("no_survey", sa.Boolean(), nullable=False),
        sa.Column("surveyors", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("without_visit", sa.Boolean(), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("forwarded_by", sa.Uuid(), nullable=True),
        sa.Column("rejected_by", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("returned_count", sa.Integer(), nullable=False),
        sa.Column("reopened_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assigned_to"],
            ["principals.id"],
            name=op.f("fk_complaints_assigned_to"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_complaints_household_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["program_code"],
            ["programs.code"],
            name=op.f("fk_complaints_program_code"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["submitted_by"],
            ["principals.id"],
            name=op.f("fk_complaints_submitted_by"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaints")),
        sa.UniqueConstraint(
            "submitted_by", "client_ref", name=op.f("uq_complaints_submitted_by_client_ref")
        ),
        sa.UniqueConstraint("ticket", name=op.f("uq_complaints_ticket")),
    )
    op.create_index(
        "ix_complaints_assigned_to",
        "complaints",
        ["assigned_to", "state"],
        unique=False,
        postgresql_where=sa.text("assigned_to is not null"),
    )
    op.create_index(
        op.f("ix_complaints_household_id"), "complaints", ["household_id"], unique=False
    )
    op.create_index(
        "ix_complaints_next_step_at", "complaints", ["next_step_at", "id"], unique=False
    )
    op.create_index(
        "ix_complaints_open",
        "complaints",
        ["regency_code", "state", "due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.create_index(
        "ix_complaints_regency_code_received_at",
        "complaints",
        ["regency_code", "received_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_complaints_reporter_national_id_index"),
        "complaints",
        ["reporter_national_id_index"],
        unique=False,
    )
    op.create_index(
        op.f("ix_complaints_subject_family_card_number_index"),
        "complaints",
        ["subject_family_card_number_index"],
        unique=False,
    )
    op.create_index(
        op.f("ix_complaints_subject_national_id_index"),
        "complaints",
        ["subject_national_id_index"],
        unique=False,
    )
    op.create_index(
        "ix_complaints_unbreached",
        "complaints",
        ["deadline_at", "id"],
        unique=False,
        postgresql_where=sa.text(
            "state in ('received', 'at_secretariat', 'assigned', 'returned', 'awaiting_supervisor', 'awaiting_manager') and breached_at is null and not late_when_recorded"
        ),
    )
    op.create_index(
        "ix_complaints_village_code_received_at",
        "complaints",
        ["village_code", "received_at", "id"],
        unique=False,
    )
    op.create_table(
        "event_notes",
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("note", sa.String(length=4000), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["events.id"],
            name=op.f("fk_event_notes_event_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_notes")),
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("principal_id", sa.Uuid(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "puskesos_officer",
                "front_office",
                "back_office",
                "facilitator",
                "supervisor",
                "manager",
                "head",
                "program_manager",
                "agency",
                "admin",
                "data_protection_officer",
                "system",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("region_codes", postgresql.ARRAY(sa.String(collation="C")), nullable=False),
        sa.Column("program_codes", postgresql.ARRAY(sa.String(collation="C")), nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["principals.id"],
            name=op.f("fk_grants_principal_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
        sa.UniqueConstraint("principal_id", "role", name=op.f("uq_grants_principal_id_role")),
    )
    op.create_index(op.f("ix_grants_role"), "grants", ["role"], unique=False)
    op.create_table(
        "members",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("national_id", sa.LargeBinary(), nullable=True),
        sa.Column("national_id_index", sa.LargeBinary(), nullable=True),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column(
            "sex",
            sa.Enum(
                "female", "male", name="sex", native_enum=False, create_constraint=True, length=40
            ),
            nullable=True,
        ),
        sa.Column(
            "relation",
            sa.Enum(
                "head",
                "spouse",
                "child",
                "child_in_law",
                "grandchild",
                "parent",
                "domestic_worker",
                "other",
                name="memberrelation",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_members_household_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_household_id"), "members", ["household_id"], unique=False)
    op.create_index(
        op.f("ix_members_national_id_index"), "members", ["national_id_index"], unique=False
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("principal_id", sa.Uuid(), nullable=False),
        sa.Column(
            "subject_kind",
            sa.Enum(
                "complaint",
                "referral",
                name="subjectkind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column(
            "step",
            sa.Enum(
                "reminder",
                "level_1",
                "level_2",
                "breach",
                "assigned",
                "returned",
                "returned_twice",
                "day_7",
                "day_21",
                "day_30",
                "owner_asked",
                "unanswered",
                "info_requested",
                "answered",
                name="step",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["principals.id"],
            name=op.f("fk_notifications_principal_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index(
        "ix_notifications_principal_id_id", "notifications", ["principal_id", "id"], unique=False
    )
    op.create_table(
        "assignments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("facilitator_id", sa.Uuid(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name=op.f("fk_assignments_complaint_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["facilitator_id"],
            ["principals.id"],
            name=op.f("fk_assignments_facilitator_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
    )
    op.create_index(
        op.f("ix_assignments_complaint_id"), "assignments", ["complaint_id"], unique=False
    )
    op.create_index(
        "ix_assignments_facilitator_id", "assignments", ["facilitator_id", "ended_at"], unique=False
    )
    op.create_table(
        "contact_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column(
            "how",
            sa.Enum(
                "in_person",
                "phone",
                "message",
                "letter",
                "public_status",
                name="deliverymethod",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("contacted", sa.String(length=120), nullable=False),
        sa.Column("result", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tried_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name=op.f("fk_contact_attempts_complaint_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_attempts")),
    )
    op.create_index(
        op.f("ix_contact_attempts_complaint_id"), "contact_attempts", ["complaint_id"], unique=False
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("reopened_count", sa.Integer(), nullable=False),
        sa.Column(
            "how",
            sa.Enum(
                "in_person",
                "phone",
                "message",
                "letter",
                "public_status",
                name="deliverymethod",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("told_to", sa.String(length=120), nullable=False),
        sa.Column(
            "result",
            sa.Enum(
                "told",
                "not_reached",
                name="deliveryresult",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("satisfaction", sa.Integer(), nullable=True),
        sa.Column("satisfaction_self_typed", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tried_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name=op.f("fk_delivery_attempts_complaint_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempts")),
    )
    op.create_index(
        op.f("ix_delivery_attempts_complaint_id"),
        "delivery_attempts",
        ["complaint_id"],
        unique=False,
    )
    op.create_table(
        "referrals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("program_code", sa.String(collation="C"), nullable=False),
        sa.Column(
            "purpose",
            sa.Enum(
                "enrol",
                "restore",
                "payment",
                "card",
                "correct_data",
                name="purpose",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("beneficiary_key", sa.String(collation="C"), nullable=False),
        sa.Column("beneficiary_name", sa.String(length=120), nullable=True),
        sa.Column("beneficiary_national_id", sa.LargeBinary(), nullable=True),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column(
            "origin",
            sa.Enum(
                "survey",
                "desk",
                "waiver",
                name="origin",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("drafted_by", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "approved",
                "sent",
                "received",
                "info_requested",
                "granted",
                "benefit_confirmed",
                "declined",
                "waitlisted",
                "cancelled",
                name="referralstate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("informed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("stage_entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_for", sa.Interval(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_step_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("steps_taken", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name=op.f("fk_referrals_complaint_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_referrals_household_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["member_id"],
            ["members.id"],
            name=op.f("fk_referrals_member_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["program_code"],
            ["programs.code"],
            name=op.f("fk_referrals_program_code"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referrals")),
    )
    op.create_index(op.f("ix_referrals_complaint_id"), "referrals", ["complaint_id"], unique=False)
    op.create_index(op.f("ix_referrals_household_id"), "referrals", ["household_id"], unique=False)
    op.create_index("ix_referrals_next_step_at", "referrals", ["next_step_at", "id"], unique=False)
    op.create_index(
        "ix_referrals_program_code",
        "referrals",
        ["program_code", "regency_code", "state", "id"],
        unique=False,
    )
    op.create_index(
        "uq_referrals_open",
        "referrals",
        ["beneficiary_key", "program_code", "purpose"],
        unique=True,
        postgresql_where=sa.text(
            "state in ('approved', 'sent', 'received', 'info_requested', 'waitlisted')"
        ),
    )
    op.create_table(
        "surveys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("additional", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("typed_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name=op.f("fk_surveys_complaint_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_surveys")),
    )
    op.create_index(
        "uq_surveys_additional",
        "surveys",
        ["complaint_id", "author_id"],
        unique=True,
        postgresql_where=sa.text("additional"),
    )
    op.create_index(
        "uq_surveys_main",
        "surveys",
        ["complaint_id"],
        unique=True,
        postgresql_where=sa.text("not additional"),
    )
    op.create_table(
        "complaint_referrals",
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column("referral_id", sa.Uuid(), nullable=False),
        sa.Column(
            "origin",
            sa.Enum(
                "survey",
                "desk",
                "waiver",
                name="origin",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name=op.f("fk_complaint_referrals_complaint_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["referral_id"],
            ["referrals.id"],
            name=op.f("fk_complaint_referrals_referral_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("complaint_id", "referral_id", name=op.f("pk_complaint_referrals")),
    )
    op.create_index(
        "ix_complaint_referrals_referral_id", "complaint_referrals", ["referral_id"], unique=False
    )
    op.execute("insert into deployment (id, demo, demo_offset) values (1, false, interval '0')")
    op.execute(SLRT_NOW)
    op.execute(APPEND_ONLY)
    op.execute(
        "create trigger events_append_only before update or delete on events"
        " for each row execute function events_are_append_only()"
    )
    op.execute(
        "create trigger events_no_truncate before truncate on events"
        " for each statement execute function events_are_append_only()"
    )


def downgrade() -> None:
    op.execute("drop function slrt_now")
    op.execute("drop function events_are_append_only cascade")
    op.drop_index("ix_complaint_referrals_referral_id", table_name="complaint_referrals")
    op.drop_table("complaint_referrals")
    op.drop_index(
        "uq_surveys_main", table_name="surveys", postgresql_where=sa.text("not additional")
    )
    op.drop_index(
        "uq_surveys_additional", table_name="surveys", postgresql_where=sa.text("additional")
    )
    op.drop_table("surveys")
    op.drop_index(
        "uq_referrals_open",
        table_name="referrals",
        postgresql_where=sa.text(
            "state in ('approved', 'sent', 'received', 'info_requested', 'waitlisted')"
        ),
    )
    op.drop_index("ix_referrals_program_code", table_name="referrals")
    op.drop_index("ix_referrals_next_step_at", table_name="referrals")
    op.drop_index(op.f("ix_referrals_household_id"), table_name="referrals")
    op.drop_index(op.f("ix_referrals_complaint_id"), table_name="referrals")
    op.drop_table("referrals")
    op.drop_index(op.f("ix_delivery_attempts_complaint_id"), table_name="delivery_attempts")
    op.drop_table("delivery_attempts")
    op.drop_index(op.f("ix_contact_attempts_complaint_id"), table_name="contact_attempts")
    op.drop_table("contact_attempts")
    op.drop_index("ix_assignments_facilitator_id", table_name="assignments")
    op.drop_index(op.f("ix_assignments_complaint_id"), table_name="assignments")
    op.drop_table("assignments")
    op.drop_index("ix_notifications_principal_id_id", table_name="notifications")
    op.drop_table("notifications")
    op.drop_index(op.f("ix_members_national_id_index"), table_name="members")
    op.drop_index(op.f("ix_members_household_id"), table_name="members")
    op.drop_table("members")
    op.drop_index(op.f("ix_grants_role"), table_name="grants")
    op.drop_table("grants")
    op.drop_table("event_notes")
    op.drop_index("ix_complaints_village_code_received_at", table_name="complaints")
    op.drop_index(
        "ix_complaints_unbreached",
        table_name="complaints",
        postgresql_where=sa.text(
            "state in ('received', 'at_secretariat', 'assigned', 'returned', 'awaiting_supervisor', 'awaiting_manager') and breached_at is null and not late_when_recorded"
        ),
    )
    op.drop_index(op.f("ix_complaints_subject_national_id_index"), table_name="complaints")
    op.drop_index(op.f("ix_complaints_subject_family_card_number_index"), table_name="complaints")
    op.drop_index(op.f("ix_complaints_reporter_national_id_index"), table_name="complaints")
    op.drop_index("ix_complaints_regency_code_received_at", table_name="complaints")
    op.drop_index(
        "ix_complaints_open", table_name="complaints", postgresql_where=sa.text("state <> 'closed'")
    )
    op.drop_index("ix_complaints_next_step_at", table_name="complaints")
    op.drop_index(op.f("ix_complaints_household_id"), table_name="complaints")
    op.drop_index(
        "ix_complaints_assigned_to",
        table_name="complaints",
        postgresql_where=sa.text("assigned_to is not null"),
    )
    op.drop_table("complaints")
    op.drop_index("ix_sweep_runs_sweep_id", table_name="sweep_runs")
    op.drop_table("sweep_runs")
    op.drop_table("routes")
    op.drop_index(op.f("ix_regions_parent_code"), table_name="regions")
    op.drop_table("regions")
    op.drop_table("programs")
    op.drop_table("principals")
    op.drop_table("parked_rows")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index("ix_households_village_code_id", table_name="households")
    op.drop_index("ix_households_regency_code_id", table_name="households")
    op.drop_index(op.f("ix_households_family_card_number_index"), table_name="households")
    op.drop_table("households")
    op.drop_index(
        "ix_events_unnumbered", table_name="events", postgresql_where=sa.text("pos is null")
    )
    op.drop_index("ix_events_subject", table_name="events")
    op.drop_index("ix_events_actor_id_at", table_name="events")
    op.drop_table("events")
    op.drop_table("escalations")
    op.drop_table("deployment")
    op.execute("drop sequence event_positions")
    op.execute("drop sequence ticket_numbers")
