"""The store: tables, engine and migrations. SQLite by default, PostgreSQL by one setting; the same schema on both."""
