"""The app: connects its own receivers and system checks."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.core import checks
from django.utils.translation import gettext_lazy as _


class PagoEfectivoConfig(AppConfig):
    """django-pagoefectivo in ``INSTALLED_APPS``."""

    name = "django_pagoefectivo"
    label = "pagoefectivo"
    verbose_name = _("PagoEfectivo")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect receivers and register checks."""
        # Models can be imported only once every app is loaded.
        from . import checks as own_checks
        from . import queue_checks, rest_checks
        from .services.confirmation import confirm_by_query
        from .services.payments import cancel_other_codes
        from .signals import confirmation_due, other_codes_open

        other_codes_open.connect(
            cancel_other_codes, dispatch_uid="django_pagoefectivo.cancel_other_codes"
        )
        confirmation_due.connect(
            confirm_by_query, dispatch_uid="django_pagoefectivo.confirm_by_query"
        )
        checks.register(own_checks.check_settings)
        checks.register(own_checks.check_safety, checks.Tags.security)
        checks.register(own_checks.check_merchants_elsewhere, checks.Tags.database)
        checks.register(own_checks.check_urls, checks.Tags.urls)
        checks.register(queue_checks.check_celery)
        checks.register(queue_checks.check_tasks)
        checks.register(queue_checks.check_task_backend, deploy=True)
        checks.register(rest_checks.check_rest_api)
        checks.register(own_checks.check_literal_secrets, checks.Tags.security, deploy=True)
        if queue_checks.uses_celery():
            # In the thread that knows the project's app; threads of a server do not.
            import_module("django_pagoefectivo.broker")
        if apps.is_installed("drf_spectacular"):
            # So that the shop's own OpenAPI document has these endpoints, too.
            import_module("django_pagoefectivo.api.openapi")
