"""One typed settings object: command line over environment over dawnlist.toml over the defaults below.

Environment variables are `DAWNLIST_` and the setting's path, joined by two underscores: `DAWNLIST_SPARK__MASTER`. A key that no
setting has is refused, in the file and in the environment alike. Secrets come from the environment or from a file, never from
the TOML. Defaults live here and nowhere else.
"""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dawnlist.errors import SettingsError

PROJECT = Path(__file__).resolve().parent.parent
PREFIX = "DAWNLIST_"
DELIMITER = "__"
# Read by the tests and by the settings' own loading, not settings themselves.
OTHER_VARIABLES = frozenset({"DAWNLIST_REAL_DATA", "DAWNLIST_CONFIG"})
SECRETS = frozenset({("privacy", "key"), ("privacy", "previous_key"), ("serving", "url"), ("airflow", "alert_url"), ("mlflow", "uri"), ("delivery", "token")})

AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
PolicyName = Literal["seen", "freshness", "boosts", "diversity", "category_cap", "brand_cap", "pins", "exploration"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Site(_Section):
    """The site that this home serves."""

    sources: tuple[str, ...] = Field(("store",), description="the sources of this site: files in config/sources, without .yml", min_length=1)
    currency: str | None = Field(
        None, pattern="^[A-Z]{3}$", description="the currency of all amounts of orders (ISO 4217); default: that of the first source that names one"
    )
    timezone: str = Field("UTC", description="the zone of local dates in reports and marts (IANA name)")


class Privacy(_Section):
    """The keys of the pseudonyms; docs/privacy.md has their rotation."""

    key: SecretStr | None = Field(None, description="the key of the pseudonyms, at least 16 characters; else it is read from key_file")
    key_file: Path | None = Field(None, description="file that holds the key, readable by its owner only; default: <home>/secrets/pseudonym.key")
    previous_key: SecretStr | None = Field(
        None, description="the key before this one, while ids of both keys are linked; else it is read from previous_key_file"
    )
    previous_key_file: Path | None = Field(
        None, description="file that holds the key before this one; default: the key file's name with .previous, where it is there"
    )

    @field_validator("key", "previous_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < 16:
            raise ValueError("the key must have at least 16 characters")
        return key


class Ingest(_Section):
    max_lateness_days: int = Field(30, ge=0, description="a row that lands later than this after its event goes to quarantine")
    grace_minutes: int = Field(60, ge=0, description="an hour without files is waited for this long, then taken as empty")
    landing_retention_days: int | None = Field(None, ge=1, description="`landing prune` removes ingested files that are older; default: landing is left alone")


class Gate(_Section):
    max_quarantined_share: float = Field(0.05, ge=0, le=1, description="a batch with a larger share of unreadable rows is kept out")
    max_unknown_items_share: float = Field(0.5, ge=0, le=1, description="warn when more of the events name an item that no catalogue has")
    max_unknown_users_share: float = Field(0.1, ge=0, le=1, description="warn when more of the events or consents are of a user that no customer record has")
    max_bots_share: float = Field(0.2, ge=0, le=1, description="warn when more of the events are of bots")
    max_null_ids_share: float = Field(0.5, ge=0, le=1, description="warn when more of the events have neither a user nor a device")
    min_volume_share: float = Field(0.2, ge=0, description="a day with less than this share of the median of the same weekday before it is warned about")
    max_stale_days: int = Field(7, ge=0, description="the night stops when the newest event is older than this")
    history_weeks: int = Field(8, ge=1, description="a day is compared with the same weekday of so many weeks before it")
    min_same_weekdays: int = Field(3, ge=2, description="with fewer same weekdays a day is compared with all days of those weeks, and nothing is critical")
    min_history_days: int = Field(7, ge=2, description="with fewer days in all, a day is compared with nothing")
    volume_z_warning: float = Field(3.5, gt=0, description="warn when the day's volume is so many robust deviations from the usual (Iglewicz & Hoaglin 1993)")
    volume_z_critical: float = Field(6.0, gt=0, description="the night stops when the day's volume is so many robust deviations below the usual")
    volume_min_spread: float = Field(
        0.1, gt=0, description="a robust deviation of the volume is at least this share of the median: quiet histories alarm at once"
    )
    share_z_warning: float = Field(3.5, gt=0, description="warn when a share is so many robust deviations from the usual")
    share_min_spread: float = Field(0.02, gt=0, description="a robust deviation of a share is at least this")
    min_hour_visitors: float = Field(15.0, gt=0, description="an hour is looked for only when it usually has so many visitors")
    min_hour_share: float = Field(0.1, ge=0, le=1, description="an hour with less than this share of its usual visitors counts as missing")
    drift_days: int = Field(28, ge=1, description="the day's distributions are compared with those of so many days before it")
    drift_min_rows: int = Field(200, ge=1, description="with fewer values on either side, distributions are not compared")
    psi_notice: float = Field(0.1, gt=0, description="population stability index beyond chance from which a shift is noted (Siddiqi 2006)")
    psi_warning: float = Field(0.25, gt=0, description="population stability index beyond chance from which a shift is warned about (Siddiqi 2006)")
    ks_notice: float = Field(0.1, gt=0, le=1, description="Kolmogorov-Smirnov distance beyond chance from which a shift is noted")
    ks_warning: float = Field(0.2, gt=0, le=1, description="Kolmogorov-Smirnov distance beyond chance from which a shift is warned about")


class Scorecard(_Section):
    """How each source's data is scored every night, see docs/data-quality.md. Weights count relative to each other; 0 leaves a part out."""

    days: int = Field(7, ge=1, description="the scores look at so many days, the run date the last")
    recency_half_life_days: float = Field(2.0, gt=0, description="recency halves with every so many days that the newest event is behind the run date")
    reliability_weight: float = Field(1.0, ge=0)
    recency_weight: float = Field(1.0, ge=0)
    completeness_weight: float = Field(1.0, ge=0)
    relevance_weight: float = Field(1.0, ge=0)
    visitor_weight: float = Field(3.0, ge=0, description="of completeness: events with a user or a device")
    item_weight: float = Field(3.0, ge=0, description="of completeness: events of items that name one")
    price_weight: float = Field(2.0, ge=0, description="of completeness: purchases with a price")
    quantity_weight: float = Field(1.0, ge=0, description="of completeness: purchases with a quantity")
    session_weight: float = Field(1.0, ge=0, description="of completeness: events with a session")
    device_weight: float = Field(1.0, ge=0, description="of completeness: events with a kind of device")
    country_weight: float = Field(1.0, ge=0, description="of completeness: events with a country")


class Bots(_Section):
    """Above these a visitor is taken for a machine on that day. Views, clicks and searches count; orders never do."""

    max_events_per_minute: int = Field(20, ge=1, description="events of one visitor in a minute of the clock")
    max_events_per_hour: int = Field(300, ge=1, description="events of one visitor in an hour of the clock")
    max_session_events: int = Field(500, ge=1, description="events of one visitor in a session")
    max_session_hours: float = Field(8.0, gt=0, description="hours of a session without a break")


class Identity(_Section):
    """Which ids are taken for one person; docs/identity.md has the rules, and where the limits come from."""

    join_users: Literal["succession", "shared_device", "never"] = Field(
        "succession",
        description="when two user ids are one person: when one followed the other on a device for good, when they ever shared a device, or never",
    )
    succession_gap_days: int = Field(30, ge=0, description="of a succession: the second user id comes at most so many days after the first one's last event")
    succession_quiet_days: int = Field(28, ge=1, description="of a succession: the first user id has been away for so many days since the second one came")
    succession_min_days: int = Field(3, ge=1, description="of a succession: each of the two was seen on the device on so many days")
    min_owner_share: float = Field(
        0.9, gt=0.5, le=1, description="a device of several persons belongs to the one who was logged in on this share of its days with a login, else to nobody"
    )
    max_users_per_device: int = Field(10, ge=1, description="a device with more user ids (kiosk, terminal) belongs to nobody and joins nobody")
    max_devices_per_user: int = Field(100, ge=1, description="a user id with more devices (shared account, script) owns none of them and joins nobody")
    max_ids_per_person: int = Field(500, ge=2, description="user ids are not joined when the person would have more ids")


class CustomerValue(_Section):
    """What the buyers are expected to do, see docs/customer-value.md."""

    horizon_days: int = Field(90, ge=1, description="expected purchases and churn risk look so many days ahead")
    lifetime_days: int = Field(365, ge=1, description="lifetime value looks so many days ahead")
    yearly_discount_rate: float = Field(
        0.15, ge=0, description="money is worth so much less a year later; that of Fader, Hardie & Lee, RFM and CLV (Journal of Marketing Research, 2005)"
    )
    min_repeat_buyers: int = Field(100, ge=2, description="with fewer people who have bought again nothing is estimated")


class Sessions(_Section):
    """Where a person's session ends. The defaults are those of Google Analytics 4, which knows neither midnight nor campaigns."""

    idle_minutes: int = Field(30, ge=1, le=720, description="a session ends after so many minutes without an event")
    midnight: Literal["none", "utc", "local"] = Field("none", description="midnight ends a session: UTC's, or that of site.timezone")
    campaign: Literal["none", "referrer", "campaign"] = Field(
        "none", description="another referrer begins a session, or another campaign (the property utm_campaign, else campaign)"
    )


class Segments(_Section):
    min_clusters: int = Field(3, ge=2)
    max_clusters: int = Field(8, ge=2)
    match_radius: float = Field(
        0.5, gt=0, description="a segment keeps its number while its centre moves by at most so many standard deviations a feature (root mean square)"
    )


CandidateSource = Literal["own", "repeats", "item_to_item", "covisitation", "rp3beta", "als", "content", "popular_category", "popular_segment"]


class Candidates(_Section):
    """Who proposes items to a person, see docs/models.md. What is popular everywhere, in a country or on a device is always proposed: it fills lists up."""

    sources: tuple[CandidateSource, ...] = Field(
        get_args(CandidateSource), description="the personal sources; one that is left out proposes nothing. Similar items come from item_to_item"
    )
    per_source: int = Field(30, ge=1, description="candidates that each source may propose per user")
    popular: int = Field(20, ge=1, description="popular items proposed per window, category and segment")
    popular_half_life_days: float = Field(7.0, gt=0, description="in a category or segment an event of the last 28 days counts half after so many days")
    own_half_life_days: float = Field(
        180.0, gt=0, description="a person's own event or purchase counts half after so many days; best of 30 to 365 on UCI Online Retail's next 28 days"
    )
    similar_items: int = Field(20, ge=1, description="neighbours kept per item")
    als_engine: Literal["native", "mllib"] = Field("native", description="native kernels in Spark's tasks, or Spark MLlib: slower, and without als_nu")
    als_factors: int = Field(64, ge=1)
    als_iterations: int = Field(12, ge=1)
    als_regularisation: float = Field(
        0.1, gt=0, description="of the mean row, as a part of the confidence of what is seen; models/recommenders/als.py has the formula (Rendle et al. 2022)"
    )
    als_nu: float = Field(1.0, ge=0, le=1, description="how much the regularisation follows the frequency; 0: all rows alike")
    als_alpha: float = Field(10.0, gt=0, description="confidence of an interaction is 1 + alpha * log(1 + weight) (Hu, Koren & Volinsky 2008)")
    max_items_per_user: int = Field(100, ge=2, description="neighbours of items are made of at most this many of a user's newest items")
    half_life_days: float | None = Field(None, gt=0, description="an interaction counts half after so many days; default: from how fast the items age")
    similarity_shrinkage: float = Field(20.0, ge=0, description="added below the fraction of the cosine: similarities with little support count less")
    covisitation_balance: float = Field(0.5, ge=0, le=1, description="0: what people took most goes first; 1: the cosine")
    rp3_alpha: float = Field(1.0, gt=0, description="power of the random walk's probabilities (Paudel et al. 2017)")
    rp3_beta: float = Field(0.6, ge=0, description="power of the popularity that the random walk is divided by (Paudel et al. 2017)")
    item_embeddings: AbsolutePath | None = Field(
        None, description="Parquet file of item_id and embedding (a list of numbers): content goes by the mean of the words' cosine and theirs"
    )


class Ranker(_Section):
    trees: int = Field(200, ge=1)
    leaves: int = Field(15, ge=2)
    learning_rate: float = Field(0.08, gt=0)
    early_stopping: int = Field(20, ge=1)
    max_candidates: int = Field(40, ge=1, description="candidates per user that the ranker scores: the first ones by reciprocal rank fusion of their sources")
    max_training_users: int = Field(40_000, ge=10, description="users with labels that the ranker is trained on, chosen by hash")
    max_evaluation_users: int = Field(20_000, ge=10, description="users of the held-out slice that the lists are compared on, chosen by hash")
    cascade_recall: float = Field(
        0.999,
        gt=0,
        le=1,
        description="a first stage of few trees goes before the ranker where it keeps this share of what the ranker alone would show, docs/models.md",
    )
    scoring: Literal["local", "spark"] = Field("local", description="where the ranker scores: in the process of the night, or in the executors of Spark")


class Training(_Section):
    """When a night trains, see docs/models.md."""

    every_days: int = Field(7, ge=1, description="a night trains when the newest model is so many days old; 1 = every night")


class Promotion(_Section):
    """When a challenger takes the champion's place, see docs/models.md. Shares are of what the champion reaches on the same people."""

    margin: float = Field(
        0.05, ge=0, lt=1, description="the lower 95% bound of challenger minus champion in nDCG@10 is at least minus this share of the champion's nDCG@10"
    )
    min_coverage: float = Field(0.8, ge=0, description="the challenger shows at least this share of the items that the champion shows")
    min_diversity: float = Field(0.9, ge=0, description="pairs of two categories within a list: at least this share of the champion's")
    min_new_items: float = Field(0.5, ge=0, description="places with items that are new within a label window: at least this share of the champion's")
    max_empty_share: float = Field(0.01, ge=0, le=1, description="at most this share of the people has an empty list")
    max_group_loss: float = Field(
        0.1, ge=0, lt=1, description="in no country, device or length of history does the challenger certainly lose more than this share of nDCG@10"
    )
    min_group_users: int = Field(100, ge=2, description="groups of fewer people are not looked at")


class Drift(_Section):
    """What makes a night ask the next one to train, see docs/models.md."""

    sample_users: int = Field(2000, ge=100, description="features and scores of so many people are compared with those of the training frame")
    psi_notice: float = Field(0.1, gt=0, description="population stability index beyond chance from which a moved feature is noted (Siddiqi 2006)")
    psi_train: float = Field(0.25, gt=0, description="population stability index beyond chance from which a training is asked for (Siddiqi 2006)")
    min_importance: float = Field(0.05, ge=0, le=1, description="only features with this share of the gain of all splits are watched")
    max_decay: float = Field(0.2, gt=0, lt=1, description="a training is asked for when lists certainly lost this share of the model's held-out nDCG@10")


class MLflow(_Section):
    """Where trained versions are logged beside the registry."""

    enabled: bool = Field(True, description="log every trained version to MLflow")
    uri: SecretStr | None = Field(None, description="http(s)://… of a tracking server, or a database URI; default: an SQLite store in <home>/mlflow")
    experiment: str = Field("dawnlist", min_length=1, description="the name of the experiment")


class Recommend(_Section):
    list_length: int = Field(20, ge=1)
    policies: tuple[PolicyName, ...] = Field(
        get_args(PolicyName), description="what is done with the ranked candidates, in this order; one that is left out is not done. docs/policies.md"
    )
    max_views: int = Field(0, ge=0, description="seen: an item that the person viewed so often in views_days is not listed; 0 = no limit")
    views_days: int = Field(7, ge=1, description="seen: views of so many days count, the run date the last")
    freshness: float = Field(0.0, ge=0, le=10, description="freshness: the place of an item that comes out today is divided by 1 + this; 0 = off")
    freshness_half_life_days: float = Field(7.0, gt=0, description="freshness: the advantage halves with every so many days of an item's age")
    diversity: float = Field(0.0, ge=0, lt=1, description="diversity: weight of unlikeness against relevance (MMR, Carbonell & Goldstein 1998); 0 = off")
    diversity_pool: int = Field(50, ge=2, description="diversity: so many first candidates are put into another order")
    max_per_category: int = Field(0, ge=0, description="category_cap: items of one category on a list; 0 = no limit")
    max_per_brand: int = Field(0, ge=0, description="brand_cap: items of one brand on a list; 0 = no limit")
    exploration_share: float = Field(0.0, ge=0, le=0.5, description="exploration: this share of a personal list is drawn by chance; 0 = off")
    exploration_pool: int = Field(100, ge=1, description="exploration: drawn from so many items: the newest and those that were met least")
    exploration_new_days: int = Field(14, ge=0, description="exploration: an item is new for so many days")
    season_every: int = Field(
        5,
        ge=0,
        description="every so manieth place of a fallback list is for what was popular at this time of last year, where the data go back so far; 0 = none",
    )
    expires_days: int = Field(3, ge=1, description="a published row is not to be shown after this many days")

    @field_validator("season_every")
    @classmethod
    def _leaves_places(cls, every: int) -> int:
        if every == 1:
            raise ValueError("1 would leave no place for what is popular today; the least is 2")
        return every

    @field_validator("policies")
    @classmethod
    def _in_an_order_that_holds(cls, policies: tuple[PolicyName, ...]) -> tuple[PolicyName, ...]:
        if len(set(policies)) < len(policies):
            raise ValueError("names a policy twice")
        if "exploration" in policies[:-1]:
            raise ValueError("exploration must be the last: what a later policy does to a drawn item is not in its propensity")
        return policies


class Refresh(_Section):
    """Lists through the day, and how often whom: see docs/refresh.md."""

    hourly: bool = Field(False, description="the DAG refresh renews popular lists and the lists of active persons after each hour; off: it makes no runs")
    active_hours: int = Field(
        168, ge=1, description="an hour's refresh makes the lists of who had an event in so many hours before its end; others keep theirs until the night"
    )
    dormant_after_days: int = Field(28, ge=1, description="who had no event in so many days before the end of the run date is dormant")
    dormant_every_days: int = Field(1, ge=1, description="a dormant person's list is made anew every so many days and carried over in between; 1 = every night")


class Serving(_Section):
    url: SecretStr | None = Field(None, description="postgresql://… of the serving database; default: the DuckDB file <home>/serving/lists.duckdb")
    website_role: str | None = Field(None, description="Postgres role that may read the lists: granted anew with each publication; it has to exist")
    analyst_role: str | None = Field(None, description="Postgres role that may read the lists and the history of publications; it has to exist")
    keep_publications: int = Field(14, ge=2, description="newest publications that `dawnlist rollback` can bring back")


class Export(_Section):
    """The bundles for a CMS, see docs/export-contract.md."""

    formats: tuple[Literal["jsonl", "parquet", "csv"], ...] = Field(("jsonl",), min_length=1, description="each part is written in these: jsonl, parquet, csv")
    part_rows: int = Field(50_000, ge=1, description="documents per file of a bundle")
    part_bytes: int = Field(64 << 20, ge=1, description="bytes of JSON after which a file of a bundle ends")
    keep_bundles: int = Field(7, ge=1, description="bundles that are kept; older ones are removed after an export")
    max_changed_users_share: float | None = Field(
        None,
        ge=0,
        description="an export that changes, adds or deletes more of the users stops until somebody accepts it; default: no bound, lists change nightly",
    )
    max_deleted_users_share: float = Field(0.5, ge=0, le=1, description="an export that deletes more of the users stops until somebody accepts it")
    churn_min_users: int = Field(100, ge=0, description="with fewer users before, nothing stops an export")

    @field_validator("formats")
    @classmethod
    def _once(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(formats)) < len(formats):
            raise ValueError("name each format once")
        return formats


class Delivery(_Section):
    """Where bundles are sent, see docs/export-contract.md."""

    to: str | None = Field(None, description="a folder, a URL that fsspec writes to (s3://bucket/folder, sftp://host/folder), or the https:// address of a CMS")
    consumer: str = Field("cms", description="HTTP: the consumer whose acknowledgements the CMS's answers are")
    preset: Literal["contract", "directus", "strapi", "wordpress", "template"] = Field(
        "contract", description="HTTP: what the CMS is: one that takes bundles by the export contract, one of docs/cms.md, or delivery.template"
    )
    template: AbsolutePath | None = Field(None, description="HTTP: a YAML file that describes the CMS's REST shape, docs/cms.md")
    token: SecretStr | None = Field(None, description="HTTP: sent as Authorization: Bearer …, or as the preset says; only over https, or to this machine")
    batch_documents: int = Field(500, ge=1, description="HTTP by the contract: documents per request; presets have sizes of their own")
    requests_per_second: float = Field(10, gt=0, description="HTTP: no more requests than this")
    attempts: int = Field(8, ge=1, description="HTTP: a request is tried so often before the delivery stops")
    backoff_seconds: float = Field(0.5, ge=0, description="HTTP: the pause after a second failure; it doubles each time, up to two minutes, with jitter")
    timeout_seconds: float = Field(30, gt=0, description="HTTP: to connect, and between two bytes of an answer")

    @field_validator("to")
    @classmethod
    def _without_credentials(cls, to: str | None) -> str | None:
        if to is not None and "://" in to and (urlsplit(to).password or urlsplit(to).query):
            raise ValueError("a URL must not hold a password or a token; credentials come from the environment")
        return to.rstrip("/") if to else to


class Warehouse(_Section):
    engine: Literal["duckdb", "spark"] = Field("duckdb", description="what runs the dbt project: this machine, or Spark SQL on spark.master")


class Spark(_Section):
    master: str = "local[*]"
    driver_memory: str = Field(
        "6g", description='at the most; 45 days of a store with 3,000 people and `warehouse.engine = "spark"` take nearly 5g, everything else much less'
    )
    shuffle_partitions: int = Field(8, ge=1)


class DuckDB(_Section):
    threads: int = Field(0, ge=0, description="0 = one per core")
    memory_limit: str = "4GB"


class Airflow(_Section):
    port: int = Field(8080, ge=1, le=65535)
    deadline_hour: int = Field(6, ge=0, le=23, description="the watchdog looks at this UTC hour whether the night has started")
    start_incomplete_nights: bool = Field(False, description="the watchdog starts a night whose hours are not all in")
    alert_url: SecretStr | None = Field(None, description="a failed task is POSTed here as JSON (a chat's or pager's webhook); default: only logged")


class Retention(_Section):
    nights: int = Field(14, ge=1, description="nights whose tables are kept")
    table_versions: int = Field(30, ge=2, description="versions of the lake's tables that are kept")


class Settings(BaseSettings):
    """All settings. Build it with `load`, which turns mistakes into SettingsError."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=DELIMITER, extra="forbid", frozen=True, env_ignore_empty=True)

    home: AbsolutePath = Field(PROJECT / "var", description="the folder of everything that a run makes; DAWNLIST_HOME moves it")
    landing: Path | str | None = Field(
        None, description="where files land: a folder or a URL (s3://bucket/folder), or its subfolder of the source's name; default: <home>/landing/<source>"
    )
    sources_dir: AbsolutePath = Field(PROJECT / "config" / "sources", description="one YAML file per source")
    rules_file: AbsolutePath = Field(PROJECT / "config" / "rules.yml", description="pins, boosts, exclusions, restrictions and triggers; docs/policies.md")
    seed: int = Field(20_170_310, ge=0, description="seed of everything that is random")
    site: Site = Site()
    privacy: Privacy = Privacy()
    ingest: Ingest = Ingest()
    gate: Gate = Gate()
    scorecard: Scorecard = Scorecard()
    bots: Bots = Bots()
    identity: Identity = Identity()
    customer_value: CustomerValue = CustomerValue()
    sessions: Sessions = Sessions()
    segments: Segments = Segments()
    candidates: Candidates = Candidates()
    ranker: Ranker = Ranker()
    training: Training = Training()
    promotion: Promotion = Promotion()
    drift: Drift = Drift()
    mlflow: MLflow = MLflow()
    recommend: Recommend = Recommend()
    refresh: Refresh = Refresh()
    serving: Serving = Serving()
    export: Export = Export()
    delivery: Delivery = Delivery()
    warehouse: Warehouse = Warehouse()
    spark: Spark = Spark()
    duckdb: DuckDB = DuckDB()
    airflow: Airflow = Airflow()
    retention: Retention = Retention()

    @field_validator("landing")
    @classmethod
    def _folder_or_url(cls, landing: Path | str | None) -> Path | str | None:
        if not isinstance(landing, str) or "://" not in landing:
            return None if landing is None else Path(landing).expanduser().absolute()
        parts = urlsplit(landing)
        if parts.password or parts.query:
            raise ValueError("a URL must not hold a password or a token; credentials come from the environment")
        return landing.rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _toml_source(settings_cls)

    @property
    def lake_dir(self) -> Path:
        return self.home / "lake"

    @property
    def staged_dir(self) -> Path:
        return self.lake_dir / "staged"

    @property
    def runs_dir(self) -> Path:
        return self.home / "runs"

    @property
    def models_dir(self) -> Path:
        return self.home / "models"

    @property
    def mlflow_dir(self) -> Path:
        return self.home / "mlflow"

    @property
    def warehouse_file(self) -> Path:
        return self.home / "warehouse" / "build.duckdb"

    @property
    def serving_file(self) -> Path:
        return self.home / "serving" / "lists.duckdb"  # not serving.duckdb: the catalogue would be called like its schema

    @property
    def analytics_file(self) -> Path:
        return self.home / "analytics" / "analytics.duckdb"

    @property
    def exports_dir(self) -> Path:
        return self.home / "exports" / "cms"

    @property
    def data_docs_dir(self) -> Path:
        return self.home / "data_docs"

    @property
    def reports_dir(self) -> Path:
        return self.home / "reports"

    @property
    def scratch_dir(self) -> Path:
        return self.home / "tmp"

    def landing_dir(self, source: str) -> Path:
        """The folder that `source`'s files land in: `landing`, or its subfolder of the source's name where there is one. Raises SettingsError for a URL."""
        if self.landing is None:
            return self.home / "landing" / source
        if not isinstance(self.landing, Path):
            raise SettingsError(f"landing is {self.landing}: this command needs a folder of this machine. Name one with DAWNLIST_LANDING.")
        own = self.landing / source
        return own if own.is_dir() else self.landing

    def night_dir(self, run_date: Any) -> Path:
        """The tables of the night of `run_date`."""
        return self.home / "nights" / f"{run_date}"

    def with_(self, **changes: Any) -> Self:
        """A copy with these top-level fields replaced."""
        return self.model_copy(update=changes)


def config_file() -> Path:
    """dawnlist.toml: the file that DAWNLIST_CONFIG names, else the project's."""
    return Path(os.environ.get("DAWNLIST_CONFIG") or PROJECT / "config" / "dawnlist.toml")


def load(**overrides: Any) -> Settings:
    """The settings of this process; `overrides` come from the command line. Raises SettingsError for anything that is no setting."""
    _refuse_unknown_variables()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error


def _toml_source(settings_cls: type[BaseSettings]) -> PydanticBaseSettingsSource:
    from pydantic_settings import InitSettingsSource

    path = config_file()
    if not path.exists() and "DAWNLIST_CONFIG" not in os.environ:
        return InitSettingsSource(settings_cls, {})
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"Cannot read the settings file {path}: {error.strerror}. Check DAWNLIST_CONFIG.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no valid TOML: {error}.") from error
    for section, name in SECRETS:
        if name in document.get(section, {}):
            raise SettingsError(f"{path}: {section}.{name} is a secret. Take it out of the file and set {_variable(section, name)} in the environment.")
    return InitSettingsSource(settings_cls, document)


def _variable(*path: str) -> str:
    return PREFIX + DELIMITER.join(path).upper()


def _known_variables(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> set[str]:
    known = set()
    for name, field in model.model_fields.items():
        known.add(_variable(*path, name))
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            known |= _known_variables(field.annotation, (*path, name))
    return known


def _refuse_unknown_variables() -> None:
    known = _known_variables() | OTHER_VARIABLES
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            close = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise SettingsError(f"The environment variable {name} is no setting.{hint} Unset it, or see `dawnlist settings`.")


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        path = tuple(str(part) for part in problem["loc"])
        what = "no such setting" if problem["type"] == "extra_forbidden" else problem["msg"].removeprefix("Value error, ")
        lines.append(f"Setting {'.'.join(path)}: {what} (environment: {_variable(*path)}, file: {config_file()}).")
    return "\n".join(lines)
