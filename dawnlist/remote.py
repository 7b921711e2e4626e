"""Files behind a URL such as s3://bucket/prefix, listed, copied and written by fsspec: the one place that opens one.

Which file systems there are, and where each finds its credentials, is fsspec's: https://filesystem-spec.readthedocs.io. S3 needs the
package s3fs and reads the AWS_ variables and files of the environment; AWS_ENDPOINT_URL names a store that is not Amazon's. SFTP is in dawnlist.sftp.
"""

import errno
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dawnlist.errors import DawnlistError, DeliveryError, LandingError, LandingStoreError, SettingsError

READ_BYTES = 8 << 20
# File systems with folders, which have to be made. Elsewhere there are none, and to make one could make a bucket of a misspelt name.
FOLDERED = {"file", "local", "sftp", "ssh", "ftp", "smb", "hdfs", "webhdfs"}
# Those of them whose rename takes the place of what is there, in one step.
RENAMING = {"file", "local", "sftp", "ssh"}
PACKAGES = "For s3:// install s3fs, for sftp:// paramiko."
# What file systems call the things by which a changed file is known.
MARKS = {"size", "etag", "md5", "md5hash", "generation", "mtime", "lastmodified", "last_modified", "updated", "created"}


@dataclass(frozen=True)
class RemoteFile:
    """A file behind a URL. `mark` changes when the file does; `size` in bytes, where the store says it."""

    url: str
    mark: str
    size: int | None


def is_url(place: object) -> bool:
    """Whether `place` is a URL and not a path."""
    return isinstance(place, str) and "://" in place


def has_folder(url: str) -> bool:
    """Whether anything lies below `url`."""
    with _reached(url), _opened(url) as (system, root):
        return bool(system.isdir(root))


def matching(url: str, pattern: str) -> dict[str, RemoteFile]:
    """The files below `url` that match the glob `pattern`: name relative to `url` -> file, sorted by name.

    One flat listing from the last folder that the pattern spells out: folder by folder would ask the store once for each hour.
    """
    from fsspec.utils import glob_translate

    with _reached(url), _opened(url) as (system, root):
        start = "/".join([root, *_spelt_out(pattern)])
        found = system.find(start, detail=True)
    wanted = re.compile(glob_translate(pattern))
    names = {path[len(root) :].lstrip("/"): info for path, info in found.items() if info["type"] == "file"}
    return {name: RemoteFile(f"{url}/{name}", _mark(info), info.get("size")) for name, info in sorted(names.items()) if wanted.match(name)}


def copy(file: RemoteFile, target: Path) -> str:
    """Copy the file to `target` and return the SHA-256 of its bytes, taken on the way."""
    digest, n_bytes = hashlib.sha256(), 0
    with (
        _reached(file.url),
        _opened(file.url) as (system, path),
        system.open(path, "rb", block_size=READ_BYTES) as stream,
        target.open("wb") as copied,
    ):
        while chunk := stream.read(READ_BYTES):
            digest.update(chunk)
            n_bytes += copied.write(chunk)
    if file.size is not None and n_bytes != file.size:
        raise LandingStoreError(f"{file.url} changed while it was read. Run this again.")
    return digest.hexdigest()


@dataclass(frozen=True)
class Target:
    """A folder that files are written to: a path, or behind a URL. Open it with `target`."""

    system: Any
    root: str

    def has(self, name: str, size: int) -> bool:
        """Whether the file `name` is there with `size` bytes: one that was cut short has another size."""
        place = f"{self.root}/{name}"
        return bool(self.system.exists(place)) and self.system.size(place) == size

    def put(self, source: Path, name: str) -> None:
        """Copy the file `source` to `name`."""
        self._fill(name, lambda place: self.system.put_file(str(source), place))

    def write(self, name: str, content: bytes) -> None:
        """Write `content` to the file `name`."""
        self._fill(name, lambda place: self.system.pipe_file(place, content))

    def _fill(self, name: str, fill: Callable[[str], None]) -> None:
        """Make the file `name`. An object of a store appears whole; in a folder the file is filled beside its place and renamed, so that nobody meets half of it."""
        place = f"{self.root}/{name}"
        folder, _, last = place.rpartition("/")
        protocols = {self.system.protocol} if isinstance(self.system.protocol, str) else set(self.system.protocol)
        if protocols & FOLDERED:
            self.system.makedirs(folder, exist_ok=True)
        if protocols & RENAMING:
            fill(f"{folder}/.{last}.part")
            self.system.mv(f"{folder}/.{last}.part", place)
        else:
            fill(place)


@contextmanager
def target(url: str) -> Iterator[Target]:
    """The folder behind `url`, to write to. Raises SettingsError for a URL that cannot be written to here, and DeliveryError when the other side cannot be reached or refuses."""
    try:
        with _opened(url) as (system, root):
            yield Target(system, root)
    except ImportError as error:
        raise SettingsError(f"{url} needs a Python package that is not installed: {error.name or error}. {PACKAGES}") from error
    except ValueError as error:
        raise SettingsError(f"delivery.to = {url} is no URL that files can be written to.") from error
    except DawnlistError:
        raise
    except Exception as error:  # a store's own errors are of many kinds, and their text may hold credentials
        raise DeliveryError(
            f"{url} cannot be written ({type(error).__name__}). Check it and the credentials in the environment; then run this again."
        ) from error


@contextmanager
def _opened(url: str) -> Iterator[tuple[Any, str]]:
    """The file system behind `url`, and the path there."""
    from fsspec import register_implementation
    from fsspec.core import url_to_fs

    if {"sftp", "ssh"} & set(re.findall(r"(\w+)://", url)):
        from dawnlist.sftp import KnownHosts

        for protocol in KnownHosts.protocol:
            register_implementation(protocol, KnownHosts, clobber=True)
    system, root = url_to_fs(url, use_listings_cache=False)
    try:
        yield system, root.rstrip("/")
    finally:
        if hasattr(system, "close"):  # those that keep a connection
            system.close()


def _spelt_out(pattern: str) -> list[str]:
    folders = pattern.split("/")[:-1]
    return folders[: next((depth for depth, name in enumerate(folders) if re.search(r"[*?\[]", name)), len(folders))]


def _mark(info: dict[str, Any]) -> str:
    return " ".join(str(info[name]) for name in sorted(info) if name.lower() in MARKS)


@contextmanager
def _reached(url: str) -> Iterator[None]:
    """Errors of the store as one sentence. Its own text is not passed on: it may hold credentials."""
    try:
        yield
    except ImportError as error:
        raise LandingError(f"{url} needs a Python package that is not installed: {error.name or error}. {PACKAGES}") from error
    except ValueError as error:
        raise LandingError(f"{url} is no URL that files can be read from. Check landing: it is like s3://bucket/folder.") from error
    except FileNotFoundError as error:
        raise LandingStoreError(f"{url} is not there: no such bucket, or the file was taken away meanwhile. Check landing.") from error
    except DawnlistError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # our own disk, not the store
            raise
        raise LandingStoreError(
            f"{url} cannot be read ({type(error).__name__}). Check landing, the credentials in the environment, and the way to the store; then run this again."
        ) from error
