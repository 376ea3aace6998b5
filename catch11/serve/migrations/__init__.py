"""Steps of the database from one version of the gateway to the next, run by Alembic."""
