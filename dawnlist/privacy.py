"""The key of the pseudonyms, and keyed hashing inside DuckDB.

    user_id = first 32 hex digits of HMAC-SHA256(key, user_namespace + raw id)        RFC 2104, FIPS 180-4

A website or a CMS that holds raw ids computes the same value. `key_id` names the key without giving it away.
"""

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist.errors import SettingsError, StorageError
from dawnlist.files import write_text

if TYPE_CHECKING:
    import duckdb

    from dawnlist.settings import Settings

BLOCK_BYTES = 64  # of SHA-256
HEX_DIGITS = 32  # 128 bits


@dataclass(frozen=True)
class Key:
    """A pseudonym key and its public name. The secret is left out of the representation."""

    secret: bytes = field(repr=False)

    @property
    def key_id(self) -> str:
        """8 hex digits that name the key; derived from it, not leading back to it."""
        return hmac.new(self.secret, b"dawnlist/key-id", hashlib.sha256).hexdigest()[:8]

    @property
    def salt(self) -> str:
        """Goes into the hash of rows without an event id, so that nobody can test guesses of a raw row against it."""
        return hmac.new(self.secret, b"dawnlist/event-id", hashlib.sha256).hexdigest()

    def pseudonym(self, namespace: str, raw_id: str) -> str:
        """The keyed hash of one raw id."""
        return hmac.new(self.secret, (namespace + raw_id).encode(), hashlib.sha256).hexdigest()[:HEX_DIGITS]

    def define_macro(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Make `pseudonym(text)` available on this in-memory connection; `text` is the namespace and the raw id."""
        block = (hashlib.sha256(self.secret).digest() if len(self.secret) > BLOCK_BYTES else self.secret).ljust(BLOCK_BYTES, b"\0")
        inner, outer = (bytes(byte ^ pad for byte in block).hex() for pad in (0x36, 0x5C))
        connection.execute(
            "CREATE OR REPLACE TEMP MACRO pseudonym(message) AS "
            f"left(sha256(unhex('{outer}') || unhex(sha256(unhex('{inner}') || encode(message)))), {HEX_DIGITS})"
        )


def load_key(settings: "Settings") -> Key:
    """The key from the environment, else from the key file; a home without any gets a new one, readable by its owner only.

    Raises SettingsError when the file that the settings name is missing, too short, or readable by others.
    """
    if settings.privacy.key is not None:
        return Key(settings.privacy.key.get_secret_value().encode())
    path = settings.privacy.key_file or settings.home / "secrets" / "pseudonym.key"
    if not path.exists():
        if settings.privacy.key_file is not None:
            raise SettingsError(f"privacy.key_file {path} does not exist. Write the key there (mode 0600), or set DAWNLIST_PRIVACY__KEY.")
        _generate(path)
    return Key(_read_private(path))


def _generate(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_text(path, secrets.token_hex(32) + "\n", mode=0o600)
    except OSError as error:
        raise StorageError(f"Cannot write the pseudonym key {path}: {error.strerror}. Check the rights of the folder, or set DAWNLIST_HOME.") from error


def _read_private(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"Cannot read the pseudonym key {path}: {error.strerror}.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and os.name == "posix":
        raise SettingsError(f"The pseudonym key {path} can be read by others. Run `chmod 600 {path}`.")
    if len(secret) < 16:
        raise SettingsError(f"The pseudonym key {path} must have at least 16 characters.")
    return secret
