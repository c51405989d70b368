"""Settings of the example shop, all of them from the environment.

Without any it runs on this machine alone: SQLite beside this project, and PagoEfectivo
played by the built-in sandbox on the shop's own server. Put a file ``.env`` beside
``manage.py`` (or name it in ``ENV_FILE``), or set variables, for anything else.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import django
import environ

from django_pagoefectivo.conf import from_env

BASE_DIR = Path(__file__).resolve().parent.parent


# django-environ has no types.
class Env(environ.Env):  # type: ignore[misc]
    """Works on a copy: what the files add must not reach child processes, which would
    take the sandbox's credentials for the shop's own."""

    ENVIRON = dict(os.environ)


env = Env()
env_file = Path(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))
if env_file.is_file():
    env.read_env(env_file)

DEBUG = env.bool("DEBUG", default=True)
#: Where this shop is reached; PagoEfectivo's notifications and its own links begin with it.
SHOP_URL = env.str("SHOP_URL", default="http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
# With DEBUG off there is no default, so that nobody serves the public one by accident.
SECRET_KEY = (
    env.str("SECRET_KEY", default="made-up-and-public-so-for-development-only")
    if DEBUG
    else env.str("SECRET_KEY")
)

# -- PagoEfectivo ----------------------------------------------------------------------------

# Who has given no credentials gets the built-in sandbox; a shop in production never does.
USES_BUILT_IN_SANDBOX = (
    env.str("PAGOEFECTIVO_ENVIRONMENT", default="sandbox") != "production"
    and "PAGOEFECTIVO_SECRET_KEY" not in env.ENVIRON
)
if USES_BUILT_IN_SANDBOX:
    env.read_env(BASE_DIR / "sandbox.env")


def back_to_order(payment: Any) -> str:
    """Where "back to the shop" on PagoEfectivo's pages leads."""
    return payment.order.get_absolute_url() if payment.order else "/"


PAGOEFECTIVO: dict[str, Any] = {
    "SITE_URL": SHOP_URL,
    "RETURN_URL": back_to_order,
    # Shoppers who buy by the REST API pay what the shop says, whatever they send.
    "REST_API": {"PAYMENT_FOR_ORDER": "shop.payments.payment_for_order"},
    **from_env(env),
}
if USES_BUILT_IN_SANDBOX:
    PAGOEFECTIVO["MERCHANTS"]["default"].setdefault("BASE_URL", f"{SHOP_URL}/sandbox/v1")

# -- Django ----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "shop",
    "headless",
    "django_pagoefectivo",
    *(["django_pagoefectivo.sandbox"] if USES_BUILT_IN_SANDBOX else []),
    "rest_framework",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # The shop opens its public views one by one; PagoEfectivo's are open by themselves.
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "shop.context_processors.cart",
            ]
        },
    }
]

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"] |= {
        "OPTIONS": {
            # Writers queue up from the start of their transaction; begun as readers, two of
            # them could only fail.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
        # A file, because the tests' server has a thread, and a connection, of its own.
        "TEST": {"NAME": str(Path(tempfile.gettempdir()) / f"shop-tests-{os.getpid()}.sqlite3")},
    }
else:
    DATABASES["default"]["TEST"] = {"NAME": "test_pagoefectivo_shop"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Shared by every process in production (redis://…), so that they share PagoEfectivo's token.
CACHES = {"default": env.cache("CACHE_URL", default="locmemcache://")}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "shop:my-orders"
LOGOUT_REDIRECT_URL = "shop:catalogue"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("es", "Español")]
TIME_ZONE = "America/Lima"
USE_I18N = True
USE_TZ = True

# Mails are printed by the server unless EMAIL_URL (smtp://…) says where they go.
mail = env.email("EMAIL_URL", default="consolemail://")
if django.VERSION >= (6, 1):
    server = {
        "host": mail["EMAIL_HOST"],
        "port": mail["EMAIL_PORT"],
        "username": mail["EMAIL_HOST_USER"],
        "password": mail["EMAIL_HOST_PASSWORD"],
        "use_tls": mail.get("EMAIL_USE_TLS", False),
        "use_ssl": mail.get("EMAIL_USE_SSL", False),
        "timeout": 10,
    }
    MAILERS = {
        "default": {
            "BACKEND": mail["EMAIL_BACKEND"],
            "OPTIONS": server if mail["EMAIL_HOST"] else {},
        }
    }
else:
    vars().update(mail)
    EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = "Qhatu <hola@qhatu.example>"

STATIC_URL = "static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(BASE_DIR / "build" / "static"))

# Plain HTTP is for the developer's own machine.
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=not DEBUG)
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=0 if DEBUG else 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEBUG
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
X_FRAME_OPTIONS = "DENY"
