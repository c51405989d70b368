"""Every proof that the security page names is a test of this suite."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "security.rst").read_text("utf-8")
NAMED = sorted(set(re.findall(r"``(tests/[^`]+)``", PAGE)))


def proofs_in(path: Path) -> set[str]:
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}::{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef)
            }
    return found


@pytest.mark.parametrize("proof", NAMED)
def test_the_proof_exists(proof: str) -> None:
    path, _, name = proof.partition("::")
    assert name.split("::")[-1].startswith("test_")
    assert name in proofs_in(ROOT / path)


def test_every_threat_has_a_proof() -> None:
    rows = PAGE.split("\n   * - ")[1:]
    threats = [row for row in rows if not row.startswith("The attempt")]
    assert len(threats) > 20
    assert [row.split("\n")[0] for row in threats if "``tests/" not in row] == []
