"""What every test shares: random cases that are the same on every run of CI, and new ones on every other run."""

import os

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("curious", deadline=None)
settings.load_profile("steady" if os.environ.get("CI") else "curious")
