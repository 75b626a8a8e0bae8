"""The operator's panel: depth buttons in, pixel and buzzer out. What means what is in firmware/signals.toml.

The pixel is written with interrupts off for 30 us. While the control tick runs, a write waits for the gap between two
ticks, so that no tick starts late for it (PR-07).
"""

import time

import machine
from machine import PWM, Pin
from micropython import const

from pen.board import BUZZER_HZ, PIN_BUZZER, PIN_DEPTH_DOWN_N, PIN_DEPTH_UP_N, PIN_PIXEL
from pen.buttons import EVENT_NONE, Buttons
from pen.control import state as control_state
from pen.places import NOW_US
from pen.player import NEVER_MS, Player
from pen.signals import ANNOUNCED, LIGHT_STEP_MS, LIGHTS, SOUNDS, TONE_STEP_HZ, TONE_STEP_MS
from pen.states import BOOT, SAFE, WARN_BUTTON_STUCK

_WS2812_NS = (400, 850, 800, 450)  # high and low of a 0, then of a 1
_DARK = b"\0\0\0"
_TICKS_MASK = const(0x3FFF_FFFF)  # time.ticks_us() has 30 bits
# The tick takes up to 50 us, the write 80 us: neither meets the other, nor the next tick 1000 us after the last.
_GAP_BEGIN_US = const(60)
_GAP_END_US = const(800)
_TICK_LOST_US = const(1_200)
_DUTY_U16 = (
    0,
    2_048,
    8_192,
    32_768,
)  # by volume: a pulse of half the period is the loudest, a short one soft
_LOUDEST = const(3)


class Panel:
    fault = 0
    blockers = 0

    def __init__(self, now_ms):
        self.warnings = 0
        self.busy = True
        self.next_change_ms = now_ms  # when `advance` has something to do
        self.volume = 2  # of all sounds but alarms: 0 silent to 3, as in the settings
        self._up_n = Pin(PIN_DEPTH_UP_N, Pin.IN, Pin.PULL_UP)
        self._down_n = Pin(PIN_DEPTH_DOWN_N, Pin.IN, Pin.PULL_UP)
        self._pixel = Pin(PIN_PIXEL, Pin.OUT, value=0)
        self._buzzer = PWM(Pin(PIN_BUZZER), freq=BUZZER_HZ, duty_u16=0)
        self._buttons = Buttons(now_ms, time.ticks_diff)
        self._event = EVENT_NONE
        self._light = Player(time.ticks_diff, LIGHT_STEP_MS, 1)
        self._tone = Player(time.ticks_diff, TONE_STEP_MS, 2)
        self._shown = LIGHTS[-1]
        self._stale = True  # the pixel does not show yet what it should
        self._sound = SOUNDS[0]
        self._sounded_ms = now_ms
        self._fault_shown = False
        self._fault_number = 0
        self._announced = 0  # warnings
        self._news = -1  # the last state that was more than a passage
        self.show(BOOT, 0, 0, 0)
        self.advance(now_ms, False)

    # ---------------------------------------------------------------- buttons
    def poll(self, now_ms, awake):
        """One pass: read the buttons, go on with light and sound."""
        buttons = self._buttons
        self._event = buttons.update(now_ms, not self._up_n(), not self._down_n(), self._fault_shown)
        self.warnings = WARN_BUTTON_STUCK if buttons.stuck else 0
        self.busy = buttons.busy
        self.advance(now_ms, awake)

    def take_event(self):
        """What the last `poll` saw: one of pen.buttons.EVENT_. An event that nobody takes is gone with the next."""
        event = self._event
        self._event = EVENT_NONE
        return event

    # ---------------------------------------------------------------- what is shown
    def show(self, state, fault, blockers, warnings):
        """Show a state of pen.states with its fault number and masks; cheap where nothing changes."""
        row = self._row(state, blockers, warnings)
        new_fault = fault != self._fault_number
        self._fault_shown = state == SAFE
        self._fault_number = fault
        if row is not self._shown:
            self._shown = row
            self._light.play(row[4], time.ticks_ms(), True)
            self._stale = True
            self.next_change_ms = time.ticks_ms()
        if row[5] >= 0 and (state != self._news or new_fault):
            self.beep(row[5])
        if not row[6]:
            self._news = state
        appeared = warnings & ~self._announced
        self._announced = warnings
        for mask, sound in ANNOUNCED:
            if appeared & mask:
                self.beep(sound)
                break

    def _row(self, state, blockers, warnings):
        for row in LIGHTS:  # each state has one that applies always: needlepen.signals checks it
            if row[0] == state and (blockers & row[1] or warnings & row[2] or not (row[1] or row[2])):
                break
        return row

    def beep(self, number):
        """Begin a sound, one of pen.signals.SOUND_; it replaces what sounds, unless that is an alarm."""
        sound = SOUNDS[number]
        if self._sound[2] and self._tone.place >= 0 and not sound[2]:
            return
        self._sound = sound
        self._sounded_ms = time.ticks_ms()
        self._tone.play(sound[0], self._sounded_ms, False)
        self._put_tone()
        self.next_change_ms = self._sounded_ms

    # ---------------------------------------------------------------- time passes
    def advance(self, now_ms, awake):
        """Go on with light and sound; `awake`: the control tick runs. Due at `next_change_ms`, cheap before."""
        if time.ticks_diff(self.next_change_ms, now_ms) > 0:
            return
        light, tone = self._light, self._tone
        if light.update(now_ms) or self._stale:
            self._stale = not self._put_light(awake)
        if tone.update(now_ms):
            self._put_tone()
        due_ms = self._repeat_due_ms(now_ms)
        if due_ms <= 0:
            self.beep(self._shown[5])
            due_ms = NEVER_MS
        due_ms = min(due_ms, light.due_ms(now_ms), tone.due_ms(now_ms))
        self.next_change_ms = time.ticks_add(now_ms, 0 if self._stale else due_ms)

    def _repeat_due_ms(self, now_ms):
        place = self._shown[5]
        repeat_s = SOUNDS[place][1] if place >= 0 else 0
        if not repeat_s or self._tone.place >= 0:
            return NEVER_MS
        return 1000 * repeat_s - time.ticks_diff(now_ms, self._sounded_ms)

    def _put_light(self, awake):
        """Write the pixel; False if there was no gap between ticks to do it in."""
        if awake:
            age_us = self._tick_age_us()
            while not _GAP_BEGIN_US <= age_us <= _GAP_END_US:
                if age_us > _TICK_LOST_US:
                    return False
                age_us = self._tick_age_us()
        lit = self._light.place & 1 == 0
        machine.bitstream(self._pixel, 0, _WS2812_NS, self._shown[3] if lit else _DARK)
        return True

    def _tick_age_us(self):
        return time.ticks_diff(time.ticks_us(), control_state[NOW_US] & _TICKS_MASK)

    def _put_tone(self):
        place = 2 * self._tone.place
        frequency = self._sound[0][place] if place >= 0 else 0
        if frequency:
            self._buzzer.freq(TONE_STEP_HZ * frequency)
        volume = _LOUDEST if self._sound[2] else self.volume
        self._buzzer.duty_u16(_DUTY_U16[volume] if frequency else 0)

    def shut_down(self):
        """Silent and dark, for the end of the program in a development build; with the tick stopped."""
        self._buzzer.duty_u16(0)
        machine.bitstream(self._pixel, 0, _WS2812_NS, _DARK)
