"""Imports recordings in WfFormat, the format of the WfCommons project."""

PROJECT = "recordings"
"""The default project of imported runs."""
DOMAIN = "production"
"""The default domain of imported runs."""
