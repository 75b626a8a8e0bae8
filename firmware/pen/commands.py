"""What operator and host may ask of the pen. Each method returns None, or the reason for which it refuses."""

import time

import machine

from pen import depth
from pen.buttons import EVENT_ACKNOWLEDGE, EVENT_DOWN, EVENT_UP
from pen.events import (
    ACKNOWLEDGED as EVENT_ACKNOWLEDGED,
    DEPTH_SET as EVENT_DEPTH_SET,
    PROFILE_SELECTED as EVENT_PROFILE_SELECTED,
    RATE_SET as EVENT_RATE_SET,
    SERVICE as EVENT_SERVICE,
    SETTING_REFUSED as EVENT_SETTING_REFUSED,
)
from pen.limits import PR05_DEPTH_MAX_MM, PR05_DEPTH_STEP_MM
from pen.profiles import PROFILES
from pen.signals import SOUND_ACKNOWLEDGED, SOUND_KEY, SOUND_REFUSED
from pen.states import (
    ARMED,
    BOOT,
    IDLE,
    LOCKED_OUT,
    NOTE_HOST,
    NOTE_NONE,
    RUNNING,
    SELF_TEST,
    SERVICE,
    STOPPING,
)
from pen.store.settings import VOLUME_MAX

_STEP_UM = round(1000 * PR05_DEPTH_STEP_MM)
_DEPTH_MAX_UM = round(1000 * PR05_DEPTH_MAX_MM)
_SETTABLE = (IDLE, ARMED, RUNNING, SERVICE)


