"""Where the merchants of ``PAGOEFECTIVO`` come from: the shop's own table."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save

from django_pagoefectivo.conf import forget_merchants

from .models import Account


def merchants() -> dict[str, dict[str, Any]]:
    """One entry for each active account, as it would stand in the settings."""
    return {
        account.name: {
            "API": account.api,
            "ENVIRONMENT": "production" if account.is_live else "sandbox",
            "BASE_URL": account.base_url or None,
            "CURRENCIES": [account.currency],
            "SERVICE_ID": account.service_id,
            "ACCESS_KEY": account.access_key,
            "SECRET_KEY": account.secret_key,
            "SECRET_KEY_FALLBACKS": [account.former_key] if account.former_key else [],
        }
        for account in Account.objects.filter(is_active=True)
    }


# This process knows of a change at once, the others within MERCHANTS_MAX_AGE.
post_save.connect(forget_merchants, sender=Account, dispatch_uid="accounts.saved")
post_delete.connect(forget_merchants, sender=Account, dispatch_uid="accounts.deleted")
