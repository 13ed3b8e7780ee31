"""The part that pytest loads by itself: below the tests, what a helpdesk cannot do.

The tests themselves are in `conformance.testing`. Nothing is imported here that would slow down, or
could break, the tests of those who only have the package installed.
"""

from typing import Any

CANNOT = "helpdesk cannot"
"""The property of a test that says what the helpdesk cannot do, and what happens instead."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what the helpdesk cannot do."""
    found = dict.fromkeys(
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == CANNOT
    )
    if found:
        terminalreporter.section("What the helpdesk cannot do, and what happens instead")
        for one in found:
            terminalreporter.write_line(one)
