"""What a benchmark leaves behind."""

import importlib.metadata
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from dawnlist.files import write_json

PACKAGES = ("apache-airflow", "dawnlist", "dbt-core", "dbt-duckdb", "duckdb", "great-expectations", "lightgbm", "pyarrow", "pyspark")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that do the work."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}


def machine() -> dict[str, Any]:
    """The cores and the memory that the figures were measured with."""
    return {"cores": os.cpu_count(), "memory_gib": round(psutil.virtual_memory().total / (1 << 30), 1), "platform": platform.platform()}


@dataclass(frozen=True)
class Record:
    """One benchmark: our seconds over the peer's is the ratio, unless `ratio_of` says what else is compared (ours, the peer's).

    `stages` has seconds, runs and peak MiB of each stage, `details` what only this benchmark knows.
    """

    name: str
    compared: str
    our_seconds: float
    peer_seconds: float
    peak_mib: int
    peer_peak_mib: int
    sizes: dict[str, int]
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    ratio_of: tuple[float, float] | None = None
    versions: dict[str, str] = field(default_factory=versions)
    machine: dict[str, Any] = field(default_factory=machine)

    @property
    def ratio(self) -> float:
        """How many times as long as the peer we took, or what `ratio_of` compares."""
        ours, peer = self.ratio_of or (self.our_seconds, self.peer_seconds)
        return round(ours / peer, 2)

    def save(self, target: Path) -> None:
        """Write the record as JSON."""
        write_json(target, {**asdict(self), "ratio": self.ratio})

    def summary(self) -> str:
        """A few lines for the terminal: the whole, then each stage in the order in which it ended first."""
        lines = [
            f"{self.name}: {self.our_seconds:.1f} s, peak {self.peak_mib} MiB of all processes together",
            f"  {self.compared}: ratio {self.ratio} ({self.peer_seconds:.1f} s, peak {self.peer_peak_mib} MiB)",
        ]
        lines += [f"  {name}: {value}" for name, value in self.details.items() if isinstance(value, (int, float))]
        lines += [f"  {name:<12} {stage['seconds']:>8.1f} s {stage['peak_mib']:>7.0f} MiB  runs: {stage['runs']:.0f}" for name, stage in self.stages.items()]
        return "\n".join(lines)
