"""Calibrations with their readings, pens, gauges, numbers, and the audit that chains them."""

import sqlalchemy as sa
from alembic import op

from needlepen.calibration.database.guard import triggers

revision = "0001"
down_revision = None
_NUMBER, _TEXT, _HASH, _UTC = sa.String(16), sa.String(80), sa.String(64), sa.DateTime(timezone=True)
_KEYS = {
    "audit": ("entry",),
    "pens": ("unique_id",),
    "gauges": ("fingerprint",),
    "numbers": ("number",),
    "calibrations": ("number",),
    "readings": ("number", "place"),
}


def upgrade() -> None:
    _audit()
    _parties()
    _calibrations()
    _readings()
    for table, key in _KEYS.items():
        for statement in triggers(op.get_bind().dialect.name, table, key):
            op.execute(statement)


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("entry", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", _UTC, nullable=False),
        sa.Column("who", _TEXT, nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("subject", _HASH, nullable=False),
        sa.Column("software", _TEXT, nullable=False),
        sa.Column("firmware", _TEXT, nullable=False),
        sa.Column("gauge", _TEXT, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("content_hash", _HASH, nullable=False),
        sa.Column("previous", _HASH, nullable=False),
        sa.Column("hash", _HASH, nullable=False),
        sa.PrimaryKeyConstraint("entry", name="pk_audit"),
        sa.UniqueConstraint("previous", name="uq_audit_previous"),
        sa.UniqueConstraint("hash", name="uq_audit_hash"),
    )


def _parties() -> None:
    op.create_table(
        "pens",
        sa.Column("unique_id", _NUMBER, nullable=False),
        sa.Column("board", _TEXT, nullable=False),
        sa.Column("first_entry", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("unique_id", name="pk_pens"),
        sa.ForeignKeyConstraint(["first_entry"], ["audit.entry"], name="fk_pens_first_entry"),
    )
    op.create_table(
        "gauges",
        sa.Column("fingerprint", _HASH, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("model", _TEXT, nullable=False),
        sa.Column("serial", _TEXT, nullable=False),
        sa.Column("certificate", _TEXT, nullable=False),
        sa.Column("due", sa.Date, nullable=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("first_entry", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_gauges"),
        sa.ForeignKeyConstraint(["first_entry"], ["audit.entry"], name="fk_gauges_first_entry"),
    )
    op.create_index("ix_gauges_serial", "gauges", ["serial"])
    op.create_table(
        "numbers",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("at", _UTC, nullable=False),
        sa.Column("who", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_numbers"),
    )


def _calibrations() -> None:
    op.create_table(
        "calibrations",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("entry", sa.Integer, nullable=False),
        sa.Column("pen", _NUMBER, nullable=False),
        sa.Column("pen_name", _TEXT, nullable=False),
        sa.Column("gauge", _HASH, nullable=False),
        sa.Column("operator", _TEXT, nullable=False),
        sa.Column("begun", _UTC, nullable=False),
        sa.Column("ended", _UTC, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("due", sa.Date, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("written", sa.Boolean, nullable=False),
        sa.Column("expanded_um", sa.Double, nullable=False),
        sa.Column("as_found_um", sa.Double, nullable=True),
        sa.Column("as_left_um", sa.Double, nullable=True),
        sa.Column("run_s", sa.Integer, nullable=False),
        sa.Column("firmware", _TEXT, nullable=False),
        sa.Column("software", _TEXT, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_calibrations"),
        sa.UniqueConstraint("entry", name="uq_calibrations_entry"),
        sa.ForeignKeyConstraint(["entry"], ["audit.entry"], name="fk_calibrations_entry"),
        sa.ForeignKeyConstraint(["pen"], ["pens.unique_id"], name="fk_calibrations_pen"),
        sa.ForeignKeyConstraint(["gauge"], ["gauges.fingerprint"], name="fk_calibrations_gauge"),
    )
    for column in ("pen", "operator", "day", "due"):
        op.create_index(f"ix_calibrations_{column}", "calibrations", [column])


def _readings() -> None:
    op.create_table(
        "readings",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("place", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("replaced", sa.Boolean, nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("set_um", sa.Integer, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("direction", sa.String(4), nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("value_mm", sa.Double, nullable=False),
        sa.Column("unit", sa.String(4), nullable=False),
        sa.Column("at", _UTC, nullable=False),
        sa.Column("travel_um", sa.Integer, nullable=False),
        sa.Column("hall_um", sa.Integer, nullable=False),
        sa.Column("nose_c", sa.Double, nullable=False),
        sa.Column("cell_v", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("number", "place", name="pk_readings"),
        sa.ForeignKeyConstraint(["number"], ["calibrations.number"], name="fk_readings_number"),
    )
