"""One way to publish: tables made aside, kept for a rollback, and swapped in. A night, a rollback and a suppression differ in what fills the tables."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dawnlist import analytics, duck
from dawnlist.errors import MissingInputError, PublicationError
from dawnlist.lake import Lake
from dawnlist.locks import exclusive
from dawnlist.serving import Publication, Store, open_store, tables
from dawnlist.serving.archive import Archive
from dawnlist.serving.base import REFRESH, ROLLBACK, SCHEMA, SERVABLE, SUPPRESSION, audit
from dawnlist.serving.suppression import Suppressed, suppress
from dawnlist.settings import Settings

if TYPE_CHECKING:
    import duckdb

WAIT_SECONDS = 60


@dataclass(frozen=True)
class Publisher:
    """Who may publish just now: `history` is what was published, oldest first."""

    settings: Settings
    store: Store
    history: list[Publication]

    @property
    def next_sequence(self) -> int:
        """The number of the publication that is made now."""
        return self.history[-1].sequence + 1 if self.history else 1

    @property
    def archive(self) -> Archive:
        """The publications that can be brought back."""
        return archive(self.settings)

    def publish(self, fill: "Callable[[duckdb.DuckDBPyConnection], Publication]", *, run_id: str) -> Publication:
        """Audit and swap in what `fill` puts into schema `serving` of an empty database. Where `fill` raises, nothing is changed.

        Raises PublicationError when the audit fails.
        """
        folder = self.settings.serving_file.parent
        for leftover in folder.glob(".serving-*"):  # of a run that was killed: this run holds the lock
            leftover.unlink()
        prepared = folder / f".serving-{re.sub(r'[^A-Za-z0-9_.-]', '-', run_id)}.duckdb"
        try:
            with duck.connect(self.settings, prepared) as connection:
                publication = fill(connection)
                audit(connection, publication)
                connection.execute(f"DROP TABLE {SCHEMA}.{SERVABLE}")
                self.archive.keep(connection, publication)
            self.store.replace(prepared, publication)
            refreshes = {one.sequence for one in (*self.history, publication) if one.kind == REFRESH}
            self.archive.prune(self.settings.serving.keep_publications, refreshes)
        finally:
            for path in (prepared, prepared.with_name(f"{prepared.name}.wal")):
                path.unlink(missing_ok=True)
        return publication


def listed(settings: Settings) -> list[dict[str, Any]]:
    """What was published, oldest first, as rows of JSON values; `kept`: whether a rollback can bring it back."""
    kept = set(archive(settings).sequences())
    return [
        {
            "sequence": one.sequence,
            "run_date": str(one.run_date),
            "kind": one.kind if one.of_sequence is None else f"{one.kind} of {one.of_sequence}",
            "published_at": str(one.published_at),
            "expires_at": str(one.expires_at),
            "users": one.n_users,
            "model_version": one.model_version,
            "kept": one.sequence in kept,
        }
        for one in open_store(settings).publications()
    ]


def archive(settings: Settings) -> Archive:
    """The publications of this home that a rollback can bring back."""
    return Archive(settings.serving_file.parent / "publications")


@contextmanager
def publisher(settings: Settings) -> Iterator[Publisher]:
    """The one publisher of this home. Raises LockedError when another one does not end within a minute."""
    folder = settings.serving_file.parent
    with exclusive(folder / ".publish.lock", wait_seconds=WAIT_SECONDS), duck.writing(settings.home):
        store = open_store(settings)
        yield Publisher(settings, store, store.publications())


def rollback(settings: Settings, *, to: int | None, run_id: str, moment: datetime) -> tuple[Publication, Suppressed]:
    """Publish again what publication `to` showed, without who has withdrawn and what may no longer be shown by `moment` (UTC, without a zone).

    None: the newest one of another content than what is published. The serving tables and the snapshot's change; the snapshot's marts stay.
    Raises MissingInputError when it is not kept, and PublicationError when there is nothing to go back to.
    """
    with publisher(settings) as current:
        sequence = _before(current) if to is None else to
        if sequence not in {one.sequence for one in current.history}:
            raise MissingInputError(f"There is no publication {sequence}: `dawnlist publications` lists them.")
        return _again(current, sequence, ROLLBACK, run_id=run_id, moment=moment)


def suppress_published(settings: Settings, *, run_id: str, moment: datetime) -> tuple[Publication, Suppressed] | None:
    """Take who has withdrawn and what may no longer be shown by `moment` out of what is published; None where nothing is published or nothing changes."""
    with publisher(settings) as current:
        if not current.history:
            return None
        try:
            return _again(current, current.history[-1].sequence, SUPPRESSION, run_id=run_id, moment=moment)
        except _UnchangedError:
            return None


class _UnchangedError(Exception):
    """What is published shows nobody and nothing that has to go, or to come."""


def refresh(
    settings: Settings,
    renewed: Mapping[str, Sequence[Path]],
    *,
    run_date: date,
    until: datetime,
    expires_at: datetime,
    run_id: str,
    moment: datetime,
) -> Publication | None:
    """Publish what is published with `renewed` lists, made of all that happened before `until` on top of the night of `run_date`; None where that changes nothing.

    renewed: serving table -> the files of its new rows: of `recommendations` the lists of some persons, who lose their old ones, of `popular_items` all. What is not renewed keeps its
    run id, age and expiry, and loses who has withdrawn and what may no longer be shown. Raises PublicationError when another night, or a later hour, was published meanwhile.
    """
    with publisher(settings) as current:
        now = current.history[-1]
        if now.run_date != run_date or is_rolled_back(current.history) or (now.refreshed_until or until) > until:
            raise PublicationError(f"Publication {now.sequence} came meanwhile and knows more than the lists until {until}: nothing was changed.")

        def fill(connection: "duckdb.DuckDBPyConnection") -> Publication:
            before = current.archive.restore(connection, now.sequence)
            tables.renew(connection, renewed, run_id=run_id, published_at=moment, expires_at=expires_at)
            suppress(connection, Lake(settings.lake_dir).snapshot(), moment=moment)
            made = tables.described(
                connection, run_date=run_date, sequence=current.next_sequence, run_id=run_id, published_at=moment, expires_at=before.expires_at
            )
            if made.content_hash == before.content_hash:
                raise _UnchangedError
            return replace(made, kind=REFRESH, of_sequence=now.sequence, refreshed_until=until)

        try:
            publication = current.publish(fill, run_id=run_id)
        except _UnchangedError:
            return None
        analytics.renew_serving(settings, current.store, publication)
        return publication


def is_rolled_back(history: Sequence[Publication]) -> bool:
    """Whether the last of `history` shows what somebody went back to, or a suppression of that."""
    known = {one.sequence: one for one in history}
    now = history[-1]
    while now.kind == SUPPRESSION and now.of_sequence in known:
        now = known[now.of_sequence]
    return now.kind == ROLLBACK


def _again(current: Publisher, sequence: int, kind: str, *, run_id: str, moment: datetime) -> tuple[Publication, Suppressed]:
    found: list[Suppressed] = []

    def fill(connection: "duckdb.DuckDBPyConnection") -> Publication:
        before = current.archive.restore(connection, sequence)
        found.append(suppress(connection, Lake(current.settings.lake_dir).snapshot(), moment=moment))
        if kind == SUPPRESSION and not found[-1]:
            raise _UnchangedError
        tables.stamp(connection, run_id=run_id, published_at=moment)
        made = tables.described(
            connection, run_date=before.run_date, sequence=current.next_sequence, run_id=run_id, published_at=moment, expires_at=before.expires_at
        )
        return replace(made, kind=kind, of_sequence=sequence, refreshed_until=before.refreshed_until)

    publication = current.publish(fill, run_id=run_id)
    analytics.renew_serving(current.settings, current.store, publication)
    return publication, found[-1]


def _before(current: Publisher) -> int:
    if not current.history:
        raise MissingInputError("Nothing has been published yet: run `dawnlist publish` first.")
    kept, now = set(current.archive.sequences()), current.history[-1]
    others = [one.sequence for one in current.history if one.sequence in kept and one.content_hash != now.content_hash and one.kind != SUPPRESSION]
    if not others:
        raise PublicationError(f"There is no other publication than {now.sequence} to go back to: {len(kept)} are kept (serving.keep_publications).")
    return others[-1]
