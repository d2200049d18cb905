"""Texts at rest: compressed, and encrypted with AES-GCM where a key is set.

The first byte tells the form: 1 compressed; 2 encrypted, followed by the length of the key's id, the id, a nonce of 12 bytes
and the sealed bytes. Old keys stay readable until everything was written anew.
"""

import os
import zlib
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PLAIN, _SEALED = 1, 2
_NONCE = 12
_LEVEL = 3


class BodyError(RuntimeError):
    """Stored bytes that cannot be read: their key is not set, or they were changed."""


class Bodies:
    """Packs and unpacks stored texts. `keys` maps key ids to 32 bytes each; new bodies are sealed with `current`."""

    def __init__(self, keys: Mapping[str, bytes] | None = None, current: str | None = None):
        self._keys = {name: AESGCM(key) for name, key in (keys or {}).items()}
        if current is not None and current not in self._keys:
            raise ValueError(f"encryption: the current key {current!r} is not among the keys")
        self._current = current

    @property
    def encrypts(self) -> bool:
        """Whether new bodies are encrypted; text search is off then."""
        return self._current is not None

    def is_current(self, stored: bytes) -> bool:
        """Whether these bytes are as `pack` would make them now: under the current key, or open where there is none."""
        return self.key_of(stored) == self._current

    def pack(self, data: bytes) -> bytes:
        """The bytes to store."""
        packed = zlib.compress(data, _LEVEL)
        if self._current is None:
            return bytes((_PLAIN,)) + packed
        name = self._current.encode()
        head = bytes((_SEALED, len(name))) + name
        nonce = os.urandom(_NONCE)
        return head + nonce + self._keys[self._current].encrypt(nonce, packed, head)

    def unpack(self, stored: bytes) -> bytes:
        """What was packed; raises `BodyError`."""
        if stored[0] == _PLAIN:
            return zlib.decompress(stored[1:])
        name = self.key_of(stored)
        if name is None or name not in self._keys:
            raise BodyError(f"a stored text was encrypted with key {name!r}, which is not set; add it to encryption_keys")
        at = 2 + stored[1]
        try:
            packed = self._keys[name].decrypt(stored[at : at + _NONCE], stored[at + _NONCE :], stored[:at])
        except InvalidTag:
            raise BodyError(f"a stored text does not open with key {name!r}: it was changed, or the key is another one") from None
        return zlib.decompress(packed)

    def key_of(self, stored: bytes) -> str | None:
        """The id of the key that sealed these bytes; None where they are not encrypted."""
        return stored[2 : 2 + stored[1]].decode() if stored[0] == _SEALED else None
