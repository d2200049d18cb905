"""The pipeline: conversations in, screenings out."""

__version__ = "0.1.0"
