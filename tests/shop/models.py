"""The tests' order."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    """An order with a number."""

    number = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.number
