"""The event log: a queue in RAM, a journal file for what just happened, and a ring of segment files.

A flush appends the queue to /log/journal, which littlefs keeps inside its directory: one to three page programs,
and an erase every tenth time or so. When half full at rest, the journal is moved to the end of the newest
segment /log/NNNNNN; then the next flush replaces it. If the power goes in between, both hold the same events, and
readers drop the second ones by their sequence numbers. A flush happens whole or not at all.

Sequence numbers count every event that was reported, stored or not: a missing number is a missing event. Each boot
leaves one out, since the record that was under way when the power went may be missing.
"""

from micropython import const

from pen.events import ARMED as NOW_ARMED, FAULT, LOG_GAP, WARNING
from pen.states import ARMED, RUNNING, SERVICE, STOPPING
from pen.store import event
from pen.store.numbers import EVENT_BYTES

_FOLDER = "/log"
_JOURNAL = "/log/journal"
JOURNAL_EVENTS = const(15)  # 480 bytes: littlefs keeps files of up to 512 bytes in the directory
_SETTLE_EVENTS = const(8)
_SEGMENT_EVENTS = const(120)
SEGMENTS_KEPT = const(18)  # 17 full ones hold 2,040 events (SR-28)
_BAD_KEPT = const(4)
QUEUE_EVENTS = const(32)
_NOWHERE = (-1, 0, 0)
_MAY_RUN = (ARMED, RUNNING, STOPPING, SERVICE)


def decode(unique_id, data):
    """([raw event, ...] sound ones in order, number of damaged ones) of a journal's or segment's bytes."""
    sound = []
    damaged = 0
    for at in range(0, len(data), EVENT_BYTES):
        raw = data[at : at + EVENT_BYTES]
        if event.unpack(unique_id, raw) is None:
            damaged += 1
        else:
            sound.append(raw)
    return sound, damaged


def sequence_of(raw):
    return raw[0] | raw[1] << 8 | raw[2] << 16 | raw[3] << 24


