"""Evidence of a run of the test suite: verdicts, ledger, the folder that is left, and what moved between two runs.

Nothing in here knows pytest: the plugin in hil_tests/support fills it, commands read it.
"""
