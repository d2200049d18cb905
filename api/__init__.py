"""The command line and, above it, the service."""
