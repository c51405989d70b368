"""Faults that keep a rehearsal from beginning or from ending well: lines, never a traceback.

Each is played by the command in a process of its own, in a copy of the example shop.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from .shops import Shop, words

pytestmark = pytest.mark.slow
PATIENT = ("pagoefectivo_rehearse", "--patience", "0.2")
SUCCESS = (*PATIENT, "--only", "success")

READ_ONLY = """
DATABASES["default"] |= {
    "NAME": f"file:{DATABASES['default']['NAME']}?mode=ro",
    "OPTIONS": {"uri": True},
}
"""
FAILING_SOURCE = """
def _merchants():
    raise RuntimeError("the vault is away, password=secret")

PAGOEFECTIVO["MERCHANTS"] = _merchants
"""
REAL_BESIDE_BROKEN = """
_own = PAGOEFECTIVO["MERCHANTS"]["default"]
_real = {**_own, "ENVIRONMENT": "production", "BASE_URL": None}
PAGOEFECTIVO["MERCHANTS"] = lambda: {"default": _real, "usd": {**_real, "SECRET_KEY": ""}}
"""
NO_SANDBOX = """
INSTALLED_APPS = [one for one in INSTALLED_APPS if one != "django_pagoefectivo.sandbox"]
ROOT_URLCONF = "urls_alone"
"""
URLS = {
    "urls_broken": "import no_such_module",
    "urls_alone": """
        from config import urls

        urlpatterns = [one for one in urls.urlpatterns if "sandbox" not in str(one.pattern)]
    """,
}
#: The fault → what is changed in the settings, how many lines failed, the words.
FAULTS: dict[str, tuple[str, int, str]] = {
    "site url": ('PAGOEFECTIVO["SITE_URL"] = "tienda.pe"', 1, "SITE_URL"),
    "timeout": ('PAGOEFECTIVO["TIMEOUT"] = 20', 1, "TIMEOUT"),
    "cache": ('PAGOEFECTIVO["CACHE"] = "redis"', 1, "CACHE"),
    "term": ('PAGOEFECTIVO["EXPIRES_IN"] = 3600', 1, "EXPIRES_IN"),
    "no wsgi.py": ('WSGI_APPLICATION = "no.wsgi.application"', 1, "It cannot be loaded"),
    "middleware": (
        'MIDDLEWARE = ["no.such.Middleware", *MIDDLEWARE]\nWSGI_APPLICATION = None',
        1,
        "No module named 'no'",
    ),
    "urls": ('ROOT_URLCONF = "urls_broken"', 1, "No module named 'no_such_module'"),
    "read-only database": (READ_ONLY, 1, "attempt to write a readonly database"),
    "no merchant": ("del PAGOEFECTIVO", 1, "missing or no dict"),
    "a source that fails": (FAILING_SOURCE, 0, "failed (RuntimeError)"),
    "production": (REAL_BESIDE_BROKEN, 0, "Merchant default, usd is in production"),
    "no sandbox": (NO_SANDBOX, 0, "The built-in sandbox is not installed"),
}


def lines_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The lines of a report in JSON, which is all that may be on standard output."""
    lines: list[dict[str, Any]] = json.loads(done.stdout)["lines"]
    return lines


