"""The ``PAGOEFECTIVO`` setting: read when used, checked as it is read.

``get_config()`` reads ``settings.PAGOEFECTIVO`` each time, so ``override_settings``
works. Each value is validated in one place: reading a wrong one raises
``ImproperlyConfigured`` with the setting, the fault and the mend, and the system
checks collect the same sentences.
"""

from .config import Config, get_config
from .environ import from_env
from .merchants import MERCHANT_DEFAULTS, Merchant
from .options import CHECKED_PROPERTIES, DEFAULTS, Options
from .rules import Network, is_web_url
from .sources import forget_merchants

__all__ = [
    "CHECKED_PROPERTIES",
    "DEFAULTS",
    "MERCHANT_DEFAULTS",
    "Config",
    "Merchant",
    "Network",
    "Options",
    "forget_merchants",
    "from_env",
    "get_config",
    "is_web_url",
]
