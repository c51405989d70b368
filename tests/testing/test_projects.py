"""The plugin in projects of others: one with a shop in memory, one without any Django."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUIET = ("-p", "no:cacheprovider", "-p", "no:randomly", "-W", "error")
SETTINGS = """
    SECRET_KEY = "not-a-secret"
    INSTALLED_APPS = [
        "django.contrib.contenttypes", "django.contrib.auth",
        "django_pagoefectivo", "django_pagoefectivo.sandbox",
    ]
    ROOT_URLCONF = "urls"
    ALLOWED_HOSTS = ["*"]
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    STATIC_URL = "static/"
    USE_TZ = True
    PAGOEFECTIVO = {
        "MERCHANTS": {
            "default": {
                "ENVIRONMENT": "production",
                "SERVICE_ID": "1234",
                "ACCESS_KEY": "TESTACCESSKEY0000001",
                "SECRET_KEY": "test-secret-key-not-real-0123456789abcdef",
            }
        }
    }
"""
URLS = """
    from django.urls import include, path

    urlpatterns = [path("pagos/", include("django_pagoefectivo.urls"))]
"""
SHOP_TESTS = """
    from decimal import Decimal

    import pytest
    from django_pagoefectivo.services import Customer, create_payment


    @pytest.fixture
    def payment(pagoefectivo_sandbox):
        return create_payment(
            order_reference="A-1", amount=Decimal("22.05"),
            customer=Customer(email="ana@shop.example"),
        )


    def test_paid(payment, pay, payment_signals):
        pay(payment)
        assert payment.is_paid
        payment_signals.once("payment_confirmed", payment)


    def test_expired(payment, expire):
        expire(payment)
        assert payment.status == "expired"


    def test_two_at_once_need_two_connections(payment, pay):
        with pytest.raises(ValueError, match="need a database that two threads can use"):
            pay(payment, "twice-at-once")


    def test_the_shops_own_fixture_wins(notify):
        assert notify == "the shop's own"
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest as somebody else would run it there."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match("DJANGO|PAGOEFECTIVO|PYTEST|COV_|COVERAGE", name)
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *QUIET, *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text), "utf-8")


@pytest.mark.slow
def test_a_shop_with_its_database_in_memory(tmp_path: Path) -> None:
    write(
        tmp_path,
        shop_settings=SETTINGS,
        urls=URLS,
        test_shop=SHOP_TESTS,
        conftest="""
            import pytest

            @pytest.fixture
            def notify():
                return "the shop's own"
        """,
    )
    done = run_pytest(tmp_path, "--ds", "shop_settings")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


@pytest.mark.slow
def test_without_the_sandbox_installed_there_is_a_sentence(tmp_path: Path) -> None:
    write(
        tmp_path,
        shop_settings=SETTINGS.replace('"django_pagoefectivo.sandbox",', ""),
        urls=URLS,
        test_shop="""
            def test_pay(pagoefectivo_sandbox):
                pass

            def test_notify(notify, db):
                from django_pagoefectivo.testing import make_payment

                payment = make_payment()
                assert notify(payment).status_code == 200
                assert payment.is_paid
        """,
    )
    done = run_pytest(tmp_path, "--ds", "shop_settings")
    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert 'Add "django_pagoefectivo.sandbox" to INSTALLED_APPS' in done.stdout


@pytest.mark.slow
def test_a_project_without_settings_is_left_alone(tmp_path: Path) -> None:
    write(
        tmp_path,
        test_other="""
            import sys

            def test_other():
                assert "django_pagoefectivo.testing.plugin" in sys.modules
                assert "django_pagoefectivo.models" not in sys.modules
                assert "django_pagoefectivo.testing.payments" not in sys.modules
        """,
    )
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    # Nor where pytest-django is not there.
    done = run_pytest(tmp_path, "-p", "no:django")
    assert done.returncode == 0, done.stdout + done.stderr