class Commands:
    """`stop_note`: why a run should end now, NOTE_NONE for no reason. `trial`: the axis goes by a calibration that
    is not stored.
    """

    def __init__(self, app):
        self._app = app
        self.stop_note = NOTE_NONE
        self.trial = False

    def take_button(self, event):
        """A press of the panel."""
        if event == EVENT_UP:
            self._tell(self.set_depth_um(self._app.axis.target_um + _STEP_UM, False), SOUND_KEY)
        elif event == EVENT_DOWN:
            self._tell(self.set_depth_um(max(0, self._app.axis.target_um - _STEP_UM), False), SOUND_KEY)
        elif event == EVENT_ACKNOWLEDGE:
            self._tell(self.acknowledge(), SOUND_ACKNOWLEDGED)

    def _tell(self, refused, sound):
        self._app.panel.beep(SOUND_REFUSED if refused else sound)
        if refused:
            self._app.last_refusal = refused

    # ------------------------------------------------------------------ settings
    def _caps(self):
        """What limits the depth besides the pen itself (SR-01). Without a cartridge nothing of it counts."""
        app = self._app
        caps = [("calibrated", app.axis.sensor.map.cap_um)]
        if app.supervisor.state != SERVICE:  # there the whole range is measured: see `bench_setting`
            caps.insert(0, ("profile", app.profile_cap_um))
        if app.cartridge.depth_limit_um:
            caps.append(("cartridge", app.cartridge.depth_limit_um))
        return caps

    def depth_cap_um(self):
        """Deepest protrusion that is allowed now."""
        return min([um for _, um in self._caps()])

    @property
    def bench_setting(self):
        """True while nothing may start, since the depth is one for measuring, or comes from a calibration on trial."""
        return self.trial or self._app.axis.target_um > self._app.profile_cap_um

    def set_depth_um(self, depth_um, by_host=True):
        app = self._app
        if app.supervisor.state not in _SETTABLE or not app.supervisor.sound:
            return "not in this state"
        running = app.supervisor.state == RUNNING
        refused = depth.refusal(depth_um, running, app.axis.target_um, self._caps())
        if not refused:
            refused = app.axis.move_to(depth_um, running)
        if refused:
            app.store.log.add(EVENT_SETTING_REFUSED, depth_um, self.depth_cap_um())
            return refused
        app.store.log.add(EVENT_DEPTH_SET, depth_um, 1 if by_host else 0)
        app.store.change(depth_um=depth_um)
        return None

    def keep_to_cap(self):
        """Another cartridge or profile may allow less than is set: the needles come in as far as that."""
        cap_um = self.depth_cap_um()
        if self._app.axis.target_um > cap_um:
            self.set_depth_um(cap_um, False)

    def set_rate_hz(self, rate_hz):
        app = self._app
        if app.supervisor.state == RUNNING:
            least_hz = app.cartridge.minimum_rate_hz(app.axis.target_um)
            if rate_hz < least_hz:
                return "below %d Hz for this cartridge and depth" % (least_hz + 1)
        app.drive.set_rate_hz(rate_hz)
        app.store.log.add(EVENT_RATE_SET, rate_hz, 1)
        return app.store.change(rate_hz=rate_hz)

    def select_profile(self, number):
        app = self._app
        if app.supervisor.state not in (IDLE, ARMED, SERVICE):
            return "not in this state"
        if number not in PROFILES:
            return "there is no profile %d" % number
        app.use_profile(number)
        app.store.log.add(EVENT_PROFILE_SELECTED, number)
        self.keep_to_cap()
        return app.store.change(profile=str(number)) or self.set_rate_hz(app.profile_rate_hz)

    def set_volume(self, volume):
        if self._app.store.change(volume=volume):
            return "volume outside 0-%d" % VOLUME_MAX
        self._app.panel.volume = volume
        return None

    def set_time(self, time_s):
        return self._app.store.set_time(time_s)

    # ------------------------------------------------------------------ steps
    def stop(self):
        """The host asks for the end of a run."""
        if self._app.supervisor.state != RUNNING:
            return "the motor does not run"
        self.stop_note = NOTE_HOST
        return None

    def acknowledge(self):
        """The operator's acknowledgement."""
        app, now_ms = self._app, time.ticks_ms()
        s, drive = app.supervisor, app.drive
        released = app.trigger_n() == 1
        refused = s.may_acknowledge(now_ms, released, drive.standstill, app.axis.retracted)
        if refused:
            return refused
        if drive.tripped:
            drive.clear_latch()
        gone = not drive.tripped
        for part in app.parts:
            # The axis shows by finding home anew whether it is sound again.
            if part.fault and part is not app.axis:
                gone = False
        fault = s.fault
        refused = s.acknowledge(gone, now_ms)
        if not refused:
            if self.trial:
                self.use_calibration(app.store.calibration, False)
            app.axis.home()
            app.store.log.add(EVENT_ACKNOWLEDGED, fault)
        return refused

    # ------------------------------------------------------------------ service
    def open_service(self):
        app = self._app
        refused = app.supervisor.open_service(time.ticks_ms())
        if not refused:
            app.drive.set_stop_lines(False)
            app.monitor.allow_external_power = True
            app.store.log.add(EVENT_SERVICE, 1)
        return refused

    def may_close_service(self):
        return (
            None
            if self._app.supervisor.state == SERVICE
            else "the service access is not open, or the motor runs"
        )

    def may_leave(self, to_bootsel):
        """Restart, or BOOTSEL mode. There nothing of the program runs and the needles stay where they are: in."""
        app = self._app
        state = app.supervisor.state
        if state in (BOOT, SELF_TEST):
            return "busy with its tests: wait"
        if state in (RUNNING, STOPPING) or app.drive.awake or app.sequence.parking:
            return "not at rest: end the run"
        if to_bootsel and state != LOCKED_OUT and not app.axis.retracted:
            return "set the depth to 0.00 mm first"
        return None

    def restart(self, to_bootsel=False):
        """Leave the program: the pen starts anew, with everything tested, or its boot ROM waits for new firmware."""
        app = self._app
        app.drive.shut_down()
        app.store.flush()
        time.sleep_ms(50)  # the answer has to leave first
        if to_bootsel:
            machine.bootloader()
        machine.reset()

    def use_calibration(self, calibration, trial):
        """Go by a calibration, or by none: home has to be found anew."""
        self.trial = trial
        self._app.axis.set_calibration(calibration)
