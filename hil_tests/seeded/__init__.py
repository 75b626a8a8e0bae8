"""Seeded defects: mistakes that engineers make, each kept as a patch, and the test that has to find it.

`python -m seeded run` applies one at a time to a copy of the tree and runs its test. See README.md of this folder.
"""
