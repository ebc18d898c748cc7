"""Finds the browser for the tests of the page and GraphiQL."""

import os
import shutil


def find_chromium() -> str | None:
    """The path of a Chromium, or None. RUNGRAPH_TEST_CHROMIUM overrides it."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = (shutil.which(name) for name in names)
    return os.environ.get("RUNGRAPH_TEST_CHROMIUM") or next(filter(None, found), None)
