"""Tests of the shop: ``python testproject/manage.py test shop``."""
