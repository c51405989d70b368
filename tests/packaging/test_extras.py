"""Each extra alone, from the wheel: what it gives, and what is said where it is not there."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import ROOT, run

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]
SHOP = {
    "shop": """
        import environ
        from django_pagoefectivo.conf import from_env

        SECRET_KEY = "not-a-secret"
        ALLOWED_HOSTS = ["*"]
        INSTALLED_APPS = [
            "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
            "django.contrib.messages", "django.contrib.sessions",
            "django_pagoefectivo", "django_pagoefectivo.sandbox",
        ]
        MIDDLEWARE = [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ]
        TEMPLATES = [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ]
        ROOT_URLCONF = "urls"
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
        STATIC_URL = "static/"
        USE_TZ = True
        PAGOEFECTIVO = from_env(environ.Env())
    """,
    "documented": """
        from shop import *

        INSTALLED_APPS = [*INSTALLED_APPS, "drf_spectacular"]
        REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
    """,
    "urls": """
        from django.urls import include, path

        urlpatterns = [path("pagos/", include("django_pagoefectivo.urls"))]
    """,
    "test_shop": """
        import pytest
        from django_pagoefectivo.services import Customer, create_payment
        from django_pagoefectivo.testing.factories import PaymentFactory


        @pytest.mark.django_db
        def test_factory():
            assert PaymentFactory(status="paid").is_paid


        def test_paid(pagoefectivo_sandbox, pay, payment_signals):
            payment = create_payment(
                order_reference="A-1", amount=25, customer=Customer(email="ana@shop.example")
            )
            pay(payment)
            payment_signals.once("payment_confirmed", payment)
    """,
}
KEYS = {
    "DJANGO_SETTINGS_MODULE": "shop",
    "PAGOEFECTIVO_SERVICE_ID": "1234",
    "PAGOEFECTIVO_ACCESS_KEY": "TESTACCESSKEY0000001",
    "PAGOEFECTIVO_SECRET_KEY": "test-secret-key-not-real-0123456789abcdef",
}
CELERY = {"PAGOEFECTIVO_SIGNAL_DELIVERY": "celery"}
HEAR = """
    from django_pagoefectivo.signals import payment_confirmed
    from django_pagoefectivo.testing import make_payment, notify


    def tell(*, payment, **kwargs):
        print("told of", payment.order_reference)


    payment_confirmed.connect(tell)
"""
PAY = """
    assert notify(make_payment(order_reference="A-1")).status_code == 200
    print("answered")
"""


@dataclass(frozen=True)
class Environment:
    """A Python with some packages, and a shop of its own in the folder it runs in."""

    home: Path
    shop: Path

    @property
    def python(self) -> Path:
        return self.home / "bin" / "python"

    @property
    def packages(self) -> Path:
        (found,) = self.home.glob("lib/python*/site-packages")
        return found

    def django(self, *command: str, status: int = 0, **env: str) -> str:
        """What a management command writes; it ends with ``status`` and no traceback."""
        told = run(
            self.python, "-m", "django", *command, cwd=self.shop, status=status, **KEYS | env
        )
        assert "Traceback" not in told, told
        return told

    def code(self, *parts: str, **env: str) -> list[str]:
        """The lines that a program of the shop's writes."""
        program = ["import django", "django.setup()", *map(textwrap.dedent, parts)]
        source = "\n".join(program)
        told = run(self.python, "-c", source, cwd=self.shop, status=0, **KEYS | env)
        return told.splitlines()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    """The wheel with what it cannot do without, and a shop that nothing has happened in yet."""
    folder = tmp_path_factory.mktemp("bare")
    run(sys.executable, "-m", "venv", folder / "home")
    run(folder / "home" / "bin" / "python", "-m", "pip", "install", "--quiet", wheel)
    environment = Environment(folder / "home", folder / "shop")
    environment.shop.mkdir()
    for name, text in SHOP.items():
        (environment.shop / f"{name}.py").write_text(textwrap.dedent(text), "utf-8")
    environment.django("migrate", "--verbosity", "0")
    return environment


@pytest.fixture
def bare(tmp_path: Path, home: Environment) -> Environment:
    """The environment without any extra, and a shop for this test alone."""
    return Environment(home.home, shutil.copytree(home.shop, tmp_path / "shop"))


@pytest.fixture
def extended(
    request: pytest.FixtureRequest, tmp_path: Path, bare: Environment, wheel: Path
) -> Environment:
    """The bare environment beneath one that has an extra, and nothing of another's."""
    extra, *others = request.param
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "home")
    environment = Environment(tmp_path / "home", bare.shop)
    (environment.packages / "bare.pth").write_text(f"{bare.packages}\n", "utf-8")
    wanted = f"django-pagoefectivo[{extra}] @ {wheel.as_uri()}"
    install = ("-m", "pip", "install", "--quiet", "--no-compile")
    run(environment.python, *install, wanted, *others)
    return environment


