"""The registry"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


NEW_STEPS = ("death_reported", "death_revoked", "heirs", "undispatched", "unacknowledged")
STEPS = (
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
)
KINDS = ("complaint", "referral")
NEW_KINDS = ("registry_change", "visit", "dispatch")
CHECKS = (
    ("escalations", "step", "ck_escalations_step", STEPS + NEW_STEPS),
    ("notifications", "step", "ck_notifications_step", STEPS + NEW_STEPS),
    ("notifications", "subject_kind", "ck_notifications_subjectkind", KINDS + NEW_KINDS),
)


def upgrade() -> None:
    # Similar names are found by their trigrams; the extension is trusted, no superuser is needed.
    op.execute("create extension if not exists pg_trgm")
    op.execute("create sequence dispatch_numbers")
    op.create_table(
        "dispatches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "made",
                "uploaded",
                "acknowledged",
                name="dispatchstate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("csv_sha256", sa.String(length=64), nullable=False),
        sa.Column("json_sha256", sa.String(length=64), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), nullable=True),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatches")),
        sa.UniqueConstraint("number", name=op.f("uq_dispatches_number")),
    )
    op.create_index(
        "ix_dispatches_regency_code_id", "dispatches", ["regency_code", "id"], unique=False
    )
    op.create_index(
        "ix_dispatches_waiting",
        "dispatches",
        ["made_at", "id"],
        unique=False,
        postgresql_where=sa.text("state <> 'acknowledged'"),
    )
    op.create_table(
        "operations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "registry_import",
                name="operationkind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "running",
                "succeeded",
                "failed",
                "cancelled",
                name="operationstatus",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("regency_code", sa.String(collation="C"), nullable=True),
        sa.Column(
            "params", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column(
            "state", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column(
            "result", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("problem", sa.String(length=60), nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
    )
    op.create_index(
        "ix_operations_waiting",
        "operations",
        ["id"],
        unique=False,
        postgresql_where=sa.text("finished_at is null"),
    )
    op.create_table(
        "registry_homes",
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("household_key", sa.String(collation="C"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("rt", sa.String(), nullable=True),
        sa.Column("rw", sa.String(), nullable=True),
        sa.Column("decile", sa.Integer(), nullable=True),
        sa.Column("percentile", sa.Integer(), nullable=True),
        sa.Column("ruta6", sa.String(collation="C"), nullable=True),
        sa.Column("card_index", sa.LargeBinary(), nullable=True),
        sa.Column("programs", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("presence", sa.String(), nullable=True),
        sa.Column(
            "facts", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", "line", name=op.f("pk_registry_homes")),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "registry_refusals",
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("household_key", sa.String(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", "line", name=op.f("pk_registry_refusals")),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "registry_rows",
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("household_key", sa.String(collation="C"), nullable=False),
        sa.Column("member_key", sa.String(collation="C"), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("national_id", sa.LargeBinary(), nullable=True),
        sa.Column("national_id_index", sa.LargeBinary(), nullable=True),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("birth_year", sa.Integer(), nullable=True),
        sa.Column("sex", sa.String(), nullable=True),
        sa.Column("relation", sa.String(), nullable=False),
        sa.Column("presence", sa.String(), nullable=True),
        sa.Column("family_id", sa.Uuid(), nullable=True),
        sa.Column("family_number", sa.Integer(), nullable=True),
        sa.Column("family_card_number", sa.LargeBinary(), nullable=True),
        sa.Column("family_card_index", sa.LargeBinary(), nullable=True),
        sa.Column(
            "warnings", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column(
            "facts", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", "line", name=op.f("pk_registry_rows")),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "bps_codes",
        sa.Column("bps_code", sa.String(collation="C"), nullable=False),
        sa.Column("region_code", sa.String(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(
            ["region_code"],
            ["regions.code"],
            name=op.f("fk_bps_codes_region_code"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("bps_code", name=op.f("pk_bps_codes")),
    )
    op.create_table(
        "operation_chunks",
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"],
            ["operations.id"],
            name=op.f("fk_operation_chunks_operation_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("operation_id", "number", name=op.f("pk_operation_chunks")),
    )
    op.create_table(
        "operation_faults",
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("column", sa.String(length=80), nullable=True),
        sa.Column("value", sa.String(length=80), nullable=True),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"],
            ["operations.id"],
            name=op.f("fk_operation_faults_operation_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("operation_id", "number", name=op.f("pk_operation_faults")),
    )
    op.create_table(
        "registry_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(collation="C"), nullable=False),
        sa.Column("version", sa.String(collation="C"), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("operation_id", sa.Uuid(), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"],
            ["operations.id"],
            name=op.f("fk_registry_versions_operation_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_versions")),
        sa.UniqueConstraint(
            "source",
            "version",
            "regency_code",
            name=op.f("uq_registry_versions_source_version_regency_code"),
        ),
    )
    op.create_table(
        "families",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("family_card_number", sa.LargeBinary(), nullable=False),
        sa.Column("family_card_number_index", sa.LargeBinary(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_families_household_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_families")),
    )
    op.create_index(
        op.f("ix_families_family_card_number_index"),
        "families",
        ["family_card_number_index"],
        unique=False,
    )
    op.create_index(op.f("ix_families_household_id"), "families", ["household_id"], unique=False)
    op.create_table(
        "registry_ids",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(collation="C"), nullable=False),
        sa.Column("kind", sa.String(collation="C"), nullable=False),
        sa.Column("value", sa.String(collation="C"), nullable=False),
        sa.Column("source_version", sa.String(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_registry_ids_household_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_ids")),
        sa.UniqueConstraint(
            "source", "kind", "value", name=op.f("uq_registry_ids_source_kind_value")
        ),
    )
    op.create_index(
        op.f("ix_registry_ids_household_id"), "registry_ids", ["household_id"], unique=False
    )
    op.create_index("ix_registry_ids_value", "registry_ids", ["value"], unique=False)
    op.create_table(
        "welfare_ranks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(collation="C"), nullable=False),
        sa.Column("source_version", sa.String(collation="C"), nullable=False),
        sa.Column("decile", sa.Integer(), nullable=True),
        sa.Column("percentile", sa.Integer(), nullable=True),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_welfare_ranks_household_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_welfare_ranks")),
        sa.UniqueConstraint(
            "household_id",
            "source",
            "source_version",
            name=op.f("uq_welfare_ranks_household_id_source_source_version"),
        ),
    )
    op.create_table(
        "visits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "complaint",
                "reverification",
                "benefit_check",
                "answer",
                name="visitkind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "done",
                "cancelled",
                name="visitstate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column("assignee_id", sa.Uuid(), nullable=True),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_step_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("steps_taken", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column(
            "last_result",
            sa.Enum(
                "not_home",
                "address_not_found",
                "refused",
                "moved",
                "deceased",
                name="visitresult",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("surveyors", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["assignee_id"],
            ["principals.id"],
            name=op.f("fk_visits_assignee_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name=op.f("fk_visits_complaint_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_visits_household_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visits")),
    )
    op.create_index("ix_visits_assignee_id", "visits", ["assignee_id", "state"], unique=False)
    op.create_index(op.f("ix_visits_complaint_id"), "visits", ["complaint_id"], unique=False)
    op.create_index(op.f("ix_visits_household_id"), "visits", ["household_id"], unique=False)
    op.create_index(
        "ix_visits_next_step_at",
        "visits",
        ["next_step_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_visits_regency_code_id", "visits", ["regency_code", "id"], unique=False)
    op.create_index(
        "uq_visits_open",
        "visits",
        ["household_id", "kind"],
        unique=True,
        postgresql_where=sa.text("state = 'open' and complaint_id is null"),
    )
    op.create_index(
        "uq_visits_open_complaint",
        "visits",
        ["complaint_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open' and complaint_id is not null"),
    )
    op.create_table(
        "participations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("program_code", sa.String(collation="C"), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=True),
        sa.Column("began_on", sa.Date(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_participations_household_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["member_id"],
            ["members.id"],
            name=op.f("fk_participations_member_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participations")),
        sa.UniqueConstraint(
            "household_id",
            "member_id",
            "program_code",
            "source",
            name=op.f("uq_participations_household_id_member_id_program_code_source"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "registry_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "add_household",
                "add_member",
                "update_household",
                "update_member",
                "report_death",
                "revoke_death",
                "report_move",
                "merge_duplicate",
                "remove",
                name="changekind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "proposed",
                "supervisor_approved",
                "manager_approved",
                "returned",
                "dispatched",
                "confirmed",
                "declined",
                "rejected",
                "withdrawn",
                name="changestate",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "origin",
            sa.Enum(
                "survey",
                "desk",
                "check",
                "import",
                "system",
                name="changeorigin",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.Column("visit_id", sa.Uuid(), nullable=True),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("into_id", sa.Uuid(), nullable=True),
        sa.Column("revokes_id", sa.Uuid(), nullable=True),
        sa.Column("revoked_by_id", sa.Uuid(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column(
            "refused_fields",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
        ),
        sa.Column("base_version", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("authors", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undo", sa.LargeBinary(), nullable=True),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("stage_entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_step_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("escalation_level", sa.Integer(), nullable=False),
        sa.Column("steps_taken", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name=op.f("fk_registry_changes_complaint_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_registry_changes_household_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["member_id"],
            ["members.id"],
            name=op.f("fk_registry_changes_member_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["revoked_by_id"],
            ["registry_changes.id"],
            name=op.f("fk_registry_changes_revoked_by_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["revokes_id"],
            ["registry_changes.id"],
            name=op.f("fk_registry_changes_revokes_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["visit_id"],
            ["visits.id"],
            name=op.f("fk_registry_changes_visit_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_changes")),
    )
    op.create_index(
        op.f("ix_registry_changes_complaint_id"), "registry_changes", ["complaint_id"], unique=False
    )
    op.create_index(
        op.f("ix_registry_changes_household_id"), "registry_changes", ["household_id"], unique=False
    )
    op.create_index(
        op.f("ix_registry_changes_member_id"), "registry_changes", ["member_id"], unique=False
    )
    op.create_index(
        "ix_registry_changes_next_step_at", "registry_changes", ["next_step_at", "id"], unique=False
    )
    op.create_index(
        "ix_registry_changes_regency_code_id",
        "registry_changes",
        ["regency_code", "id"],
        unique=False,
    )
    op.create_index(
        "ix_registry_changes_state",
        "registry_changes",
        ["regency_code", "state", "kind", "id"],
        unique=False,
    )
    op.create_index(
        "ix_registry_changes_undispatched",
        "registry_changes",
        ["regency_code", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'manager_approved'"),
    )
    op.create_index(
        op.f("ix_registry_changes_visit_id"), "registry_changes", ["visit_id"], unique=False
    )
    op.create_index(
        "uq_registry_changes_death",
        "registry_changes",
        ["member_id"],
        unique=True,
        postgresql_where=sa.text(
            "kind = 'report_death' and state not in ('rejected', 'withdrawn') and revoked_by_id is null"
        ),
    )
    op.create_table(
        "visit_assignments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("facilitator_id", sa.Uuid(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["facilitator_id"],
            ["principals.id"],
            name=op.f("fk_visit_assignments_facilitator_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["visit_id"],
            ["visits.id"],
            name=op.f("fk_visit_assignments_visit_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit_assignments")),
    )
    op.create_index(
        "ix_visit_assignments_facilitator_id",
        "visit_assignments",
        ["facilitator_id", "ended_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_visit_assignments_visit_id"), "visit_assignments", ["visit_id"], unique=False
    )
    op.create_table(
        "dispatch_rows",
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("dispatch_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("registry_change_id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "confirmed",
                "declined",
                name="rowstatus",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["dispatch_id"],
            ["dispatches.id"],
            name=op.f("fk_dispatch_rows_dispatch_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["registry_change_id"],
            ["registry_changes.id"],
            name=op.f("fk_dispatch_rows_registry_change_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("dispatch_id", "number", name=op.f("pk_dispatch_rows")),
    )
    op.create_index(
        "ix_dispatch_rows_registry_change_id", "dispatch_rows", ["registry_change_id"], unique=False
    )
    op.create_table(
        "registry_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", sa.String(collation="C"), nullable=False),
        sa.Column("regency_code", sa.String(collation="C"), nullable=False),
        sa.Column("district_code", sa.String(collation="C"), nullable=False),
        sa.Column("village_code", sa.String(collation="C"), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(length=40), nullable=False),
        sa.Column(
            "changes", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("registry_change_id", sa.Uuid(), nullable=True),
        sa.Column("registry_version_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["households.id"],
            name=op.f("fk_registry_entries_household_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["member_id"],
            ["members.id"],
            name=op.f("fk_registry_entries_member_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["registry_change_id"],
            ["registry_changes.id"],
            name=op.f("fk_registry_entries_registry_change_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["registry_version_id"],
            ["registry_versions.id"],
            name=op.f("fk_registry_entries_registry_version_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_entries")),
    )
    op.create_index(
        "ix_registry_entries_household_id", "registry_entries", ["household_id", "id"], unique=False
    )
    op.add_column("households", sa.Column("percentile", sa.Integer(), nullable=True))
    op.add_column(
        "households",
        sa.Column(
            "facts",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'"),
        ),
    )
    op.add_column(
        "households",
        sa.Column(
            "facts_source", sa.String(length=80), nullable=False, server_default=sa.text("''")
        ),
    )
    op.add_column("households", sa.Column("facts_as_of", sa.Date(), nullable=True))
    op.add_column(
        "households",
        sa.Column(
            "facts_changed",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'"),
        ),
    )
    op.add_column(
        "households",
        sa.Column(
            "presence",
            sa.Enum(
                "found",
                "not_found",
                "duplicate",
                "dead",
                "moved",
                "undocumented",
                name="presence",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
    )
    op.add_column("households", sa.Column("presence_on", sa.Date(), nullable=True))
    op.add_column("households", sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("households", sa.Column("registry_version_id", sa.Uuid(), nullable=True))
    op.add_column("households", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.add_column("households", sa.Column("content_sha256", sa.LargeBinary(), nullable=True))
    op.add_column("households", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index(op.f("ix_households_family_card_number_index"), table_name="households")
    op.create_index(
        "ix_households_not_found",
        "households",
        ["regency_code", "id"],
        unique=False,
        postgresql_where=sa.text("presence = 'not_found'"),
    )
    op.create_index("ix_households_registry_id", "households", ["registry_id"], unique=False)
    op.create_index(
        "ix_households_verified_at",
        "households",
        ["regency_code", "verified_at", "id"],
        unique=False,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_foreign_key(
        op.f("fk_households_merged_into"),
        "households",
        "households",
        ["merged_into"],
        ["id"],
        initially="DEFERRED",
        deferrable=True,
    )
    op.create_foreign_key(
        op.f("fk_households_registry_version_id"),
        "households",
        "registry_versions",
        ["registry_version_id"],
        ["id"],
        initially="DEFERRED",
        deferrable=True,
    )
    # The number's place stays what it was sealed for: a family has the id of its household.
    op.execute(
        "insert into families (id, household_id, number, family_card_number,"
        " family_card_number_index, province_code, regency_code, district_code, village_code)"
        " select id, id, 1, family_card_number, family_card_number_index, province_code,"
        " regency_code, district_code, village_code from households"
        " where family_card_number is not null"
    )
    op.drop_column("households", "family_card_number")
    op.drop_column("households", "family_card_number_index")
    op.add_column(
        "members", sa.Column("version", sa.Integer(), nullable=False, server_default=sa.text("1"))
    )
    op.add_column("members", sa.Column("family_id", sa.Uuid(), nullable=True))
    op.add_column("members", sa.Column("registry_id", sa.String(collation="C"), nullable=True))
    op.add_column("members", sa.Column("number", sa.Integer(), nullable=True))
    op.add_column("members", sa.Column("birth_year", sa.Integer(), nullable=True))
    op.add_column(
        "members",
        sa.Column(
            "facts",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'"),
        ),
    )
    op.add_column(
        "members",
        sa.Column(
            "facts_source", sa.String(length=80), nullable=False, server_default=sa.text("''")
        ),
    )
    op.add_column("members", sa.Column("facts_as_of", sa.Date(), nullable=True))
    op.add_column(
        "members",
        sa.Column(
            "facts_changed",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'"),
        ),
    )
    op.add_column(
        "members",
        sa.Column(
            "presence",
            sa.Enum(
                "found",
                "not_found",
                "duplicate",
                "dead",
                "moved",
                "undocumented",
                name="presence",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
    )
    op.add_column("members", sa.Column("presence_on", sa.Date(), nullable=True))
    op.add_column("members", sa.Column("died_on", sa.Date(), nullable=True))
    op.add_column("members", sa.Column("hold_change_id", sa.Uuid(), nullable=True))
    op.add_column(
        "members",
        sa.Column(
            "warnings",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            server_default=sa.text("'[]'"),
        ),
    )
    op.add_column("members", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.add_column("members", sa.Column("content_sha256", sa.LargeBinary(), nullable=True))
    op.add_column("members", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_members_birth_year",
        "members",
        ["regency_code", "birth_year", "village_code"],
        unique=False,
        postgresql_include=["id", "name"],
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_index(
        "ix_members_held",
        "members",
        ["regency_code", "household_id"],
        unique=False,
        postgresql_where=sa.text("hold_change_id is not null"),
    )
    op.create_index(
        "ix_members_not_found",
        "members",
        ["regency_code", "household_id"],
        unique=False,
        postgresql_where=sa.text("presence = 'not_found'"),
    )
    op.create_index(
        "uq_members_registry_id",
        "members",
        ["household_id", "registry_id"],
        unique=True,
        postgresql_where=sa.text("registry_id is not null and ended_at is null"),
    )
    op.create_foreign_key(
        op.f("fk_members_merged_into"),
        "members",
        "members",
        ["merged_into"],
        ["id"],
        initially="DEFERRED",
        deferrable=True,
    )
    op.create_foreign_key(
        op.f("fk_members_family_id"),
        "members",
        "families",
        ["family_id"],
        ["id"],
        initially="DEFERRED",
        deferrable=True,
    )
    op.create_index(op.f("ix_referrals_member_id"), "referrals", ["member_id"], unique=False)
    op.add_column("surveys", sa.Column("visit_id", sa.Uuid(), nullable=True))
    op.alter_column("surveys", "complaint_id", existing_type=sa.UUID(), nullable=True)
    op.create_unique_constraint(op.f("uq_surveys_visit_id"), "surveys", ["visit_id"])
    op.create_foreign_key(
        op.f("fk_surveys_visit_id"),
        "surveys",
        "visits",
        ["visit_id"],
        ["id"],
        initially="DEFERRED",
        deferrable=True,
    )
    op.execute("update members set birth_year = extract(year from birth_date)")
    op.execute("update households set facts_source = registry_source")
    op.execute(
        "update members set facts_source = (select registry_source from households"
        " where households.id = members.household_id)"
    )
    op.alter_column("households", "facts", server_default=None)
    op.alter_column("households", "facts_source", server_default=None)
    op.alter_column("households", "facts_changed", server_default=None)
    op.alter_column("members", "version", server_default=None)
    op.alter_column("members", "facts", server_default=None)
    op.alter_column("members", "facts_source", server_default=None)
    op.alter_column("members", "facts_changed", server_default=None)
    op.alter_column("members", "warnings", server_default=None)
    op.create_check_constraint(
        op.f("ck_surveys_of_one"), "surveys", "num_nonnulls(complaint_id, visit_id) = 1"
    )
    for table, column, name, values in CHECKS:
        op.drop_constraint(op.f(name), table)
        op.create_check_constraint(op.f(name), table, sa.column(column).in_(values))


def downgrade() -> None:
    op.execute("drop sequence dispatch_numbers")
    for table, column, name, values in CHECKS:
        old = [one for one in values if one not in NEW_STEPS + NEW_KINDS]
        gone = ", ".join(f"'{one}'" for one in NEW_STEPS + NEW_KINDS)
        op.execute(f"delete from {table} where {column} in ({gone})")
        op.drop_constraint(op.f(name), table)
        op.create_check_constraint(op.f(name), table, sa.column(column).in_(old))
    op.execute("delete from surveys where complaint_id is null")
    op.drop_constraint(op.f("ck_surveys_of_one"), "surveys")
    op.drop_constraint(op.f("fk_surveys_visit_id"), "surveys", type_="foreignkey")
    op.drop_constraint(op.f("uq_surveys_visit_id"), "surveys", type_="unique")
    op.alter_column("surveys", "complaint_id", existing_type=sa.UUID(), nullable=False)
    op.drop_column("surveys", "visit_id")
    op.drop_index(op.f("ix_referrals_member_id"), table_name="referrals")
    op.drop_constraint(op.f("fk_members_family_id"), "members", type_="foreignkey")
    op.drop_constraint(op.f("fk_members_merged_into"), "members", type_="foreignkey")
    op.drop_index(
        "uq_members_registry_id",
        table_name="members",
        postgresql_where=sa.text("registry_id is not null and ended_at is null"),
    )
    op.drop_index(
        "ix_members_not_found",
        table_name="members",
        postgresql_where=sa.text("presence = 'not_found'"),
    )
    op.drop_index(
        "ix_members_held",
        table_name="members",
        postgresql_where=sa.text("hold_change_id is not null"),
    )
    op.drop_index(
        "ix_members_birth_year",
        table_name="members",
        postgresql_include=["id", "name"],
        postgresql_where=sa.text("ended_at is null"),
    )
    op.drop_column("members", "ended_at")
    op.drop_column("members", "content_sha256")
    op.drop_column("members", "merged_into")
    op.drop_column("members", "warnings")
    op.drop_column("members", "hold_change_id")
    op.drop_column("members", "died_on")
    op.drop_column("members", "presence_on")
    op.drop_column("members", "presence")
    op.drop_column("members", "facts_changed")
    op.drop_column("members", "facts_as_of")
    op.drop_column("members", "facts_source")
    op.drop_column("members", "facts")
    op.drop_column("members", "birth_year")
    op.drop_column("members", "number")
    op.drop_column("members", "registry_id")
    op.drop_column("members", "family_id")
    op.drop_column("members", "version")
    op.add_column(
        "households",
        sa.Column(
            "family_card_number_index", postgresql.BYTEA(), autoincrement=False, nullable=True
        ),
    )
    op.add_column(
        "households",
        sa.Column("family_card_number", postgresql.BYTEA(), autoincrement=False, nullable=True),
    )
    op.drop_constraint(op.f("fk_households_registry_version_id"), "households", type_="foreignkey")
    op.drop_constraint(op.f("fk_households_merged_into"), "households", type_="foreignkey")
    op.drop_index(
        "ix_households_verified_at",
        table_name="households",
        postgresql_where=sa.text("ended_at is null"),
    )
    op.drop_index("ix_households_registry_id", table_name="households")
    op.drop_index(
        "ix_households_not_found",
        table_name="households",
        postgresql_where=sa.text("presence = 'not_found'"),
    )
    op.execute(
        "update households set family_card_number = f.family_card_number,"
        " family_card_number_index = f.family_card_number_index"
        " from families f where f.id = households.id"
    )
    op.create_index(
        op.f("ix_households_family_card_number_index"),
        "households",
        ["family_card_number_index"],
        unique=False,
    )
    op.drop_column("households", "ended_at")
    op.drop_column("households", "content_sha256")
    op.drop_column("households", "merged_into")
    op.drop_column("households", "registry_version_id")
    op.drop_column("households", "verified_at")
    op.drop_column("households", "presence_on")
    op.drop_column("households", "presence")
    op.drop_column("households", "facts_changed")
    op.drop_column("households", "facts_as_of")
    op.drop_column("households", "facts_source")
    op.drop_column("households", "facts")
    op.drop_column("households", "percentile")
    op.drop_index("ix_registry_entries_household_id", table_name="registry_entries")
    op.drop_table("registry_entries")
    op.drop_index("ix_dispatch_rows_registry_change_id", table_name="dispatch_rows")
    op.drop_table("dispatch_rows")
    op.drop_index(op.f("ix_visit_assignments_visit_id"), table_name="visit_assignments")
    op.drop_index("ix_visit_assignments_facilitator_id", table_name="visit_assignments")
    op.drop_table("visit_assignments")
    op.drop_index(
        "uq_registry_changes_death",
        table_name="registry_changes",
        postgresql_where=sa.text(
            "kind = 'report_death' and state not in ('rejected', 'withdrawn') and revoked_by_id is null"
        ),
    )
    op.drop_index(op.f("ix_registry_changes_visit_id"), table_name="registry_changes")
    op.drop_index(
        "ix_registry_changes_undispatched",
        table_name="registry_changes",
        postgresql_where=sa.text("state = 'manager_approved'"),
    )
    op.drop_index("ix_registry_changes_state", table_name="registry_changes")
    op.drop_index("ix_registry_changes_regency_code_id", table_name="registry_changes")
    op.drop_index("ix_registry_changes_next_step_at", table_name="registry_changes")
    op.drop_index(op.f("ix_registry_changes_member_id"), table_name="registry_changes")
    op.drop_index(op.f("ix_registry_changes_household_id"), table_name="registry_changes")
    op.drop_index(op.f("ix_registry_changes_complaint_id"), table_name="registry_changes")
    op.drop_table("registry_changes")
    op.drop_table("participations")
    op.drop_index(
        "uq_visits_open_complaint",
        table_name="visits",
        postgresql_where=sa.text("state = 'open' and complaint_id is not null"),
    )
    op.drop_index(
        "uq_visits_open",
        table_name="visits",
        postgresql_where=sa.text("state = 'open' and complaint_id is null"),
    )
    op.drop_index("ix_visits_regency_code_id", table_name="visits")
    op.drop_index(
        "ix_visits_next_step_at", table_name="visits", postgresql_where=sa.text("state = 'open'")
    )
    op.drop_index(op.f("ix_visits_household_id"), table_name="visits")
    op.drop_index(op.f("ix_visits_complaint_id"), table_name="visits")
    op.drop_index("ix_visits_assignee_id", table_name="visits")
    op.drop_table("visits")
    op.drop_table("welfare_ranks")
    op.drop_index("ix_registry_ids_value", table_name="registry_ids")
    op.drop_index(op.f("ix_registry_ids_household_id"), table_name="registry_ids")
    op.drop_table("registry_ids")
    op.drop_index(op.f("ix_families_household_id"), table_name="families")
    op.drop_index(op.f("ix_families_family_card_number_index"), table_name="families")
    op.drop_table("families")
    op.drop_table("registry_versions")
    op.drop_table("operation_faults")
    op.drop_table("operation_chunks")
    op.drop_table("bps_codes")
    op.drop_table("registry_rows")
    op.drop_table("registry_refusals")
    op.drop_table("registry_homes")
    op.drop_index(
        "ix_operations_waiting",
        table_name="operations",
        postgresql_where=sa.text("finished_at is null"),
    )
    op.drop_table("operations")
    op.drop_index(
        "ix_dispatches_waiting",
        table_name="dispatches",
        postgresql_where=sa.text("state <> 'acknowledged'"),
    )
    op.drop_index("ix_dispatches_regency_code_id", table_name="dispatches")
    op.drop_table("dispatches")
