"""List the devices an engine can be built for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.targets.target import Target


def targets() -> "tuple[Target, ...]":
    """The devices an engine can be built for, and what is known of each.

    Example: edge targets
    """
    from edge.targets import target

    return tuple(target.targets().values())