def with_extra(*packages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("extended", [packages], ids=packages[:1], indirect=True)


# -- without any -----------------------------------------------------------------------------


def test_a_module_that_needs_an_extra_says_so_and_every_other_does_without(
    bare: Environment,
) -> None:
    where, missing = bare.code(
        """
        import importlib
        import json
        import pkgutil

        import django_pagoefectivo

        missing = {}
        for module in pkgutil.walk_packages(django_pagoefectivo.__path__, "django_pagoefectivo."):
            try:
                importlib.import_module(module.name)
            except ImportError as error:
                missing[module.name.partition(".")[2]] = str(error)
        print(django_pagoefectivo.__file__)
        print(json.dumps(missing))
        """
    )
    assert Path(where).is_relative_to(bare.home)
    told = json.loads(missing)
    # With Django before 6.0 only.
    too_old = "Deliveries by Django's own tasks need Django 6.0 or newer."
    assert told.pop("django_tasks", too_old) == too_old
    assert told == {
        "api.openapi": "The OpenAPI document needs drf-spectacular. "
        'Install it with pip install "django-pagoefectivo[openapi]".',
        "prometheus": "Metrics for Prometheus need prometheus_client. "
        'Install it with pip install "django-pagoefectivo[prometheus]".',
        "tasks": "Deliveries and bulk jobs by Celery need Celery. "
        'Install it with pip install "django-pagoefectivo[celery]".',
        "testing.factories": "The factories need factory_boy. "
        'Install it with pip install "django-pagoefectivo[testing]", or use '
        "django_pagoefectivo.testing.make_payment, which needs nothing.",
        # Parts of openapi and tasks, and what pytest alone imports.
        "api.openapi_parts": "No module named 'drf_spectacular'",
        "broker": "No module named 'celery'",
        "testing.plugin": "No module named 'pytest'",
    }


def test_without_any_extra_the_system_check_finds_nothing(bare: Environment) -> None:
    assert "no issues" in bare.django("check", "--database", "default")


def test_settings_that_name_celery_without_it_lose_nothing(bare: Environment) -> None:
    told = bare.django("check", status=1, **CELERY)
    assert "(pagoefectivo.E020)" in told
    assert 'pip install "django-pagoefectivo[celery]"' in told
    # A server runs no checks: the notification is taken in, and the safety net tells the shop.
    log = """
        import logging
        import sys

        logging.basicConfig(format="%(message)s", stream=sys.stdout)
    """
    net = """
        from django.core.management import call_command

        call_command("pagoefectivo_deliver", "--now")
    """
    warning, *told_of = bare.code(log, HEAR, PAY, net, **CELERY)
    assert 'pip install "django-pagoefectivo[celery]"' in warning
    assert "pagoefectivo_deliver makes the calls" in warning
    assert told_of == ["answered", "told of A-1", "1 delivered, 0 failed."]


def test_xlsx_without_its_extra_is_refused_with_a_sentence(bare: Environment) -> None:
    needs = 'XLSX needs the extra: pip install "django-pagoefectivo[xlsx]".'
    with zipfile.ZipFile(bare.shop / "report.xlsx", "w") as file:
        file.writestr("xl/workbook.xml", "")
    assert needs in bare.django("pagoefectivo_import", "report.xlsx", status=1)
    assert needs in bare.django("pagoefectivo_export", "payments.xlsx", status=1)
    assert not (bare.shop / "payments.xlsx").exists()


# -- each alone ------------------------------------------------------------------------------


@with_extra("celery")
def test_celery_calls_the_shops_receivers(extended: Environment) -> None:
    app = """
        import celery
        from django.core.management import call_command

        app = celery.Celery("shop")
        app.conf.task_always_eager = True
        app.autodiscover_tasks(["django_pagoefectivo"])
        call_command("check", fail_level="WARNING")
    """
    told = extended.code(app, HEAR, PAY, **CELERY)
    assert told[-2:] == ["told of A-1", "answered"]


@with_extra("xlsx")
def test_xlsx_goes_out_and_comes_in(extended: Environment) -> None:
    exported, *imported = extended.code(
        """
        import openpyxl
        from django.core.management import call_command
        from django_pagoefectivo.testing import make_payment

        make_payment("paid", cip="1001")
        book = openpyxl.Workbook()
        for row in (["CIP", "Monto"], ["1001", "22.05"]):
            book.active.append(row)
        book.save("report.xlsx")
        call_command("pagoefectivo_export", "payments.xlsx")
        call_command("pagoefectivo_import", "report.xlsx")
        """
    )
    assert exported == "1 payments in payments.xlsx."
    assert zipfile.is_zipfile(extended.shop / "payments.xlsx")
    assert ["1", "matched"] in [line.split() for line in imported]


@with_extra("prometheus")
def test_prometheus_counts(extended: Environment) -> None:
    install = """
        from django_pagoefectivo import prometheus

        prometheus.install()
    """
    scrape = """
        from django.test import RequestFactory

        print(prometheus.metrics(RequestFactory().get("/metrics")).content.decode())
    """
    told = extended.code(install, HEAR, PAY, scrape)
    assert 'pagoefectivo_notifications_total{merchant="default",outcome="applied"} 1.0' in told


@with_extra("testing", "pytest", "pytest-django")
def test_testing_has_factories_and_fixtures(extended: Environment) -> None:
    tested = run(extended.python, "-m", "pytest", "-q", cwd=extended.shop, status=0, **KEYS)
    assert "2 passed" in tested


@with_extra("openapi")
def test_openapi_is_in_the_shops_own_document(extended: Environment) -> None:
    document = extended.django("spectacular", DJANGO_SETTINGS_MODULE="documented")
    assert "/pagos/api/payments/{token}/cancel/:" in document
    assert "operationId: cancelPayment" in document


def test_every_extra_has_its_test() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    tested = {
        mark.args[1][0][0]
        for test in globals().values()
        for mark in getattr(test, "pytestmark", ())
        if mark.args[:1] == ("extended",)
    }
    assert tested == set(declared["optional-dependencies"])
