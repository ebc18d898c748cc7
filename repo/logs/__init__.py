"""Logs of attempts: compressed chunks of lines, and a head for each log."""
