"""SFTP as fsspec has it, but to hosts whose key is known, and with an end to each wait and to the connection.

fsspec's own takes whatever host key it is shown: who stands between could read a password and all that is sent. Needs the package paramiko.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

from dawnlist.errors import SettingsError

WAIT_SECONDS = 60  # for a connection, and for each answer of the server
KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "~/.ssh/known_hosts")

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # without a handler it prints tracebacks


class KnownHosts(SFTPFileSystem):
    """Files behind sftp://user@host:port/path. Raises SettingsError where `KNOWN_HOSTS` have not the key that the host shows.

    Who we are is said by FSSPEC_SFTP_PASSWORD, or FSSPEC_SFTP_KEY_FILENAME with FSSPEC_SFTP_PASSPHRASE, or by an SSH agent, or by the keys in ~/.ssh.
    """

    cachable = False  # a connection that has broken would be taken again

    def close(self) -> None:
        """End the connection."""
        self.client.close()

    def mv(self, old: str, new: str) -> None:
        """Rename `old` to `new`, which may be there: in one step, where the server knows OpenSSH's posix-rename."""
        try:
            super().mv(old, new)
        except OSError as error:
            if error.errno is not None:  # no right to, or no such file: what is there stays
                raise
            if self.exists(new):
                self.ftp.remove(new)
            self.ftp.rename(old, new)

    def walk(self, path: str, maxdepth: int | None = None, topdown: bool = True, on_error: Any = "omit", **kwargs: Any) -> Iterator[Any]:
        """As fsspec's, but what cannot be listed is an error: a connection that breaks would look like an empty folder."""
        return super().walk(path, maxdepth, topdown, _unless_missing if on_error == "omit" else on_error, **kwargs)

    def _connect(self) -> None:
        options = {name: value for name, value in self.ssh_kwargs.items() if name != "use_listings_cache"}
        for name in ("username", "password", "passphrase"):
            if not isinstance(options.get(name, ""), str):  # fsspec reads its variables as JSON
                raise SettingsError(f"FSSPEC_SFTP_{name.upper()} is read as JSON, and is no text there: put it in double quotes, as in '\"1234\"'.")
        self.client = paramiko.SSHClient()
        for place in KNOWN_HOSTS:
            if (file := Path(place).expanduser()).is_file():
                self.client.load_system_host_keys(str(file))
        self.client.set_missing_host_key_policy(_Refused())
        waits = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout", "channel_timeout"), WAIT_SECONDS)
        try:
            self.client.connect(self.host, **(waits | options))
            self.ftp = self.client.open_sftp()
        except paramiko.BadHostKeyException as error:
            self.close()
            raise _unknown(error.hostname, error.key, "another") from error
        except BaseException:
            self.close()
            raise
        self.ftp.get_channel().settimeout(WAIT_SECONDS)


class _Refused(paramiko.MissingHostKeyPolicy):
    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
        raise _unknown(hostname, key, "none")


def _unknown(host: str, key: Any, known: str) -> SettingsError:
    return SettingsError(
        f"{host} shows the host key {key.get_name()} {key.fingerprint}, and ~/.ssh/known_hosts has {known} of it. "
        f"Ask its owner whether that is its key; if so, put it there (ssh-keyscan prints the line)."
    )


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
