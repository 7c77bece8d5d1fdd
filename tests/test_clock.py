import pytest

from toolkit.clock import duration, parse_duration
from toolkit.errors import OptionError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("2h", 7200), ("1h5s", 3605), (12.5, 12.5)],
)
def test_times_as_people_write_them(text, seconds):
    assert parse_duration("--time-budget", text) == seconds


def test_no_time_is_none():
    assert parse_duration("--time-budget", None) is None


@pytest.mark.parametrize("text", ["", "20", "20 m", "soon", "1.5h", "-1m", "0s", "m", 0, -1])
def test_what_is_no_time_is_refused_with_the_rule(text):
    with pytest.raises(OptionError) as error:
        parse_duration("--time-budget", text)
    assert str(error.value) == (
        f"--time-budget must be a time above 0 such as 90s, 20m or 1h30m. Received: {text!r}"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_no_times_are_refused(value):
    with pytest.raises(OptionError):
        parse_duration("--time-budget", value)


@pytest.mark.parametrize("text", ["5s", "90s", "150s", "2m", "20m", "1h", "1h30m"])
def test_what_is_written_is_what_is_read(text):
    assert duration(parse_duration("x", text)) == text
