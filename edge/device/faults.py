"""What can go wrong on a device, by whose fault it is. The exit code rides on the class."""

from __future__ import annotations


class DeviceFault(Exception):
    """Base of every fault with a message for the user: what, and the next step."""

    exit_code = 2


class BundleFault(DeviceFault):
    """The bundle or the user's arguments are at fault (exit code 2)."""

    exit_code = 2


class MachineFault(DeviceFault):
    """This machine is not the target, or lacks something (exit code 3)."""

    exit_code = 3