class Log:
    """`state`: the supervisor's state, set by the program; `boot`, `date_s`, `uptime_ms`: set by the Store.

    `added_ms`: uptime of the newest event. `lost`: events dropped because the queue was full. `was_armed`: before this
    boot the power may have gone in a run.
    """

    def __init__(self, files, unique_id):
        self._files = files
        self._unique_id = unique_id
        self.state = 0
        self.boot = 0
        self.date_s = 0
        self.uptime_ms = self.added_ms = 0
        self.lost = 0
        self.last_uptime_ms = 0
        self.was_armed = False
        self.in_run = False
        self._first_lost = 0
        self._happened = 0
        self._warnings = 0
        self._queue = []
        self._journal_used = 0  # events in the journal file
        self._journal_moved = True  # they are in a segment too: the next flush replaces the journal
        self._segments = []
        self._segment_used = 0
        self._number = 0  # highest segment number ever seen
        self._next = 1
        self._last_state = 0
        self._resume = _NOWHERE  # where the reading of this number goes on: segment (0 the journal) and byte

    # ------------------------------------------------------------------ start
    def load(self):
        """Find the end of the log: sets `boot` (the last one found), `last_uptime_ms`, `was_armed`.

        Writes only if a file is damaged: its sound events are stored anew, it is kept as .bad. Returns
        [(segment, sound, damaged), ...] of such files, segment 0 for the journal.
        """
        self._files.make_folder(_FOLDER)
        numbers = [int(name[:6]) for name in self._files.names(_FOLDER) if name[:6].isdigit()]
        self._number = max(numbers) if numbers else 0
        self._segments = [
            int(name) for name in self._files.names(_FOLDER) if len(name) == 6 and name.isdigit()
        ]
        aside = []  # type: list
        last = None
        if self._segments:
            last = self._load_segment(self._segments[-1], aside)
        last = self._load_journal(last, aside)
        if last is not None:
            self._next, self.last_uptime_ms, _, self.boot, _, state = event.unpack(self._unique_id, last)[:6]
            self._next += 2  # one number stays out: a record under way may have gone with the power
            self.was_armed = state in _MAY_RUN
        return aside

    def _load_segment(self, number, aside):
        """Take over the newest segment; returns its last sound event or None."""
        sound, damaged = decode(self._unique_id, self._read(number))
        self._segment_used = len(sound)
        if damaged:
            self._number += 1
            self._files.write(
                _path(self._number), b"".join(sound)
            )  # first, so that the end of the log is not lost
            self._segments[-1] = self._number
            self._set_aside(_path(number), number)
            aside.append((number, len(sound), damaged))
        return sound[-1] if sound else None

    def _load_journal(self, last, aside):
        """Take over the journal; returns the last sound event of all, or None."""
        sound, damaged = decode(self._unique_id, self._files.read(_JOURNAL) or b"")
        news = [raw for raw in sound if last is None or sequence_of(raw) > sequence_of(last)]
        self._journal_used = len(sound)
        self._journal_moved = not news
        if damaged:
            self._set_aside(_JOURNAL, 0)
            self._journal_moved = True
            self._queue = news
            aside.append((0, len(sound), damaged))
        return news[-1] if news else last

    def _set_aside(self, path, number):
        """Keep a damaged file as .bad; of more than four the oldest goes."""
        bad = [name for name in self._files.names(_FOLDER) if name.endswith(".bad")]
        while len(bad) >= _BAD_KEPT:
            self._files.remove("%s/%s" % (_FOLDER, bad.pop(0)))
        self._files.rename(path, "%s/%06d.bad" % (_FOLDER, number))

    def _read(self, number):
        return self._files.read(_path(number)) or b""

    # ------------------------------------------------------------------ report
    def add(self, code, first=0, second=0, third=0):
        """Report an event (pen.events); it is stored at the next occasion. During a run it becomes a part of the run's
        record: warnings as they are, others as the bit of their code.
        """
        if self.in_run:
            if code == WARNING:
                self._warnings |= first
            else:
                self._happened |= 1 << code
            return
        self._append(code, (first, second, third))

    def begin_run(self):
        """From now until `end_run` everything is told by one record."""
        self.in_run = True
        self._happened = 0
        self._warnings = 0

    def end_run(self, code, number, run_ms, strokes):
        """The record of the run: code RUN_ENDED with a stop note's number, or FAULT with a fault's."""
        self.in_run = False
        self._append(code, event.pack_run(number, run_ms, strokes, self._happened, self._warnings))

    def fault(self, number):
        """A fault outside a run."""
        self.in_run = False
        self._append(FAULT, event.pack_run(number, 0, 0, 0, 0))

    def _append(self, code, values):
        if len(self._queue) >= QUEUE_EVENTS:
            dropped = self._queue.pop(0)
            if not self.lost:
                self._first_lost = sequence_of(dropped)
            self.lost += 1
        self._queue_event(code, values)

    def _queue_event(self, code, values):
        raw = event.pack(
            self._unique_id, self._next, self.uptime_ms, self.date_s, self.boot, code, self.state, values
        )
        self._next += 1
        self._last_state = self.state
        self._queue.append(raw)
        self.added_ms = self.uptime_ms

    def note_state(self):
        """Report ARMED once: the next boot then knows that the power may have gone in a run (`was_armed`)."""
        if self.state == ARMED and self._last_state not in _MAY_RUN and not self.in_run:
            self._append(NOW_ARMED, (0, 0, 0))

    # ------------------------------------------------------------------ store
    @property
    def pending(self):
        """Events that are only in RAM."""
        return len(self._queue)

    @property
    def untidy(self):
        """True while the journal should be moved to a segment."""
        return not self._journal_moved and self._journal_used >= _SETTLE_EVENTS

    def flush(self):
        """Append to the journal what fits: one write. Raises OSError; then nothing is lost from the queue."""
        self._resume = _NOWHERE
        if not self._journal_moved and self._journal_used >= JOURNAL_EVENTS:
            self.settle()
        used = 0 if self._journal_moved else self._journal_used
        if self.lost:
            lost, self.lost = self.lost, 0
            self._queue_event(LOG_GAP, (lost, self._first_lost, 0))
        batch = self._queue[: JOURNAL_EVENTS - used]
        data = b"".join(batch)
        if used:
            self._files.append(_JOURNAL, data)
        else:
            self._files.write(_JOURNAL, data)
        self._journal_used = used + len(batch)
        self._journal_moved = False
        self._queue = self._queue[len(batch) :]

    def settle(self):
        """Move the journal to the end of the newest segment; begins a new segment when that is full. Raises OSError."""
        self._resume = _NOWHERE
        sound, _ = decode(self._unique_id, self._files.read(_JOURNAL) or b"")
        if not self._segments or self._segment_used >= _SEGMENT_EVENTS:
            self._begin_segment()
        self._files.append(_path(self._segments[-1]), b"".join(sound))
        self._segment_used += len(sound)
        self._journal_moved = True

    def _begin_segment(self):
        while len(self._segments) >= SEGMENTS_KEPT:
            self._files.remove(_path(self._segments[0]))
            self._segments.pop(0)
        self._number += 1
        self._segments.append(self._number)
        self._segment_used = 0

    # ------------------------------------------------------------------ read
    @property
    def last_sequence(self):
        """Number of the newest event, stored or not; 0 before the first."""
        return self._next - 1

    def read(self, sequence, count):
        """At most `count` raw events from this sequence number on, oldest first, of those in flash."""
        found = []  # type: list
        number, at = self._resume[1:] if self._resume[0] == sequence else (self._segment_of(sequence), 0)
        self._resume = _NOWHERE
        for number in [n for n in self._segments if n >= number > 0] + [0]:
            data = self._files.read(_path(number) if number else _JOURNAL) or b""
            while at < len(data):
                raw = data[at : at + EVENT_BYTES]
                at += EVENT_BYTES
                # the number first: a check sum of each event that is passed over would take 70 ms
                if sequence_of(raw) >= sequence and event.unpack(self._unique_id, raw):
                    found.append(raw)
                    sequence = sequence_of(raw) + 1
                    if len(found) == count:
                        self._resume = (sequence, number, at)
                        return found
            at = 0
        return found

    def _segment_of(self, sequence):
        """The newest segment that begins at or before this number; an older one if its head is damaged."""
        low, high = 0, len(self._segments)
        while high - low > 1:
            middle = (low + high) // 2
            head = self._files.read(_path(self._segments[middle]), EVENT_BYTES) or b""
            if event.unpack(self._unique_id, head) and sequence_of(head) <= sequence:
                low = middle
            else:
                high = middle
        return self._segments[low] if self._segments else 0


def _path(number):
    return "%s/%06d" % (_FOLDER, number)
