"""Passwords: argon2id, and what a password must be."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 12, 200
_hasher = PasswordHasher()
_NOBODY = _hasher.hash("the password of no user")


def problem(password: str, name: str) -> str | None:
    """Why a password will not do, or None."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"a password has {SHORTEST} to {LONGEST} characters, this one has {len(password)}"
    if name.lower() in password.lower() or len(set(password)) < 5:
        return "a password does not hold the user's name and has at least 5 different characters"
    return None


def hashed(password: str) -> str:
    """The argon2id hash of a password with its parameters and salt."""
    return _hasher.hash(password)


def matches(stored: str | None, password: str) -> bool:
    """Whether the password fits; takes as long where there is no such user (None)."""
    try:
        _hasher.verify(_NOBODY if stored is None else stored, password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def outdated(stored: str) -> bool:
    """Whether a hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)
