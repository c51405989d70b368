"""``manage.py pagoefectivo_*``."""
