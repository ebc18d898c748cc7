"""Imports recordings in WfFormat, the format of the WfCommons project."""

PROJECT = "recordings"
"""The project of imported runs, by default."""
DOMAIN = "production"
"""Their domain, by default."""
