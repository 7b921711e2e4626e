from datetime import date

from spark_jobs.segment_labels import describe_segment, label_segments
from spark_jobs.segment_matching import Known, Memory, Scale, match, remember

YESTERDAY, TODAY = date(2026, 3, 30), date(2026, 3, 31)
PLAIN = Scale((0.0,), (1.0,))


def _known(number: int, *centre: float, last_seen: date = YESTERDAY) -> Known:
    return Known(number, f"label {number}", centre, last_seen)


def _numbers(found: list[Known | None]) -> list[int | None]:
    return [None if known is None else known.number for known in found]


def test_on_the_first_night_every_segment_is_new() -> None:
    assert match([(0.0,), (1.0,)], PLAIN, Memory(), radius=0.5) == [None, None]


def test_the_order_of_centres_does_not_matter() -> None:
    memory = Memory((_known(0, 0.0), _known(1, 2.0)))
    assert _numbers(match([(1.9,), (0.2,)], PLAIN, memory, radius=0.5)) == [1, 0]


def test_the_assignment_is_the_best_of_all_and_not_the_nearest_first() -> None:
    # The nearest pair, .45 and 0, would leave -.5 without a segment: 1.5 from the other. .45 to 1 and -.5 to 0 fit both.
    memory = Memory((_known(0, 0.0), _known(1, 1.0)))
    assert _numbers(match([(0.45,), (-0.5,)], PLAIN, memory, radius=0.6)) == [1, 0]


def test_a_centre_that_is_near_no_known_one_is_new() -> None:
    memory = Memory((_known(4, 0.0), _known(7, 1.0)))
    assert _numbers(match([(0.1,), (5.0,), (1.6,)], PLAIN, memory, radius=0.5)) == [4, None, None]


def test_a_night_that_runs_again_gives_the_numbers_that_it_gave_before() -> None:
    # The night before knows 0 only, and comes first; 3 and 4 were given when this night, or a later one, ran.
    memory = Memory((_known(0, 0.0),), (_known(3, 2.0), _known(4, 0.1)), next_number=5)
    assert _numbers(match([(0.1,), (2.0,), (7.0,)], PLAIN, memory, radius=0.5)) == [0, 3, None]


def test_centres_are_compared_in_the_scale_of_tonight() -> None:
    # 3 and 8 as signed logarithms are (3 - 1) / 2 = 1 and (8 - 2) / 3 = 2 tonight. Root mean square of .3 and .4: sqrt(.125) = .353553.
    scale, memory = Scale((1.0, 2.0), (2.0, 3.0)), Memory((_known(0, 3.0, 8.0),))
    assert _numbers(match([(1.3, 2.4)], scale, memory, radius=0.3536)) == [0]
    assert _numbers(match([(1.3, 2.4)], scale, memory, radius=0.3535)) == [None]
    assert scale.unscaled((1.0, 2.0)) == (3.0, 8.0)


def test_who_was_away_is_remembered() -> None:
    memory = Memory((_known(0, 0.0), _known(1, 2.0, last_seen=date(2026, 3, 1))))
    assert remember(memory, [_known(5, 9.0, last_seen=TODAY), _known(0, 0.1, last_seen=TODAY)]) == [
        _known(0, 0.1, last_seen=TODAY),
        _known(1, 2.0, last_seen=date(2026, 3, 1)),
        _known(5, 9.0, last_seen=TODAY),
    ]
    assert _numbers(match([(2.1,)], PLAIN, memory, radius=0.5)) == [1]


NAMES = ("n_events_28d", "days_since_last_event", "monetary")


def test_a_label_stays_while_it_is_true() -> None:
    centres, orders = [(0.5, -0.9, 0.0), (-0.5, 0.9, 0.0), (0.4, -0.2, 0.0)], [0.0, 0.0, 0.0]
    assert label_segments(NAMES, centres, orders) == ["recent visitors", "dormant visitors", "busy visitors"]
    # busy is true of the first as well, and stays; nobody is busy in the second any more: it gets a new label. The third finds its own taken.
    assert label_segments(NAMES, centres, orders, ["busy visitors", "busy visitors", None]) == ["busy visitors", "dormant visitors", "recent visitors"]


def test_a_description_has_the_figures_of_what_sets_a_segment_apart() -> None:
    means = {"n_events_28d": 52.54, "days_since_last_event": 0.4, "monetary": 1234.5, "frequency": 2.0}
    overall = {"n_events_28d": 20.06, "days_since_last_event": 12.3, "monetary": 99.96, "frequency": 0.7}
    centre = {"n_events_28d": 0.5, "days_since_last_event": -0.9, "monetary": 0.05}
    sentence = "1,203 persons, 24%: 0.4 days since the last event (all: 12.3), 52.5 events in 28 days (all: 20.1)."
    assert describe_segment(centre, means, overall, n_users=1203, n_all=5000) == sentence
    assert describe_segment({"monetary": 2.0}, means, overall, n_users=1, n_all=4) == "1 person, 25%: 1,234 spent (all: 100.0)."
    assert (
        describe_segment({"monetary": 2.0}, means | {"frequency": 0.4}, overall, n_users=4, n_all=4) == "4 persons, 100%: close to the average in everything."
    )
