"""List the devices an engine can be built for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.targets.target import Target


def targets() -> "tuple[Target, ...]":
    """The devices an engine can be built for, which of them this machine is, and what it lacks to be the others.

    Example: edge targets
    """
    from edge.targets import target

    return tuple(target.targets().values())
