"""Finders and excuses: each looks at one thing and says what it saw, never how bad it is."""
