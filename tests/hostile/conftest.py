"""Originals that are made once, and the tally."""

from collections import Counter

import pytest
from hostile import corpus


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    return corpus.Originals(tmp_path_factory.mktemp("originals"))


def pytest_terminal_summary(terminalreporter):
    """How many cases ended in which way; from the reports, which may be of workers."""
    tally = Counter(
        ending if report.passed else "failed"
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, ending in report.user_properties
        if name == "hostile"
    )
    if tally:
        terminalreporter.write_line(
            f"hostile files: {tally.total()} tried, {tally[corpus.REFUSED]} refused, "
            f"{tally[corpus.SURVIVES]} survived, {tally['failed']} otherwise"
        )
