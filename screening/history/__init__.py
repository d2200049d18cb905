"""Signals over several conversations of one customer or one vendor; pure functions, the same for archives and the service."""