def failed(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [line for line in lines_of(done) if line["verdict"] == "failed"]


@pytest.mark.parametrize("fault", FAULTS)
def test_it_cannot_begin(shop: Shop, fault: str) -> None:
    change, count, said = FAULTS[fault]
    for name, text in URLS.items():
        shop.write(name, text)
    junit = shop.folder / "junit.xml"
    junit.write_text("<testsuites><!-- of another day --></testsuites>")
    done = shop.run(change, *PATIENT, "--format", "json", "--junit", str(junit))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    assert not report["passed"]
    assert report["reason"]
    *before, last = report["lines"]
    assert [line["verdict"] for line in before] == ["failed"] * count
    assert (last["scenario"], last["verdict"]) == ("every scenario", "error")
    assert said in json.dumps(report["lines"], ensure_ascii=False)
    assert all(line["mend"] for line in before)
    assert "secret" not in done.stdout + done.stderr
    suite = ET.fromstring(junit.read_bytes()).find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    assert (suite.get("errors"), suite.get("failures")) == ("1", str(count))
    error = suite.find(".//error")
    assert error is not None
    assert error.get("message") == report["reason"]


def test_an_order_maker_that_cannot_be_imported_is_reported(shop: Shop) -> None:
    done = shop.run("", *SUCCESS, "--orders", "no.such.maker", "--format", "json")
    assert done.returncode == 2
    assert "cannot be imported" in json.loads(done.stdout)["reason"]
    assert "cannot be imported" in done.stderr


# -- clearing up -----------------------------------------------------------------------------

BOOKINGS = """
    from django.db import models

    from django_pagoefectivo.models import Payment


    class Booking(models.Model):
        payment = models.ForeignKey(Payment, models.PROTECT)

        class Meta:
            app_label = "bookings"
"""
APPS = """
    from django.apps import AppConfig

    from django_pagoefectivo.signals import payment_confirmed


    def book(*, payment, **kwargs):
        from bookings.models import Booking

        Booking.objects.create(payment=payment)


    class BookingsConfig(AppConfig):
        name = "bookings"

        def ready(self):
            payment_confirmed.connect(book, dispatch_uid="bookings.book")
"""
INSTALLED = 'INSTALLED_APPS = ["bookings.apps.BookingsConfig", *INSTALLED_APPS]'
CLEARS = """
    from contextlib import contextmanager


    @contextmanager
    def raises():
        yield {}
        raise LookupError("password=secret")


    @contextmanager
    def clears():
        yield {}
        from bookings.models import Booking

        Booking.objects.all().delete()
"""
COUNT = """
    from django_pagoefectivo.models import Payment
    from django_pagoefectivo.sandbox.models import SandboxCall, SandboxCode
    print(*(model.objects.count() for model in (Payment, SandboxCode, SandboxCall)))
"""


@pytest.fixture
def bookings(shop: Shop) -> Shop:
    """A shop whose own rows point at payments, without their table."""
    (shop.folder / "bookings").mkdir()
    shop.write("bookings/__init__", "")
    shop.write("bookings/models", BOOKINGS)
    shop.write("bookings/apps", APPS)
    shop.write("makers", CLEARS)
    shop.write("count", COUNT)
    return shop


def test_rows_that_are_protected_are_named(bookings: Shop) -> None:
    assert bookings.run(INSTALLED, "migrate", "--run-syncdb").returncode == 0
    done = bookings.run(INSTALLED, *SUCCESS, "--format", "json")
    assert done.returncode == 1, done.stderr
    lines = lines_of(done)
    assert [line["scenario"] for line in lines].count("success") == 3
    (line,) = failed(done)
    assert line["scenario"] == "clearing up"
    assert "the payments of orders REHEARSAL-" in line["saw"]
    assert "stay: rows of bookings.Booking point at them" in line["saw"]
    assert bookings.run(INSTALLED, "shell", "-v0", "-c", "import count").stdout.split() == list(
        "110"
    )


def test_rows_that_the_order_maker_clears_up_are_no_obstacle(bookings: Shop) -> None:
    assert bookings.run(INSTALLED, "migrate", "--run-syncdb").returncode == 0
    done = bookings.run(INSTALLED, *SUCCESS, "--format", "json", "--orders", "makers.clears")
    assert done.returncode == 0, done.stdout
    counted = bookings.run(INSTALLED, "shell", "-v0", "-c", "import count")
    assert counted.stdout.split() == list("000")


def test_a_table_that_is_missing_is_named(bookings: Shop) -> None:
    done = bookings.run(INSTALLED, *SUCCESS, "--format", "json")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    lines = failed(done)
    assert "no such table: bookings_booking" in lines[0]["saw"]
    assert lines[-1]["scenario"] == "clearing up"
    assert "no such table: bookings_booking" in lines[-1]["saw"]


def test_an_order_that_is_not_cleared_up_is_a_line(bookings: Shop) -> None:
    done = bookings.run("", *SUCCESS, "--format", "json", "--orders", "makers.raises")
    (line,) = failed(done)
    assert (done.returncode, line["scenario"]) == (1, "clearing up")
    assert "LookupError" in line["saw"]
    assert "secret" not in done.stdout + done.stderr
    counted = bookings.run("", "shell", "-v0", "-c", "import count")
    assert counted.stdout.split() == list("000")


# -- what is printed -------------------------------------------------------------------------

NOISY = """
    import sys
    from django.apps import AppConfig
    from django_pagoefectivo.signals import payment_confirmed


    def noisy(*, payment, **kwargs):
        print("paid:", payment.order_reference)
        raise LookupError("almacén → cerrado")


    class NoisyConfig(AppConfig):
        name = "noisy"

        def ready(self):
            payment_confirmed.connect(noisy, dispatch_uid="noisy.noisy")
"""
LOGGING_TO_STDOUT = """
INSTALLED_APPS = ["noisy.NoisyConfig", *INSTALLED_APPS]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}},
    "root": {"handlers": ["out"], "level": "INFO"},
}
"""
TWO = (*SUCCESS, "--only", "lost notification")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_standard_output_is_the_report_alone(shop: Shop, encoding: str) -> None:
    shop.write("noisy", NOISY)
    done = shop.run(LOGGING_TO_STDOUT, *TWO, "--format", "json", PYTHONIOENCODING=encoding)
    assert done.returncode == 1, done.stderr
    assert "almacén → cerrado" in json.dumps(lines_of(done), ensure_ascii=False)
    assert done.stderr.count("paid: REHEARSAL-") == 2
    assert "Receiver noisy.noisy of payment_confirmed failed" in done.stderr
    done = shop.run(LOGGING_TO_STDOUT, *TWO, PYTHONIOENCODING=encoding)
    assert done.returncode == 1, done.stderr
    assert "paid: REHEARSAL-" not in done.stdout
    assert "UnicodeEncodeError" not in done.stderr
    assert "FAILED  success" in done.stdout


def test_a_reader_that_goes_away_ends_nothing(shop: Shop) -> None:
    shop.write("noisy", NOISY)
    junit = shop.folder / "junit.xml"
    done = shop.run_piped(LOGGING_TO_STDOUT, "true", *TWO, "--junit", str(junit))
    assert done.returncode == 1, done.stderr
    assert "BrokenPipe" not in done.stderr
    assert b"lost notification" in junit.read_bytes()


# -- what stands before the far end ----------------------------------------------------------

WALL = """
    from django.http import HttpResponse


    def wall(get_response):
        def middleware(request):
            if request.path.startswith("/pagoefectivo/"):
                return get_response(request)
            return HttpResponse("who are you?", status=401)
        return middleware
"""


def test_a_wall_before_the_rest_of_the_shop_is_no_fault(shop: Shop) -> None:
    shop.write("walls", WALL)
    shop.write("urls_alone", URLS["urls_alone"])
    change = 'ROOT_URLCONF = "urls_alone"\nMIDDLEWARE = ["walls.wall", *MIDDLEWARE]'
    done = shop.run(change, *PATIENT)
    assert done.returncode == 0, done.stdout
    assert "22 passed, 0 failed" in done.stdout


def test_a_proxy_of_the_machines_is_no_fault(shop: Shop) -> None:
    nobody = "http://127.0.0.1:9"
    done = shop.run("", *PATIENT, HTTP_PROXY=nobody, http_proxy=nobody, HTTPS_PROXY=nobody)
    assert done.returncode == 0, done.stdout
    assert "22 passed, 0 failed" in words(done)
