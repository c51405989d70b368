"""Measurements of django-pagoefectivo: each module is a command, see its docstring.

Every command makes a database of its own, under a name of its own, and drops it at the end.
Figures of one machine say little; what counts are ratios of what ran in turn in one run.
"""
