"""Finds the browsers for the tests of the page and GraphiQL."""

import os
import shutil

# Chromium without a user interface, which takes half of its CPU time.
HEADLESS_SHELL = "chromium-headless-shell"


def find_chromium() -> str | None:
    """The path of a Chromium, or None. RUNGRAPH_TEST_CHROMIUM overrides it."""
    names = (HEADLESS_SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = (shutil.which(name) for name in names)
    return os.environ.get("RUNGRAPH_TEST_CHROMIUM") or next(filter(None, found), None)


def find_firefox() -> str | None:
    """The path of Firefox, or None. RUNGRAPH_TEST_FIREFOX overrides it."""
    return os.environ.get("RUNGRAPH_TEST_FIREFOX") or shutil.which("firefox-esr")
