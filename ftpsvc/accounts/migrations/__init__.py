"""How the database became what it is: Alembic's environment and its steps, applied when a database is opened."""
