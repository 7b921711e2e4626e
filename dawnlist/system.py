"""What the machine must have beside the Python packages: a Java runtime for Spark, libgomp for LightGBM, and a home that can be written.

Each check is quiet when all is well and else raises an error that says what to install. `make system` installs the packages.
"""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dawnlist.errors import StorageError, SystemRequirementError

MINIMUM_JAVA = 17  # what Spark 4 asks for
LIBGOMP = "libgomp.so.1"
JAVA_TIMEOUT_SECONDS = 60
_INSTALL_JAVA = "Run `make system`, or install openjdk-17-jre-headless yourself, or point JAVA_HOME to another Java."


def require_java(environment: Mapping[str, str] | None = None) -> None:
    """Raise SystemRequirementError unless the Java that Spark would start is of version 17 or newer.

    Spark starts $JAVA_HOME/bin/java where JAVA_HOME is set, else the `java` on PATH. `environment` defaults to the process's own.
    """
    java = _java(os.environ if environment is None else environment)
    try:
        shown = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=JAVA_TIMEOUT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise SystemRequirementError(f"{java} does not start: Spark needs a Java runtime of version {MINIMUM_JAVA} or newer. {_INSTALL_JAVA}") from error
    version = java_version(shown.stderr + shown.stdout)
    if version is None or version < MINIMUM_JAVA:
        found = "a version that cannot be read" if version is None else f"version {version}"
        raise SystemRequirementError(f"{java} is {found}: Spark needs Java {MINIMUM_JAVA} or newer. {_INSTALL_JAVA}")


def _java(environment: Mapping[str, str]) -> str:
    """The path of the Java that Spark's own start script would take."""
    home = environment.get("JAVA_HOME")
    found = str(Path(home, "bin", "java")) if home else shutil.which("java", path=environment.get("PATH", os.defpath))
    if found is None or not os.access(found, os.X_OK):
        where = f"at JAVA_HOME ({home})" if home else "on the PATH"
        raise SystemRequirementError(f"There is no Java {where}: Spark needs version {MINIMUM_JAVA} or newer. {_INSTALL_JAVA}")
    return found


def java_version(text: str) -> int | None:
    """The feature release in what `java -version` prints ('openjdk version "17.0.15"' is 17, "1.8.0_412" is 8); None where it says none."""
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else None


def require_libgomp(library: str = LIBGOMP) -> None:
    """Raise SystemRequirementError unless the OpenMP runtime can be loaded that LightGBM's wheel is linked with."""
    try:
        ctypes.CDLL(library)
    except OSError as error:
        raise SystemRequirementError(
            f"{library} is missing: LightGBM cannot start without it. Run `make system`, or install libgomp1 yourself, and run this again."
        ) from error


def require_writable(folder: Path) -> None:
    """Make `folder` if it is not there. Raises StorageError when it cannot be made or when no file can be written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-") as probe:
            probe.write(b"dawnlist")
            probe.flush()
    except OSError as error:
        raise StorageError(
            f"Cannot write in {folder}: {error.strerror}. Check its rights and the space on its disk, or set DAWNLIST_HOME to another folder."
        ) from error


def require_all(home: Path) -> None:
    """All checks that a whole night needs, the quick ones first."""
    require_writable(home)
    require_libgomp()
    require_java()
