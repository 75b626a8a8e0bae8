"""Fault injection: one vocabulary of faults for the command line, the scenarios, the campaign and the tests."""

from needlepen.emulator.injection.catalogue import ENTRIES, TARGETS, check, find, kinds_of
from needlepen.emulator.injection.entry import Entry, Value
from needlepen.emulator.injection.injector import Injected, Injector
from needlepen.emulator.injection.vocabulary import KINDS, Fault, parse

__all__ = [
    "ENTRIES",
    "KINDS",
    "TARGETS",
    "Entry",
    "Fault",
    "Injected",
    "Injector",
    "Value",
    "check",
    "find",
    "kinds_of",
    "parse",
]
