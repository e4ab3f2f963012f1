"""Predictions beside published measurements: `python -m validation`."""
