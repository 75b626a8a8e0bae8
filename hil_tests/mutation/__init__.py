"""Mutation testing of the firmware's safety code: would the tests notice if it were wrong?

`python -m mutation run` changes one thing at a time (a boundary, a constant, a sign, a call, a state, a latch), runs
the fast tests that reach the changed line, and lists what nobody noticed. See README.md of this folder.
"""
