"""Files behind a URL such as s3://bucket/prefix, listed, copied and written by fsspec: the one place that opens one.

Which file systems there are, and where each finds its credentials, is fsspec's: https://filesystem-spec.readthedocs.io. S3 needs the
package s3fs and reads the AWS_ variables and files of the environment; AWS_ENDPOINT_URL names a store that is not Amazon's.
"""

import errno
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dawnlist.errors import DawnlistError, DeliveryError, LandingError, LandingStoreError, SettingsError

READ_BYTES = 8 << 20
# File systems with folders, which have to be made. Elsewhere there are none, and to make one could make a bucket of a misspelt name.
FOLDERED = {"file", "local", "sftp", "ssh", "ftp", "smb", "hdfs", "webhdfs"}
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
    with _reached(url):
        system, root = _opened(url)
        return bool(system.isdir(root))


def matching(url: str, pattern: str) -> dict[str, RemoteFile]:
    """The files below `url` that match the glob `pattern`: name relative to `url` -> file, sorted by name.

    One flat listing from the last folder that the pattern spells out: folder by folder would ask the store once for each hour.
    """
    from fsspec.utils import glob_translate

    with _reached(url):
        system, root = _opened(url)
        start = "/".join([root, *_spelt_out(pattern)])
        found = system.find(start, detail=True)
    wanted = re.compile(glob_translate(pattern))
    names = {path[len(root) :].lstrip("/"): info for path, info in found.items() if info["type"] == "file"}
    return {name: RemoteFile(f"{url}/{name}", _mark(info), info.get("size")) for name, info in sorted(names.items()) if wanted.match(name)}


def copy(file: RemoteFile, target: Path) -> str:
    """Copy the file to `target` and return the SHA-256 of its bytes, taken on the way."""
    digest, n_bytes = hashlib.sha256(), 0
    with _reached(file.url):
        system, path = _opened(file.url)
        with system.open(path, "rb", block_size=READ_BYTES) as stream, target.open("wb") as copied:
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
        place = f"{self.root}/{name}"
        protocols = self.system.protocol
        if FOLDERED & set([protocols] if isinstance(protocols, str) else protocols):
            self.system.makedirs(place.rpartition("/")[0], exist_ok=True)
        self.system.put_file(str(source), place)

    def write(self, name: str, content: bytes) -> None:
        """Write `content` to the file `name`."""
        with self.system.open(f"{self.root}/{name}", "wb") as stream:
            stream.write(content)


@contextmanager
def target(url: str) -> Iterator[Target]:
    """The folder behind `url`, to write to. Raises SettingsError for a URL that cannot be written to here, and DeliveryError when the other side cannot be reached or refuses."""
    try:
        yield Target(*_opened(url))
    except ImportError as error:
        raise SettingsError(
            f"{url} needs a Python package that is not installed: {error.name or error}. For s3:// install s3fs, for sftp:// paramiko."
        ) from error
    except ValueError as error:
        raise SettingsError(f"delivery.to = {url} is no URL that files can be written to.") from error
    except DawnlistError:
        raise
    except Exception as error:  # a store's own errors are of many kinds, and their text may hold credentials
        raise DeliveryError(
            f"{url} cannot be written ({type(error).__name__}). Check it and the credentials in the environment; then run this again."
        ) from error


def _opened(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    system, root = url_to_fs(url, use_listings_cache=False)
    return system, root.rstrip("/")


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
        raise LandingError(f"{url} needs a Python package that is not installed: {error.name or error}. For s3:// install s3fs.") from error
    except ValueError as error:
        raise LandingError(f"{url} is no URL that files can be read from. Check landing: it is like s3://bucket/folder.") from error
    except FileNotFoundError as error:
        raise LandingStoreError(f"{url} is not there: no such bucket, or the file was taken away meanwhile. Check landing.") from error
    except LandingStoreError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # our own disk, not the store
            raise
        raise LandingStoreError(
            f"{url} cannot be read ({type(error).__name__}). Check landing, the credentials in the environment, and the way to the store; then run this again."
        ) from error
