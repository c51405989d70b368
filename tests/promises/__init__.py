"""Tests of the promises: each would fail if the promise were broken."""
