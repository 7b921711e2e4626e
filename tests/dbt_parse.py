"""dbt whose parse of the project is made once in a process, and not again for every home, which takes ten seconds each."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
import yaml
from dbt.cli import main
from dbt.contracts.graph.manifest import Manifest

# Variables that say where a home lies: nothing that dbt parses depends on them.
PLACES = {"warehouse_path", "duckdb_temp_directory"}
COMMANDS = {"build", "run", "test"}


@contextmanager
def shared() -> Iterator[None]:
    """Inside it, dbt's runner gets a copy of what was parsed before for the same target and rules; what a command does to it is not kept."""
    parsed: dict[tuple[str, str], Manifest] = {}

    class Runner(main.dbtRunner):
        def invoke(self, args: list[str], **_: Any) -> main.dbtRunnerResult:
            options = dict(pairwise(args))
            rules = {name: value for name, value in yaml.safe_load(options["--vars"]).items() if name not in PLACES}
            key = options["--target"], yaml.safe_dump(rules)
            if key not in parsed:
                command = next(number for number, word in enumerate(args) if word in COMMANDS)
                outcome = super().invoke([*args[:command], "parse", *args[args.index("--project-dir") :]])
                if not outcome.success:
                    return outcome
                parsed[key] = outcome.result
            self.manifest = parsed[key].deepcopy()
            return super().invoke(args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "dbtRunner", Runner)
        yield
