"""segment: k-means on what the persons do -> user_segments and segment_profiles of the night."""

import time
from typing import TYPE_CHECKING

from dawnlist import duck
from dawnlist.settings import Settings
from dawnlist.stages.base import Interval, Night, StageResult

if TYPE_CHECKING:
    import pyarrow as pa

    from dawnlist.lake import Snapshot

STAGE = "segment"
# Consent, but no event to go by: registered only.
NEW, NEW_LABEL = -1, "new"


def run(settings: Settings, interval: Interval, *, run_id: str) -> StageResult:
    """Give every person with consent to personalisation a segment: by k-means who has any event, -1 "new" who has none.

    `rows_in` counts persons with consent, `rows_out` persons with a segment. Raises MissingInputError before transform, and
    SystemRequirementError without Java.
    """
    from spark_jobs import segments
    from spark_jobs.session import session

    started = time.monotonic()
    night = Night.load(settings, interval.run_date)
    marts = night.tables.snapshot()
    activity, rfm = marts.require("feat_user_activity", stage="transform"), marts.require("feat_user_rfm", stage="transform")
    with session(settings) as spark:
        users, profiles = segments.run(spark, settings, activity=activity, rfm=rfm, feature_date=night.run_date)
    snapshot = _write(settings, night, users, profiles, run_id=run_id)
    silhouettes = [value for value in profiles.column("silhouette").to_pylist() if value is not None]
    return StageResult(
        STAGE,
        interval.key,
        rows_in=snapshot.rows("user_segments"),
        rows_out=snapshot.rows("user_segments"),
        seconds=time.monotonic() - started,
        paths=[str(path) for table in ("user_segments", "segment_profiles") for path in snapshot.files(table)],
        counts={"n_segments": profiles.num_rows, "n_new": snapshot.rows("user_segments") - users.num_rows},
        metrics={
            "silhouette": silhouettes[0] if silhouettes else None,
            "n_users": dict(zip(profiles.column("segment_label").to_pylist(), profiles.column("n_users").to_pylist(), strict=True)),
        },
    )


def _write(settings: Settings, night: Night, users: "pa.Table", profiles: "pa.Table", *, run_id: str) -> "Snapshot":
    dim_users = night.tables.snapshot().require("dim_users", stage="transform")
    with duck.connect(settings) as connection:
        connection.register("segmented", users)
        connection.register("profiles", profiles)
        everybody = f"""
            SELECT person_id, coalesce(segment, {NEW}) AS segment, coalesce(segment_label, {duck.literal(NEW_LABEL)}) AS segment_label, distance
            FROM {duck.scan(dim_users, {"person_id": "VARCHAR", "has_personalisation_consent": "BOOLEAN"})} LEFT JOIN segmented USING (person_id)
            WHERE has_personalisation_consent"""
        newcomers = f"SELECT {NEW} AS segment, count(*) AS n_users, {duck.literal(NEW_LABEL)} AS segment_label FROM ({everybody}) WHERE segment = {NEW}"
        files = {
            "user_segments": night.tables.write(connection, "user_segments", f"{everybody} ORDER BY person_id"),
            "segment_profiles": night.tables.write(
                connection, "segment_profiles", f"SELECT * FROM profiles UNION ALL BY NAME ({newcomers} HAVING count(*) > 0) ORDER BY segment"
            ),
        }
    return night.tables.commit({table: [file] if file else [] for table, file in files.items()}, run_id=run_id)
