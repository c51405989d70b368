"""Requests that a page shows for curl, sent to the app."""

from __future__ import annotations

import argparse
import json
import shlex
from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit

from django.test import Client

from .blocks import Block


def send(block: Block) -> Any:
    """Send the one request of ``block``; the answer."""
    program, *words = shlex.split(block.code.replace("\\\n", " "))
    assert program == "curl", block.place
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("url")
    parser.add_argument("--user", required=True)
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--data", required=True)
    request = parser.parse_args(words)
    headers = dict(line.split(": ", 1) for line in request.header)
    content_type = headers.pop("Content-Type")
    headers["Authorization"] = f"Basic {b64encode(request.user.encode()).decode()}"
    headers["Host"] = urlsplit(request.url).netloc
    path = urlsplit(request.url).path
    return Client().generic("POST", path, request.data, content_type, headers=headers)


def shape(value: Any) -> Any:
    """Names and kinds of values, without the values."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def shape_of(block: Block) -> Any:
    """The shape of a block of JSON."""
    return shape(json.loads(block.code))
