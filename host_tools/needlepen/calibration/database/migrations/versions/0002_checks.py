"""Daily checks, and withdrawals of calibrations."""

import sqlalchemy as sa
from alembic import op

from needlepen.calibration.database.guard import triggers

revision = "0002"
down_revision = "0001"
_NUMBER, _TEXT, _HASH, _UTC = sa.String(16), sa.String(80), sa.String(64), sa.DateTime(timezone=True)
_KEYS = {"withdrawals": ("number",), "checks": ("id",)}


def upgrade() -> None:
    op.create_table(
        "withdrawals",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("entry", sa.Integer, nullable=False),
        sa.Column("at", _UTC, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("operator", _TEXT, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_withdrawals"),
        sa.UniqueConstraint("entry", name="uq_withdrawals_entry"),
        sa.ForeignKeyConstraint(["number"], ["calibrations.number"], name="fk_withdrawals_number"),
        sa.ForeignKeyConstraint(["entry"], ["audit.entry"], name="fk_withdrawals_entry"),
    )
    op.create_table(
        "checks",
        sa.Column("id", _HASH, nullable=False),
        sa.Column("entry", sa.Integer, nullable=False),
        sa.Column("pen", _NUMBER, nullable=False),
        sa.Column("gauge", _HASH, nullable=False),
        sa.Column("operator", _TEXT, nullable=False),
        sa.Column("at", _UTC, nullable=False),
        sa.Column("calibration", _NUMBER, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("worst_um", sa.Double, nullable=False),
        sa.Column("run_s", sa.Integer, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_checks"),
        sa.UniqueConstraint("entry", name="uq_checks_entry"),
        sa.ForeignKeyConstraint(["entry"], ["audit.entry"], name="fk_checks_entry"),
        sa.ForeignKeyConstraint(["pen"], ["pens.unique_id"], name="fk_checks_pen"),
        sa.ForeignKeyConstraint(["gauge"], ["gauges.fingerprint"], name="fk_checks_gauge"),
    )
    for column in ("pen", "at"):
        op.create_index(f"ix_checks_{column}", "checks", [column])
    for table, key in _KEYS.items():
        for statement in triggers(op.get_bind().dialect.name, table, key):
            op.execute(statement)
