import json
import sys

import pytest

from benchmarks.curve import follow, seconds_to
from benchmarks.processes import record_in, run_process, timed_lines
from toolkit.errors import ToolkitError


def python(code):
    return [sys.executable, "-c", code]


def test_lines_come_with_their_time():
    code = "import time; print('a', flush=True); time.sleep(0.2); print('b')"
    (a, first), (b, second), (end, _) = timed_lines(python(code))
    assert (first, second) == ("a", "b")
    assert 0 < a < b <= end and b - a > 0.15


def test_a_process_that_fails_tells_why():
    with pytest.raises(ToolkitError, match="ended with 3"):
        run_process(python("import sys; print('this is why'); sys.exit(3)"))


def test_a_users_error_is_passed_on_alone():
    with pytest.raises(ToolkitError) as caught:
        run_process(python("import sys; print('reading\\nError: no such folder'); sys.exit(2)"))
    assert str(caught.value) == "no such folder"


def test_measuring_does_not_count():
    code = """
import time
from benchmarks.curve import tell_epoch
def measure():
    time.sleep(0.3)
    return 0.5
for epoch in range(3):
    tell_epoch("frozen", epoch, measure)
"""
    lines = []
    curve = follow(python(code), lines.append)
    assert [accuracy for _, accuracy in curve] == [0.5, 0.5, 0.5]
    assert curve[2][0] - curve[0][0] < 0.2
    assert len(lines) == 3


def test_when_an_accuracy_is_reached():
    curve = [(1.0, 0.2), (2.0, 0.6), (3.0, 0.5), (4.0, 0.7)]
    assert seconds_to(curve, 0.5) == 2.0
    assert seconds_to(curve, 0.7) == 4.0
    assert seconds_to(curve, 0.8) is None


@pytest.mark.parametrize("line", ["", "a warning", "{broken", '["no object"]'])
def test_other_lines_are_no_records(line):
    assert record_in(line) is None
    assert record_in(json.dumps({"a": 1})) == {"a": 1}
