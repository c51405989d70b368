"""Settings of the test suite. ``DATABASE_URL`` picks the database, SQLite by default."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import django
import environ

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent
SECRET_KEY = "not-a-secret-just-for-tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = True
ROOT_URLCONF = "tests.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_pagoefectivo",
    "django_pagoefectivo.sandbox",
    "tests.shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
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
STATIC_URL = "static/"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

# A name of its own for each run, so that several can go on beside each other.
TEST_DATABASE = f"pagoefectivo_tests_{os.getpid()}"
DATABASES = {"default": env.db("DATABASE_URL", default="sqlite:///pagoefectivo-tests.sqlite3")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file and not memory: threads and processes of a test need connections of their own.
    DATABASES["default"] |= {
        "TEST": {"NAME": str(Path(tempfile.gettempdir()) / f"{TEST_DATABASE}.sqlite3")},
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
else:
    DATABASES["default"]["TEST"] = {"NAME": TEST_DATABASE}

PAGOEFECTIVO: dict[str, Any] = {
    "MERCHANTS": {
        "default": {
            "API": "cip",
            "ENVIRONMENT": "sandbox",
            # Nobody listens there: a test that calls out names its own server.
            "BASE_URL": "http://127.0.0.1:9/v1",
            "SERVICE_ID": "1234",
            "ACCESS_KEY": "TESTACCESSKEY0000001",
            "SECRET_KEY": "test-secret-key-not-real-0123456789abcdef",
            "CURRENCIES": ["PEN", "USD"],
        },
    },
    "TIMEOUT": (1, 2),
}
