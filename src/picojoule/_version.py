"""The version, alone, so that any room may print it."""

__version__ = "0.1.0"
