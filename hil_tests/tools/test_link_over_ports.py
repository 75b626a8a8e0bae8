"""`Pen` and `AsyncPen` over a pseudo-terminal and over TCP, to an emulated pen in another process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from itertools import islice

import pytest
from support.line import Cable, Emulation, nothing, unchanged

from needlepen import AsyncPen, Pen
from needlepen.errors import InfrastructureError, Refused, UsageError
from needlepen.link.client import frames, kinds, messages

LEFT_ID = "e660000000000001"
RECONNECT_S = 20.0
COUNTERS = messages.GET_COUNTERS


def _open(cable: Cable) -> Pen:
    return Pen.open(cable.url, timeout_s=8.0, reconnect_s=RECONNECT_S)


# ---------------------------------------------------------------------- a good cable
def test_a_pen_answers_and_sends_telemetry(cable: Cable) -> None:
    with _open(cable) as pen:
        assert pen.identity.unique_id == LEFT_ID and pen.identity.board == "pico_pen"
        about = pen.about()
        assert (about.micropython, about.calibration, about.provisioned) == ("1.25.0", "valid", True)
        pen.set_rate(100)
        with pytest.raises(Refused, match="rate outside 50-150 Hz"):
            pen.set_rate(7)
        assert pen.request(messages.SET_RATE, 7).refused == "rate outside 50-150 Hz"
        with pytest.raises(UsageError, match="set_rate"):
            pen.request(messages.SET_RATE, -1)
        with pytest.raises(UsageError, match="subscribe"):
            next(pen.telemetry())
        pen.subscribe(20)
        times = [frame.time_ms for frame in islice(pen.telemetry(), 50)]
        assert times == sorted(times) and 900 < times[-1] - times[0] < 1500
        assert pen.status is not None and pen.lost_frames == pen.reconnections == 0
        assert next(iter(pen.events()))


def test_the_asynchronous_pen_does_the_same(cable: Cable) -> None:
    async def use() -> list[int]:
        async with await AsyncPen.open(cable.url, timeout_s=8.0) as pen:
            assert pen.identity.unique_id == LEFT_ID
            assert (await pen.about()).provisioned
            with pytest.raises(Refused, match="rate outside"):
                await pen.set_rate(7)
            await pen.subscribe(20)
            waiting = asyncio.create_task(pen.command(COUNTERS))
            times = []
            async for frame in pen.telemetry():
                times.append(frame.time_ms)
                if len(times) == 30:
                    break
            assert (await waiting)["boots"] >= 1
            return times

    times = asyncio.run(use())
    assert times == sorted(times) and times[-1] - times[0] > 500


def test_a_cancelled_request_leaves_the_pen_usable(cable: Cable) -> None:
    async def use() -> None:
        async with await AsyncPen.open(cable.url, timeout_s=8.0) as pen:
            cable.to_pen = nothing
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(pen.command(COUNTERS), 0.3)
            cable.to_pen = unchanged
            assert (await pen.command(COUNTERS))["boots"] >= 1
            blocked = asyncio.create_task(pen.call(lambda p: p.request(COUNTERS, timeout_s=60)))
            cable.to_pen = nothing
            await asyncio.sleep(0.1)
            begun = time.monotonic()
            await pen.close()
            assert time.monotonic() - begun < 10.0, "closing waits for a request that hangs"
            await asyncio.gather(blocked, return_exceptions=True)
        cable.to_pen = unchanged

    asyncio.run(use())


# ---------------------------------------------------------------------- a bad cable
def test_garbage_in_both_directions_costs_repetitions_only(cable: Cable) -> None:
    with _open(cable) as pen:
        for noise in (b"\x00\xff" * 40, b"~" * 30, b"~AAAA\n" * 5, b"\n\n~\r\x01", bytes(range(4, 256))):
            cable.inject_to_pen(noise)
            cable.inject_to_host(noise)
            assert pen.counters()["boots"] >= 1
        assert pen.reconnections == 0


def test_half_a_frame_is_followed_by_a_whole_one(cable: Cable) -> None:
    with _open(cable) as pen:
        half = frames.encode(messages.SET_RATE, 77, messages.pack(messages.SET_RATE, 60))[:7]
        cable.inject_to_pen(half)
        cable.inject_to_host(frames.encode(messages.RESULT, 3, bytes(62))[:20])
        assert pen.counters()["boots"] >= 1


def test_a_lost_answer_is_asked_for_again_and_carried_out_once(cable: Cable) -> None:
    """The pen answers the same number twice, and does it once: seen by its log, which notes each change of the rate."""
    with _open(cable) as pen:
        before = len(list(pen.events()))
        swallowed: list[bytes] = []

        def swallow_once(data: bytes) -> bytes:
            if len(swallowed) < 1:
                swallowed.append(data)
                return b""
            return data

        pen.set_rate(120)
        cable.to_host = swallow_once
        pen.set_rate(100)
        assert swallowed, "a test of the test"
        time.sleep(1.0)
        assert (
            len(list(pen.events())) - before <= 4
        )  # two changes of the rate, the settings stored once or twice
        sent = bytes(cable.passed_to_pen)
        request = frames.encode(messages.SET_RATE, 0, messages.pack(messages.SET_RATE, 100))[:3]
        assert sent.count(request[:2]) >= 2


def test_a_flood_to_the_pen_delays_answers_and_nothing_else(cable: Cable) -> None:
    with _open(cable) as pen:
        cable.inject_to_pen(b"x" * 20_000)
        begun = time.monotonic()
        assert pen.command(COUNTERS, timeout_s=20)["boots"] >= 1
        assert time.monotonic() - begun < 20
        assert pen.reconnections == 0


def test_a_flood_to_the_program_is_survived(cable: Cable) -> None:
    with _open(cable) as pen:
        for _ in range(50):
            cable.inject_to_host(b"~" + b"A" * 1000)
            pen.listen(0.01)
        assert pen.counters()["boots"] >= 1


def test_a_silent_program_does_not_hold_up_the_pen(cable: Cable) -> None:
    with _open(cable) as pen:
        pen.subscribe(10)
        list(islice(pen.telemetry(), 20))
        pen.command(messages.CLEAR_STATISTICS)
        time.sleep(2.0)  # nobody reads, nobody confirms
        pen.take_frames()
        assert pen.statistics()["main_loop_ms"] < 60
        assert len(list(islice(pen.telemetry(), 20))) == 20
        assert pen.lost_frames == 0


def test_a_silent_pen_is_told_apart_from_a_slow_one(cable: Cable) -> None:
    with Pen.open(cable.url, timeout_s=8.0, reconnect_s=0) as pen:
        cable.to_host = nothing
        begun = time.monotonic()
        with pytest.raises(InfrastructureError, match=r"did not answer 'get_counters' within 1\.0 s"):
            pen.command(COUNTERS, timeout_s=1.0)
        assert 0.9 < time.monotonic() - begun < 5.0
        cable.to_host = unchanged
        assert pen.counters()["boots"] >= 1


# ---------------------------------------------------------------------- coming back
def test_telemetry_goes_on_after_unplugging(cable: Cable) -> None:
    with _open(cable) as pen:
        pen.subscribe(20)
        list(islice(pen.telemetry(), 10))
        cable.unplug()
        again = threading.Timer(0.5, cable.plug_in)
        again.start()
        assert len(list(islice(pen.telemetry(), 100))) == 100
        again.join()
        assert pen.reconnections == 1 and pen.identity.unique_id == LEFT_ID
        assert pen.counters()["boots"] >= 1


def test_reading_goes_on_after_unplugging_but_nothing_is_done_twice(cable: Cable) -> None:
    with _open(cable) as pen:
        for ask, is_harmless in ((lambda: pen.command(COUNTERS), True), (lambda: pen.set_rate(100), False)):
            cable.to_host = nothing
            pull = threading.Timer(0.2, _pull_and_plug_in, (cable,))
            pull.start()
            if is_harmless:
                assert ask()
            else:
                with pytest.raises(InfrastructureError, match="not known whether the pen carried it out"):
                    ask()
            pull.join()
        assert pen.counters()["boots"] >= 1


def _pull_and_plug_in(cable: Cable) -> None:
    cable.unplug()
    cable.to_host = unchanged
    time.sleep(0.3)
    cable.plug_in()


def test_a_pen_that_stays_away_ends_with_a_clear_error(cable: Cable) -> None:
    with Pen.open(cable.url, timeout_s=8.0, reconnect_s=1.0) as pen:
        pen.subscribe(20)
        cable.unplug()
        with pytest.raises(InfrastructureError, match="did not come back within 1 s"):
            list(islice(pen.telemetry(), 100))
    cable.plug_in()


def test_a_reset_is_noticed_though_the_port_stays(cable: Cable) -> None:
    """Closing the service access restarts the pen. Telemetry goes on; a command is refused rather than repeated."""
    with _open(cable) as pen:
        boots = pen.counters()["boots"]
        pen.subscribe(20)
        assert any(frame.state == "armed" for frame in islice(pen.telemetry(), 500))
        pen.open_service()
        pen.close_service()
        with pytest.raises(InfrastructureError, match="ask again"):
            pen.command(messages.SET_RATE, 100, timeout_s=15)
        assert pen.counters()["boots"] == boots + 1
        assert len(list(islice(pen.telemetry(), 20))) == 20 and pen.reconnections >= 1


def test_after_a_reset_that_was_asked_for_it_is_the_new_start_that_answers(cable: Cable) -> None:
    with _open(cable) as pen:
        pen.subscribe(20)
        assert any(frame.state == "armed" for frame in islice(pen.telemetry(), 500))
        boots = pen.counters()["boots"]
        pen.open_service()
        pen.close_service()
        pen.reconnect(boots=boots)
        assert pen.counters()["boots"] == boots + 1
        with pytest.raises(InfrastructureError, match="did not reset within 0 s"):
            pen.reconnect(0.3, boots=boots + 1)


# ---------------------------------------------------------------------- who answers
@pytest.mark.parametrize("ours", [kinds.PROTOCOL_VERSION - 1, kinds.PROTOCOL_VERSION + 1])
def test_another_protocol_version_is_refused_with_what_to_do(
    cable: Cable, monkeypatch: pytest.MonkeyPatch, ours: int
) -> None:
    theirs = kinds.PROTOCOL_VERSION
    monkeypatch.setattr(kinds, "PROTOCOL_VERSION", ours)
    remedy = "update the pen" if theirs < ours else "install a newer needlepen"
    with pytest.raises(Refused, match=rf"speaks protocol {theirs}, this program {ours}.*{remedy}"):
        _open(cable)


def test_a_pen_that_was_not_greeted_does_nothing(cable: Cable) -> None:
    """Also not for a program that speaks another version and goes on all the same."""
    with _open(cable) as pen:
        wrong = frames.encode(messages.HELLO, 200, messages.pack(messages.HELLO, kinds.PROTOCOL_VERSION + 1))
        cable.inject_to_pen(wrong)
        time.sleep(0.2)
        with pytest.raises(InfrastructureError, match="did not carry it out"):
            pen.set_rate(100)
        pen.set_rate(100)


def test_another_pen_than_the_expected_one_gets_nothing(cable: Cable) -> None:
    with pytest.raises(Refused, match=f"is pen {LEFT_ID}, not 0123456789abcdef"):
        Pen.open(cable.url, timeout_s=8.0, unique_id="0123456789abcdef")
    assert (
        bytes(cable.passed_to_pen).count(b"~") <= 3
    )  # HELLO, perhaps repeated, and the credit for its answer


def test_a_prompt_of_micropython_is_no_pen(emulate: Callable[..., Emulation]) -> None:
    bare = emulate("bare", "--no-app", "--seed", "9")
    with pytest.raises(Refused, match="MicroPython's prompt answers"):
        Pen.open(str(bare.link), timeout_s=8.0)


def test_a_second_program_does_not_get_half_of_the_answers(left: Emulation) -> None:
    """Also one that knows nothing of our locks: the port itself is taken."""
    with Pen.open(str(left.link), timeout_s=8.0) as pen:
        with pytest.raises(InfrastructureError, match="in use by another program"):
            Pen.open(str(left.link))
        assert pen.counters()["boots"] >= 1


# ---------------------------------------------------------------------- asyncio, on a bad cable
def test_the_asynchronous_telemetry_goes_on_after_unplugging(cable: Cable) -> None:
    async def use() -> int:
        async with await AsyncPen.open(cable.url, timeout_s=8.0, reconnect_s=RECONNECT_S) as pen:
            await pen.subscribe(20)
            seen = 0
            async for _ in pen.telemetry():
                seen += 1
                if seen == 10:
                    cable.unplug()
                    threading.Timer(0.3, cable.plug_in).start()
                if seen == 60:
                    break
            assert (await pen.command(COUNTERS))["boots"] >= 1
            return pen.reconnections

    assert asyncio.run(use()) == 1


def test_the_asynchronous_telemetry_ends_with_an_error_or_with_close(cable: Cable) -> None:
    async def use() -> None:
        async with await AsyncPen.open(cable.url, timeout_s=8.0, reconnect_s=0.5) as pen:
            await pen.subscribe(20)
            cable.unplug()
            with pytest.raises(InfrastructureError, match="did not come back"):
                async for _ in pen.telemetry():
                    pass
            cable.plug_in()
            assert (await pen.command(COUNTERS, timeout_s=5))["boots"] >= 1, "a later request tries again"

            async def listen() -> int:
                return len([frame async for frame in pen.telemetry()])

            listening = asyncio.create_task(listen())
            await asyncio.sleep(0.5)
            await pen.close()
            assert await asyncio.wait_for(listening, 2) > 0
            with pytest.raises(InfrastructureError, match="was closed"):
                await pen.command(COUNTERS)

    asyncio.run(use())
