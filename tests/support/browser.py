"""Owns where the browser is that the tests look at the page and GraphiQL with."""

import os
import shutil


def find_chromium() -> str | None:
    """The path of a Chromium on this machine, or None. RUNGRAPH_TEST_CHROMIUM names another one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = (shutil.which(name) for name in names)
    return os.environ.get("RUNGRAPH_TEST_CHROMIUM") or next(filter(None, found), None)
