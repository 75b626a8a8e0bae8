"""Run by alembic: the connection comes from needlepen.calibration.database.migrating."""

from alembic import context

from needlepen.calibration.database.tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=False)
context.run_migrations()
