"""What the tests run on: an emulated pen in this process, a pen on a port, a pen on TCP, a place of a shared bench.

A test asks for a capability (`protocols`) by the name of a fixture, never for a target. `specification` reads
`--target`, `opening` makes the target of it, `plugin` has the fixtures.
"""
