"""A small shop that takes its payments through django-pagoefectivo."""
