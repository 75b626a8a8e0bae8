"""The self-tests of the pen (SR-26): when which of them runs. What they do is in their own modules.

At boot `boot` runs all of them once, with the drive at rest; until then, and after any failure, BLOCK_SELF_TEST
forbids a start. Later `poll` goes on with them in slices. At rest a round of everything begins every 30 s and takes
3 s, during which `busy` asks for full passes. While the drive is awake the clocks and the read-back are looked at in
every pass, memory, CPU and flash go on in small slices and take 35 s for a round. Only the converter, which works then,
and turning the outputs over need rest, so that a long run (10 min at most, SR-13) can put them off.

The clocks have to be looked at in every pass of the main loop, also in a quick one: call `clock_watch.look()` there
and do a full pass when it returns 1.
"""

import time

from micropython import const

from pen import clock_watch
from pen.adc_test import AdcTest
from pen.clock_watch import ClockWatch
from pen.cpu_test import CpuTest
from pen.faults import (
    ADC as FAULT_ADC,
    CLOCK as FAULT_CLOCK,
    CPU as FAULT_CPU,
    CURRENT_SENSOR as FAULT_CURRENT_SENSOR,
    FLASH as FAULT_FLASH,
    OUTPUT_READBACK as FAULT_OUTPUT_READBACK,
    RAM as FAULT_RAM,
)
from pen.flash_test import FilesTest, RuntimeTest, write_new
from pen.ram_test import RamTest
from pen.readback import ReadBack
from pen.states import BLOCK_SELF_TEST

_SLICE_US = const(3_000)  # with the last step a poll stays under 4 ms
_ROUND_MS = const(30_000)
_AWAKE_SLICE_US = const(1_500)
_AWAKE_MS = const(60)  # between two slices; up to 200 ms a round still takes less than a minute
_FOLLOW_MS = const(1_000)


class SelfTest:
    """A Part of the app. `fault`: RAM, FLASH, CPU, CLOCK, ADC, OUTPUT_READBACK or CURRENT_SENSOR, 0 for none.

    `detail` says what exactly, for the log. `adopted`: the flash reference was made at this boot (log it). `rounds`:
    complete rounds of all tests. `write(path, data)` stores the flash reference.
    """

    warnings = 0

    def __init__(self, write=write_new):
        self.fault = 0
        self.detail = ""
        self.blockers = BLOCK_SELF_TEST
        self.rounds = 0
        self.busy = False  # True: in the middle of a round, wants to go on
        self.ram = RamTest()
        self.cpu = CpuTest()
        self.clock = ClockWatch()
        self.adc = AdcTest()
        self.outputs = ReadBack()
        self.runtime = RuntimeTest(write)
        self.files = FilesTest()
        self._resting = (self.cpu, self.outputs, self.adc, self.ram, self.runtime, self.files)
        self._awake = (self.cpu, self.ram, self.runtime, self.files)
        self._turn = 0
        self._awake_turn = 0
        self._sliced_ms = time.ticks_ms()
        self._followed_ms = self._begun_ms = time.ticks_ms()

    @property
    def may_wake(self):
        """True once the tests at boot that need the drive at rest are over."""
        return self.runtime.begun

    @property
    def adopted(self):
        return self.runtime.adopted

    def boot(self, feed=None):
        """Everything once, in 0.6 s. `feed` is called every few ms. Returns the fault found, or 0."""
        for test in self._resting:
            while not test.step():
                if feed:
                    feed()
        if clock_watch.look():
            self.clock.failed = True
        self._judge()
        if not self.fault:
            self.blockers = 0
        self.rounds = 1
        self._begun_ms = time.ticks_ms()
        return self.fault

    def poll(self, now_ms, awake):
        """One pass of the main loop: 4 ms of work at most, 1 ms while awake."""
        if clock_watch.look():
            self.clock.failed = True
        elif time.ticks_diff(now_ms, self._followed_ms) >= _FOLLOW_MS:
            self._followed_ms = now_ms
            self.clock.follow()
        self.outputs.look()
        if awake:
            if time.ticks_diff(now_ms, self._sliced_ms) >= _AWAKE_MS:
                self._sliced_ms = now_ms
                self._go_on_awake()
        elif self.busy:
            self._go_on()
        elif time.ticks_diff(now_ms, self._begun_ms) >= _ROUND_MS:
            self._begun_ms = now_ms
            self.busy = True
        self._judge()

    def _go_on(self):
        begun_us = time.ticks_us()
        while time.ticks_diff(time.ticks_us(), begun_us) < _SLICE_US:
            test = self._resting[self._turn]
            if test.step():
                self._turn += 1
                if self._turn == len(self._resting):
                    self._turn = 0
                    self.rounds += 1
                    self.busy = False
                return
            if test is self.files:  # a step of it takes up to 4 ms
                return

    def _go_on_awake(self):
        begun_us = time.ticks_us()
        while time.ticks_diff(time.ticks_us(), begun_us) < _AWAKE_SLICE_US:
            test = self._awake[self._awake_turn]
            if test.step(True) if test is self.ram else test.step():
                self._awake_turn = (self._awake_turn + 1) % len(self._awake)
                return
            if test is self.files:
                return

    def _judge(self):
        if self.fault:
            return
        if self.cpu.failed:
            self._fail(FAULT_CPU, "CPU pattern")
        elif self.ram.bad_address:
            self._fail(FAULT_RAM, "memory at 0x%08x" % self.ram.bad_address)
        elif self.clock.failed:
            self._fail(FAULT_CLOCK, "clocks disagree")
        elif self.runtime.failed:
            self._fail(FAULT_FLASH, "runtime")
        elif self.files.failed:
            self._fail(FAULT_FLASH, self.files.bad_path)
        elif self.adc.failed:
            self._fail(FAULT_ADC, "converter reference or multiplexer")
        elif self.adc.current_failed:
            self._fail(FAULT_CURRENT_SENSOR, "current at rest")
        elif self.outputs.failed:
            self._fail(FAULT_OUTPUT_READBACK, "outputs 0x%08x" % self.outputs.bad_mask)

    def _fail(self, fault, detail):
        self.fault = fault
        self.detail = detail
        self.blockers = BLOCK_SELF_TEST
