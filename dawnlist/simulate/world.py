"""What the whole simulation agrees on: the days it covers, the rates of what happens in them, and where chance comes from."""

import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dawnlist.errors import SimulationError

Array = NDArray[Any]

DEFAULT_END_DATE: Final = date(2026, 3, 1)  # a constant, not the clock: the same arguments make the same bytes on any day
SECOND_MS: Final = 1_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
NEVER: Final = np.iinfo(np.int64).max  # a moment that does not come


@dataclass(frozen=True)
class Rates:
    """How often things happen. Shares lie between 0 and 1; `per_day` rates are expected counts or shares of a day."""

    sessions_per_day: float = 0.74  # of an average visitor; single visitors differ by a gamma law
    new_visitor_share: float = 0.25  # visitors who come for the first time within the days, not before them
    registered_share: float = 0.65  # of the visitors who were there before: have an account from the first day
    registering_share: float = 0.5  # of the others: register in one of their first sessions
    login_share: float = 0.7  # a visitor with an account logs in, for each session on a cookie that is not yet logged in
    cookie_reset_share: float = 0.02  # a session that begins with a new anonymous id on an old device
    shared_device_share: float = 0.03  # visitors who also use somebody else's device
    revisit_share: float = 0.2  # picks that return to an item of an earlier pick
    buy_share: float = 0.45  # sessions with something in the cart that end in an order, of visitors who are logged in
    guest_buy_share: float = 0.15  # the same, of visitors who are not
    repeat_purchase_share: float = 0.2  # bought lines of consumable goods that are bought again, 4 to 12 days later
    review_share: float = 0.1  # orders whose first item is rated, 2 to 8 days later
    refund_share: float = 0.05  # orders that are refunded, 1 to 10 days later
    personalisation_share: float = 0.88  # customers who consent within minutes of registering, by purpose
    analytics_share: float = 0.93
    marketing_share: float = 0.45
    withdrawals_per_day: float = 0.002  # of the granted consents
    customer_changes_per_day: float = 0.002  # customers who change their e-mail address
    price_changes_per_day: float = 0.01
    outages_per_day: float = 0.008  # items that run out of stock, for 2 to 7 days
    blocked_share: float = 0.01  # items that an editor blocks on some day
    launch_share: float = 0.15  # items that are launched within the days
    late_share: float = 0.02  # events that are sent hours to days after they happened (a device was offline)
    late_median_hours: float = 8.0  # of a log-normal law with sigma 1, at least one hour
    late_max_days: float = 6.0
    duplicate_share: float = 0.005  # lines that are sent again within two hours, with the same messageId
    truncated_share: float = 0.0005  # lines that are cut in two
    bad_timestamp_share: float = 0.0003  # lines whose timestamp is no date
    bots_per_visitor: float = 0.0015  # at least one bot, if it is not 0; every third one has the user agent of a browser
    bot_sessions_per_day: float = 2.0  # about 60 views each, one or two seconds apart


@dataclass(frozen=True)
class Window:
    """The simulated UTC days, `first` to `last`, both included. Moments are milliseconds since 1970."""

    last: date
    days: int

    @property
    def first(self) -> date:
        return self.last - timedelta(days=self.days - 1)

    @property
    def start(self) -> int:
        return milliseconds(self.first)

    @property
    def end(self) -> int:
        return self.start + self.days * DAY_MS

    @property
    def dates(self) -> list[date]:
        return [self.first + timedelta(days=day) for day in range(self.days)]

    def day_of(self, moments: Array) -> Array:
        """The number of each moment's day; what lies outside counts to the first or the last day."""
        return np.asarray(np.clip((moments - self.start) // DAY_MS, 0, self.days - 1), np.int32)


def milliseconds(day: date) -> int:
    """The first moment of the UTC day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * SECOND_MS


def chance(seed: int, name: str) -> np.random.Generator:
    """The generator of the part `name`: a part that draws more changes no other part."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())])))


def check_arguments(*, users: int, items: int, days: int, seed: int, last: date) -> None:
    """Raise SimulationError for a number that makes no store."""
    limits = {"users": (users, 1, 5_000_000), "items": (items, 1, 1_000_000), "days": (days, 1, 3_660), "seed": (seed, 0, 2**63)}
    for name, (value, least, most) in limits.items():
        if not least <= value <= most:
            raise SimulationError(f"--{name} is {value}: give a whole number from {least} to {most}.")
    if not 2000 <= last.year <= 2100:
        raise SimulationError(f"--end-date is {last}: give a day from 2000-01-01 to 2100-12-31.")
