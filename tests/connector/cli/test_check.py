"""`connector check`: what its last line says."""

import pytest

from clients.findings import Finding, finding
from connector.cli.check import Report, _summary

FINE = finding("page_token_valid")
UNKNOWN = finding("desk_unknown", desk_id="7", reason="?")
WRONG = finding("page_not_subscribed")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([FINE], "Everything is in order: 1 page checked."),
        (
            [FINE, UNKNOWN],
            "Nothing was found to be wrong: 1 page checked; 1 question could not be answered (?).",
        ),
        (
            [UNKNOWN] * 2,
            "Nothing was found to be wrong: 1 page checked; 2 questions could not be answered (?).",
        ),
        (
            [WRONG, UNKNOWN],
            (
                "1 fault found, of which 1 stops messages; 1 page checked, 1 with faults; "
                "1 question could not be answered (?)."
            ),
        ),
    ],
)
def test_the_last_line_says_what_could_not_be_checked(found: list[Finding], said: str) -> None:
    report = Report(quiet=True)
    report.add("settings", [])
    report.add("page 1", found)

    assert _summary(report, list(report.wrong())) == said
