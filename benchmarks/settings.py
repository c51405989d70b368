"""Settings of the measurements; ``DATABASE_URL`` names the database, made by the command."""

from __future__ import annotations

import os

import environ

env = environ.Env()

SECRET_KEY = "not-a-secret-just-for-benchmarks"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
ROOT_URLCONF = "benchmarks.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
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
    "benchmarks.shop",
]
_WEB = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
MIDDLEWARE = _WEB
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
# What a busy site logs: warnings. A line for each notification would measure the terminal.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"django_pagoefectivo": {"level": os.environ.get("BENCH_LOG_LEVEL", "ERROR")}},
}

DATABASES = {
    "default": env.db("DATABASE_URL", default="sqlite:///unused.sqlite3") | {"CONN_MAX_AGE": 600}
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": os.environ["BENCH_CACHE"],
    }
    if "BENCH_CACHE" in os.environ
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

PAGOEFECTIVO = {
    "MERCHANTS": {
        name: {
            "API": "cip",
            "ENVIRONMENT": "sandbox",
            "BASE_URL": env.str("BENCH_BASE_URL", default="http://127.0.0.1:9/v1"),
            "SERVICE_ID": service,
            "ACCESS_KEY": "BENCHACCESSKEY000001",
            "SECRET_KEY": f"bench-secret-not-real-{name}-0123456789",
            "CURRENCIES": ["PEN", "USD"],
        }
        for name, service in env.dict(
            "BENCH_MERCHANTS", default={"default": "1001", "market": "1002", "travel": "1003"}
        ).items()
    },
    "SIGNAL_DELIVERY": env.str("BENCH_DELIVERY", default="inline"),
    "SITE_URL": "http://shop.example",
}
