"""A Django app that plays PagoEfectivo over real HTTP, for development, demos and tests.

``django_pagoefectivo.sandbox.control`` drives it from code.
"""
