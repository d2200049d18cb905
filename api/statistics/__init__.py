"""What the dashboard shows: counts over a period, made by the database, scoped to whoever asks."""
