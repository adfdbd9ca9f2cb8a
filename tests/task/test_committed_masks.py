"""A task written before tasks learnt more means what it meant, to the pixel."""

from __future__ import annotations

import pytest

from tests.fixtures.committed_masks import hashes

# Taken at commit 3d904b6: the inputs of the 66 test images of calibration/dsb2018, and the masks for them.
STRETCHED = "ba740d5768e9d90eccf725010aac0749564c8dc1628a2b1ec6fa40fa3184360a"
BEFORE = {
    "unet": (STRETCHED, "614e82f53678c5af5e7faea315756282fcda97eab66bb3eb2d9f8be45dbdf98a"),
    "litenext": (STRETCHED, "3d723d37034cc3d09dc674b2f644099a4f0723296979b9714513a34eb76eb67f"),
    "lanet": (
        "7c206d09fc592f2d4cab4555e8ee4457b5b7ff4b6019db0233ec053affd83c57",
        "8d28e84fe9c132efc5094b3a0f18f6dffe344e5ca9d92696476095a9cdb19b4b",
    ),
    "lightawnet": (
        "4beb4c2e51724874f6c16ca58912dd3a74e76175d5b70d9a3e14a4a6fcfa4344",
        "f542132bf31183088ba7368b8e7c5dcdb0a9059cabd3922badb3f021d29e23ad",
    ),
    "drrmsan": (
        "7c206d09fc592f2d4cab4555e8ee4457b5b7ff4b6019db0233ec053affd83c57",
        "6cb3c111bccf3ef19f88067c6450621f58e22275923995461dbc90410abac3a9",
    ),
}
SLOW = {"lanet", "lightawnet", "drrmsan"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in BEFORE]
)
def test_committed_networks_see_and_decide_what_they_did(model: str) -> None:
    assert hashes(model) == BEFORE[model]
