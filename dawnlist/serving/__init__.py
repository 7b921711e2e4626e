"""What the website reads, in a DuckDB file or in Postgres, behind one interface.

`open_store(settings)` gives the store that the settings name. A publication replaces all serving tables in one step: readers see
the old lists or the new ones. `publications` is the history, one row per publication, newest last.
"""

from dawnlist.serving.base import Publication, Store
from dawnlist.settings import Settings

__all__ = ["Publication", "Store", "open_store"]


def open_store(settings: Settings) -> Store:
    """The serving store: Postgres when `serving.url` is set, else the DuckDB file. Nothing is opened until it is used.

    Raises SettingsError when the URL is no postgresql:// URL.
    """
    if settings.serving.url is None:
        from dawnlist.serving.duckdb_store import DuckDBStore

        return DuckDBStore(settings)
    from dawnlist.serving.postgres_store import PostgresStore

    return PostgresStore(settings, settings.serving.url)
