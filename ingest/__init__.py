"""Imports runs of other engines and plays the demo: ordinary clients of the API."""
