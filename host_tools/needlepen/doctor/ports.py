"""Checks of the way to a board: drivers, the right to open its port, the drive of BOOTSEL mode."""

from __future__ import annotations

import os
from collections.abc import Iterator

from needlepen.devices.search import MICROPYTHON_USB
from needlepen.doctor.model import NOTE, OK, PROBLEM, WARNING, Computer, Finding

BOOTSEL_USB = (0x2E8A, 0x0003)
RULE_NAME = "70-needlepen.rules"
"""Before 73-seat-late.rules, which gives the devices with the tag uaccess to whoever sits at the computer."""
RULE = """\
# RP2040 boards: the serial port of MicroPython and of pens (not for ModemManager), and BOOTSEL mode
SUBSYSTEM=="tty", ATTRS{idVendor}=="2e8a", ATTRS{idProduct}=="0005", MODE="0660", TAG+="uaccess", \
ENV{ID_MM_DEVICE_IGNORE}="1"
SUBSYSTEM=="usb", ATTRS{idVendor}=="2e8a", ATTRS{idProduct}=="0003", MODE="0660", TAG+="uaccess"
"""
_RULE_ACTIONS = (
    f"needlepen doctor --udev-rule {RULE_NAME}",
    f"sudo cp {RULE_NAME} /etc/udev/rules.d/",
    "sudo udevadm control --reload",
    "unplug the board and plug it in again",
)


def permissions(computer: Computer) -> Iterator[Finding]:
    """Whether this user may open the ports of RP2040 boards."""
    boards = [port for port in computer.ports() if port.usb == MICROPYTHON_USB]
    shut = [port.path for port in boards if not computer.may_open(port.path)]
    for path in shut:
        yield Finding("ports", PROBLEM, f"{computer.user} may not open {path}", _how_to_open(computer, path))
    if boards and not shut:
        yield Finding("ports", OK, f"may open {', '.join(port.path for port in boards)}")
    elif not boards:
        yield Finding(
            "ports", NOTE, "no board with MicroPython's USB ID is plugged in", _without_board(computer)
        )


def _how_to_open(computer: Computer, path: str) -> tuple[str, ...]:
    if computer.platform.startswith("linux"):
        group = _group(path)
        return (*_RULE_ACTIONS, f"or: sudo usermod -aG {group} {computer.user}, then log out and in again")
    if computer.platform == "win32":
        return (
            "end other programs that use the port (a terminal, an IDE)",
            "unplug the board and plug it in again",
        )
    return ("end other programs that use the port", f"use /dev/cu.*, not /dev/tty.* (now: {path})")


def _group(path: str) -> str:
    """The group that owns a port, mostly dialout (Debian) or uucp (Arch)."""
    if os.name == "posix":
        import grp

        try:
            name = grp.getgrgid(os.stat(path).st_gid).gr_name  # noqa: PTH116
            return name if name != "root" else "dialout"
        except (OSError, KeyError):
            pass
    return "dialout"


def _without_board(computer: Computer) -> tuple[str, ...]:
    if computer.platform.startswith("linux") and not rule_is_installed(computer):
        return _RULE_ACTIONS[:3]
    return ()


def rule_is_installed(computer: Computer) -> bool:
    """Whether some udev rule gives RP2040 boards to the user."""
    for folder in ("etc/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d"):
        try:
            files = list((computer.root / folder).glob("*.rules"))
        except OSError:
            continue
        for path in files:
            try:
                text = path.read_text(errors="replace")
            except OSError:
                continue
            if "2e8a" in text and "uaccess" in text:
                return True
    return False


def drivers(computer: Computer) -> Iterator[Finding]:
    """Boards on USB that got no serial port, which is a matter of drivers."""
    if not computer.platform.startswith("linux"):
        text = {
            "win32": "Windows 10 and later bring the driver of the port (usbser.sys); older ones do not",
            "darwin": "macOS brings the driver of the port; boards are /dev/cu.usbmodem*",
        }.get(computer.platform, f"drivers are not checked on {computer.platform}")
        yield Finding("drivers", NOTE, text)
        return
    ids = list(_usb_ids(computer))
    has_port = any(port.usb == MICROPYTHON_USB for port in computer.ports())
    if MICROPYTHON_USB in ids and not has_port:
        yield Finding(
            "drivers", PROBLEM, "a board is on USB, but has no serial port: the driver cdc_acm is missing",
            ("sudo modprobe cdc_acm", "in a container or virtual machine: pass the port on to it"),
        )  # fmt: skip
    elif BOOTSEL_USB in ids and not _has_drive(computer):
        yield Finding(
            "drivers", WARNING, "a board in BOOTSEL mode is on USB, but its drive is not mounted",
            ("udisksctl mount -b /dev/disk/by-label/RPI-RP2",),
        )  # fmt: skip
    else:
        yield Finding("drivers", OK, "every RP2040 board on USB has its port or drive")


def _usb_ids(computer: Computer) -> Iterator[tuple[int, int]]:
    for vendor in (computer.root / "sys/bus/usb/devices").glob("*/idVendor"):
        try:
            product = (vendor.parent / "idProduct").read_text()
            yield int(vendor.read_text(), 16), int(product, 16)
        except (OSError, ValueError):
            continue


def _has_drive(computer: Computer) -> bool:
    from needlepen.devices.volumes import RP2040, mounts, read_volume

    found = (read_volume(path) for path in mounts(computer.platform, computer.root))
    return any(volume is not None and volume.board_id == RP2040 for volume in found)
