"""The key of the pseudonyms, and keyed hashing inside DuckDB.

    user_id = first 32 hex digits of HMAC-SHA256(key, user_namespace + raw id)        RFC 2104, FIPS 180-4

A website or a CMS that holds raw ids computes the same value. `key_id` names the key without giving it away. While a key and the one
before it overlap, ingest hashes every id with both and links the two: docs/privacy.md.
"""

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dawnlist.errors import SettingsError, StorageError
from dawnlist.files import write_text

if TYPE_CHECKING:
    import duckdb
    from pydantic import SecretStr

    from dawnlist.settings import Settings

BLOCK_BYTES = 64  # of SHA-256
HEX_DIGITS = 32  # 128 bits


@dataclass(frozen=True)
class Key:
    """A pseudonym key, its public name and, during an overlap, the key before it. Secrets are left out of the representation.

    `event_salt` is that of the home's first key, so that a row keeps its event id whatever the key is now; None = this key's own.
    """

    secret: bytes = field(repr=False)
    previous: "Key | None" = None
    event_salt: str | None = field(default=None, repr=False)

    @property
    def key_id(self) -> str:
        """8 hex digits that name the key; derived from it, not leading back to it."""
        return hmac.new(self.secret, b"dawnlist/key-id", hashlib.sha256).hexdigest()[:8]

    @property
    def salt(self) -> str:
        """Goes into the hash of rows without an event id, so that nobody can test guesses of a raw row against it."""
        return self.event_salt or hmac.new(self.secret, b"dawnlist/event-id", hashlib.sha256).hexdigest()

    def pseudonym(self, namespace: str, raw_id: str) -> str:
        """The keyed hash of one raw id."""
        return hmac.new(self.secret, (namespace + raw_id).encode(), hashlib.sha256).hexdigest()[:HEX_DIGITS]

    def define_macro(self, connection: "duckdb.DuckDBPyConnection", name: str = "pseudonym") -> None:
        """Make `pseudonym(text)` available on this in-memory connection; `text` is the namespace and the raw id."""
        block = (hashlib.sha256(self.secret).digest() if len(self.secret) > BLOCK_BYTES else self.secret).ljust(BLOCK_BYTES, b"\0")
        inner, outer = (bytes(byte ^ pad for byte in block).hex() for pad in (0x36, 0x5C))
        connection.execute(
            f"CREATE OR REPLACE TEMP MACRO {name}(message) AS "
            f"left(sha256(unhex('{outer}') || unhex(sha256(unhex('{inner}') || encode(message)))), {HEX_DIGITS})"
        )


def key_path(settings: "Settings") -> Path:
    """The key's file, which need not be there."""
    return settings.privacy.key_file or settings.home / "secrets" / "pseudonym.key"


def previous_key_path(settings: "Settings") -> Path:
    """The file of the key before, which is there during an overlap only."""
    path = key_path(settings)
    return settings.privacy.previous_key_file or path.with_name(f"{path.name}.previous")


def load_key(settings: "Settings") -> Key:
    """The key from the environment, else from the key file, and the key before it where one is given. A home without any key gets a new
    one, readable by its owner only.

    Raises SettingsError when a file that the settings name is missing, too short, or readable by others.
    """
    path = key_path(settings)
    if settings.privacy.key is None and settings.privacy.key_file is None and not path.exists():
        _write_secret(path, secrets.token_hex(32))
    key = _load(settings.privacy.key, path, "key")
    previous_path = previous_key_path(settings)
    has_previous = settings.privacy.previous_key is not None or settings.privacy.previous_key_file is not None or previous_path.exists()
    previous = _load(settings.privacy.previous_key, previous_path, "previous_key") if has_previous else key
    overlapping = None if previous == key else previous
    return replace(key, previous=overlapping, event_salt=_event_salt(settings, overlapping or key))


def has_key(settings: "Settings") -> bool:
    """Whether there is a key already, in the environment or in a file."""
    return settings.privacy.key is not None or settings.privacy.key_file is not None or key_path(settings).exists()


def n_links(settings: "Settings", key: Key) -> int:
    """How many ids of `key` the lake has linked to the key before it."""
    from dawnlist import duck
    from dawnlist.columns import KEY_LINKS
    from dawnlist.lake import Lake

    links = duck.scan(Lake(settings.lake_dir).snapshot().files("key_links"), KEY_LINKS)
    with duck.connect(settings) as connection:
        row = connection.execute(f"SELECT count(DISTINCT id) FROM {links} WHERE key_id = ?", [key.key_id]).fetchone()
    return row[0] if row else 0


def rotate(settings: "Settings") -> Key:
    """Put a new key in the place of the key file, and the old one beside it as the previous one. Returns the new key, with the old one.

    Killed in between, the old key is its own previous one, which is no overlap: rotate again. Nothing may be ingesting meanwhile.
    Raises SettingsError when the key is in the environment, or when an overlap is on already.
    """
    if settings.privacy.key is not None:
        raise SettingsError(
            "The key is in the environment. Set DAWNLIST_PRIVACY__PREVIOUS_KEY to what DAWNLIST_PRIVACY__KEY is now, and DAWNLIST_PRIVACY__KEY to a new key."
        )
    old, path, previous_path = load_key(settings), key_path(settings), previous_key_path(settings)
    if old.previous is not None:
        raise SettingsError(
            f"The keys {old.previous.key_id} and {old.key_id} overlap already. End that overlap first: remove {previous_path} or DAWNLIST_PRIVACY__PREVIOUS_KEY."
        )
    try:
        if not previous_path.exists():
            os.link(path, previous_path)
    except OSError as error:
        raise StorageError(
            f"Cannot put the old key to {previous_path}: {error.strerror}. Check the rights of the folder, or copy it there (mode 0600)."
        ) from error
    _write_secret(path, secrets.token_hex(32))
    return load_key(settings)


def _load(given: "SecretStr | None", path: Path, setting: str) -> Key:
    if given is not None:
        return Key(given.get_secret_value().encode())
    if not path.exists():
        raise SettingsError(f"privacy.{setting}_file {path} does not exist. Write the key there (mode 0600), or set DAWNLIST_PRIVACY__{setting.upper()}.")
    return Key(_read_private(path))


def _event_salt(settings: "Settings", first: Key) -> str:
    """The salt of the home's event ids, kept beside the key: a new key must not give an old row another event id."""
    path = settings.home / "secrets" / "event-ids.salt"
    if not path.exists():
        _write_secret(path, first.salt)
    return _read_private(path).decode()


def _write_secret(path: Path, secret: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_text(path, secret + "\n", mode=0o600)
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
