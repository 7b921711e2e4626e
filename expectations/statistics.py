"""The statistics of the day's checks, as SQL: DuckDB does the counting.

A relation here is SQL that may stand in parentheses behind FROM.
"""

NORMAL_MAD = 1.4826  # times the median absolute deviation: the standard deviation, where values are normal
TOP_CATEGORIES = 20


def robust_z(value: str, middle: str, mad: str, n: str, least_spread: str) -> str:
    """How many robust standard deviations `value` is from the median `middle` of `n` values: (value - median) / (1.4826 MAD).

    The modified z-score of B. Iglewicz & D. Hoaglin (1993), How to Detect and Handle Outliers, who call 3.5 an outlier, with n / (n - 0.8)
    for the few values of a history (C. Croux & P. Rousseeuw 1992). The deviation is at least `least_spread`, which is above 0: a
    history without any spread (MAD 0) would make every change infinite.
    """
    return f"(({value}) - ({middle})) / greatest({NORMAL_MAD} * ({mad}) * {n} / ({n} - 0.8), {least_spread})"


def effective_size(clusters: str) -> str:
    """The effective sample size of events that come in clusters of `clusters` each: (sum m)^2 / sum m^2 (L. Kish 1965, Survey Sampling).

    Events of one visitor are alike, so that a day of a thousand events by ten visitors says as much as some ten independent ones.
    """
    return f"sum({clusters})::DOUBLE ^ 2 / sum({clusters}::DOUBLE ^ 2)"


def psi(counts: str) -> str:
    """A query for the population stability index of two distributions, `value`, and the number of its categories, `k`.

    It is the sum of (p - q) ln(p / q) over the categories: below 0.1 little has changed, above 0.25 much (N. Siddiqi 2006, Credit Risk
    Scorecards). counts: a relation (category, n_day, n_reference). A NULL is a category of its own; those beyond the reference's 20
    largest are one. Shares are smoothed after Laplace, (n + 1) / (N + k), so that a category which one side lacks stays finite.
    """
    return f"""
        SELECT sum((p - q) * ln(p / q)) AS value, count(*) AS k, sum(n_day) AS n_day, sum(n_reference) AS n_reference
        FROM (
            SELECT n_day, n_reference,
                (n_day + 1) / (sum(n_day) OVER () + count(*) OVER ()) AS p, (n_reference + 1) / (sum(n_reference) OVER () + count(*) OVER ()) AS q
            FROM (
                SELECT least(place, {TOP_CATEGORIES + 1}) AS place, sum(n_day) AS n_day, sum(n_reference) AS n_reference
                FROM (SELECT *, row_number() OVER (ORDER BY n_reference DESC, n_day DESC) AS place FROM ({counts})) GROUP BY 1
            )
        )
    """


def ks(counts: str) -> str:
    """A query for the Kolmogorov-Smirnov distance, `value`: the largest gap between two cumulative distributions, 0 to 1.

    counts: a relation (x, n_day, n_reference); rows where x is NULL are left out. NULL when a side is empty. See F. Massey (1951), The
    Kolmogorov-Smirnov Test for Goodness of Fit, JASA 46.
    """
    return f"""
        SELECT max(abs(p - q)) AS value, sum(n_day) AS n_day, sum(n_reference) AS n_reference
        FROM (
            SELECT n_day, n_reference,
                sum(n_day) OVER (ORDER BY x) / nullif(sum(n_day) OVER (), 0) AS p, sum(n_reference) OVER (ORDER BY x) / nullif(sum(n_reference) OVER (), 0) AS q
            FROM ({counts}) WHERE x IS NOT NULL
        )
    """


def psi_by_chance(k: str, n: str, m: str) -> str:
    """What the index of two samples of one distribution stays below, but for one time in some hundreds: its mean and three standard deviations.

    It is then (1/n + 1/m) times a chi-squared variable of k - 1 degrees of freedom (B. Yurdakul 2018, Statistical Properties of
    Population Stability Index). n, m: effective sizes.
    """
    return f"(1 / {n} + 1 / {m}) * ({k} - 1 + 3 * sqrt(2 * ({k} - 1)))"


def ks_by_chance(n: str, m: str) -> str:
    """What the distance of two samples of one distribution stays below, but for one time in a thousand: 1.95 sqrt(1/n + 1/m) (Massey 1951).

    n, m: effective sizes.
    """
    return f"1.95 * sqrt(1 / {n} + 1 / {m})"
