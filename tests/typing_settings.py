"""Settings for mypy alone: the apps of the suite, the example shop and the measurements.

Its plugin reads one set of settings, and knows the models of the apps in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as USUAL

# The example shop's apps are imported from its own folder.
sys.path.append(str(Path(__file__).resolve().parents[1] / "testproject"))
INSTALLED_APPS = [*USUAL, "shop", "headless", "benchmarks.shop"]
# What the example shop's settings have beside Django's own and the package's.
USES_BUILT_IN_SANDBOX = True
