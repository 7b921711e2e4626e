"""An SFTP server that tests start for themselves, with what servers do wrong: connections that break, and renames that they do not know."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec
import paramiko
import pytest
from paramiko import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_SUCCEEDED,
    SFTP_FAILURE,
    SFTP_OK,
    SFTP_OP_UNSUPPORTED,
    SFTP_PERMISSION_DENIED,
    SFTPAttributes,
    SFTPServer,
)

USER, PASSWORD = "dawnlist", "a-secret-word"


class Server:
    """Files of `root` for one user. `steps` are what it was asked to do to them, in order; `breaks_at` is the write during which the connection breaks, or
    `is_silent` from then on; `hidden` is a folder that may not be listed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.key = paramiko.ECDSAKey.generate()
        self.user_key: paramiko.PKey | None = None
        self.steps: list[tuple[str, str]] = []
        self.passwords: list[str] = []
        self.n_writes = 0
        self.breaks_at: int | None = None
        self.is_silent = False
        self.ended = threading.Event()
        self.has_posix_rename = True
        self.hidden = ""
        self.transports: list[paramiko.Transport] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"sftp://{USER}@127.0.0.1:{self.port}/cms"

    @property
    def known(self) -> str:
        """The line for known_hosts."""
        return f"[127.0.0.1]:{self.port} {self.key.get_name()} {self.key.get_base64()}\n"

    def all_left(self) -> bool:
        """Whether all connections were ended by who made them."""
        for transport in self.transports:
            transport.join(10)
        return not any(transport.is_alive() for transport in self.transports)

    def serve(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        self.transports.append(transport)
        transport.add_server_key(self.key)
        transport.set_subsystem_handler("sftp", SFTPServer, _Files, self, transport)
        with suppress(paramiko.SSHException, EOFError):  # the other side may not like our key
            transport.start_server(server=_Login(self))


@contextmanager
def sftp_serving(root: Path) -> Iterator[Server]:
    """A server of the files below `root` on this machine, until the block ends."""
    root.mkdir()
    server = Server(root)
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]

    def accept() -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                server.serve(listener.accept()[0])

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    yield server
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    accepting.join()
    server.ended.set()
    for transport in server.transports:
        transport.close()


def reach(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `home` the home of somebody who knows the server's key, and whose environment has the password."""
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "known_hosts").write_text(server.known)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setitem(fsspec.config.conf, "sftp", {"password": PASSWORD})  # what fsspec makes of FSSPEC_SFTP_PASSWORD when it is imported


class _Login(paramiko.ServerInterface):
    def __init__(self, server: Server) -> None:
        self.server = server

    def get_allowed_auths(self, username: str) -> str:
        return "password,publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        self.server.passwords.append(password)
        return AUTH_SUCCESSFUL if (username, password) == (USER, PASSWORD) else AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL if (username, key) == (USER, self.server.user_key) else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED


class _Handle(paramiko.SFTPHandle):
    def __init__(self, files: "_Files", file: Any, flags: int) -> None:
        super().__init__(flags)
        self.files = files
        self.readfile = self.writefile = file

    def stat(self) -> SFTPAttributes:
        return SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))

    def write(self, offset: int, data: bytes) -> int:
        server = self.files.state
        server.n_writes += 1
        if server.n_writes != server.breaks_at:
            return super().write(offset, data)
        super().write(offset, data[: len(data) // 2])
        if server.is_silent:
            server.ended.wait()
        else:
            self.files.transport.close()
        return SFTP_FAILURE


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, login: _Login, state: Server, transport: paramiko.Transport) -> None:
        super().__init__(login)
        self.state, self.transport = state, transport

    def at(self, path: str) -> Path:
        return self.state.root / self.canonicalize(path).lstrip("/")

    def did(self, step: str, path: str) -> None:
        self.state.steps.append((step, self.canonicalize(path).lstrip("/")))

    def open(self, path: str, flags: int, attr: SFTPAttributes) -> Any:
        try:
            opened = os.open(self.at(path), flags, 0o600)
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)
        if flags & os.O_WRONLY:
            self.did("write", path)
        return _Handle(self, os.fdopen(opened, "wb" if flags & os.O_WRONLY else "rb"), flags)

    def stat(self, path: str) -> Any:
        try:
            return SFTPAttributes.from_stat(self.at(path).stat())
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)

    lstat = stat

    def list_folder(self, path: str) -> Any:
        if self.at(path) == self.state.root / self.state.hidden:
            return SFTP_PERMISSION_DENIED
        try:
            return [SFTPAttributes.from_stat(found.stat(), found.name) for found in sorted(self.at(path).iterdir())]
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)

    def mkdir(self, path: str, attr: SFTPAttributes) -> int:
        self.at(path).mkdir()
        return SFTP_OK

    def remove(self, path: str) -> int:
        self.did("remove", path)
        self.at(path).unlink()
        return SFTP_OK

    def rename(self, oldpath: str, newpath: str) -> int:
        if self.at(newpath).exists():
            return SFTP_FAILURE
        self.did("rename", newpath)
        self.at(oldpath).rename(self.at(newpath))
        return SFTP_OK

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        if not self.state.has_posix_rename:
            return SFTP_OP_UNSUPPORTED
        self.did("rename", newpath)
        self.at(oldpath).replace(self.at(newpath))
        return SFTP_OK
