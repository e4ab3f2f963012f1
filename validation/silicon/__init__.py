"""Accelerators whose silicon was measured layer by layer or application by application: `python -m validation.silicon`."""
