"""Documents of complaints"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KINDS = (
    "id_card", "family_card", "kelurahan_letter", "birth_certificate", "death_certificate",
    "school_letter", "medical_letter", "house_front", "house_inside", "other",
)  # fmt: skip


def upgrade() -> None:
    op.add_column(
        "deployment",
        sa.Column("files_id", sa.Uuid(), nullable=False, server_default=sa.func.gen_random_uuid()),
    )
    op.alter_column("deployment", "files_id", server_default=None)
    code = sa.String(collation="C")
    op.create_table(
        "complaint_documents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("province_code", code, nullable=False),
        sa.Column("regency_code", code, nullable=False),
        sa.Column("district_code", code, nullable=False),
        sa.Column("village_code", code, nullable=False),
        sa.Column("complaint_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(*KINDS, name="document", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("client_ref", code, nullable=True),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("received_size", sa.Integer(), nullable=False),
        sa.Column("key_id", code, nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [column],
                [target],
                name=op.f(f"fk_complaint_documents_{column}"),
                initially="DEFERRED",
                deferrable=True,
            )
            for column, target in (
                ("complaint_id", "complaints.id"),
                ("uploaded_by", "principals.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaint_documents")),
        sa.UniqueConstraint(
            "complaint_id", "sha256", name=op.f("uq_complaint_documents_complaint_id_sha256")
        ),
        sa.UniqueConstraint(
            "uploaded_by", "client_ref", name=op.f("uq_complaint_documents_uploaded_by_client_ref")
        ),
    )
    op.add_column("delivery_attempts", sa.Column("proof_document_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_delivery_attempts_proof_document_id"),
        "delivery_attempts",
        "complaint_documents",
        ["proof_document_id"],
        ["id"],
        initially="DEFERRED",
        deferrable=True,
    )


def downgrade() -> None:
    op.drop_column("delivery_attempts", "proof_document_id")
    op.drop_table("complaint_documents")
    op.drop_column("deployment", "files_id")
