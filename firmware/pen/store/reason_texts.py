"""Why a record is refused, in words for the operator. At most 48 bytes each: they go into a frame.

Number, as in pen.store.numbers, and words. They are one text: a table of them would cost the pen 600 bytes of heap.
"""

from pen.store.numbers import OK

_TEXTS = """
1 not there
2 empty: its first writing was interrupted
3 cut short
4 not a record of this pen's format
5 longer than it says
6 damaged: checksum wrong
7 a record of another kind
8 written by newer firmware: update
9 unknown format version
10 belongs to another pen
11 its length does not fit its contents
12 holds a value that the pen cannot have
13 not signed with this pen's key
14 the pen has no key to check it
15 its points do not rise steadily
16 its points are no depth axis
17 could not be read back as written
18 could not be written
19 the motor may turn: nothing is written
20 its dates do not follow each other
21 running hours were lost: calibrate
22 keys for another kind of build
23 withdrawn: the pen failed its calibration
"""


def text(reason):
    """What a reason means; empty for OK."""
    if reason == OK:
        return ""
    begin = _TEXTS.find("\n%d " % reason)
    if begin < 0:
        return "reason %d" % reason
    line = _TEXTS[begin + 1 : _TEXTS.find("\n", begin + 1)]
    return line[line.find(" ") + 1 :]
