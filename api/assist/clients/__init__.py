"""Clients of the stream for desks: `desk.py` in Python, `desk.mjs` in plain JavaScript."""
