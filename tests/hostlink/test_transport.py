"""Real ports: pseudo-terminals, `loop://`, `socket://`, `rfc2217://`; each failure is one clear line."""

import contextlib
import os
import pty
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial
import serial.rfc2217

from hostlink import transport
from hostlink.errors import NoReply, PortError, Refused
from hostlink.transport import ANSWER_TIME, Transport, explain
from protocol import frame, messages
from protocol.deframer import Deframer

Answer = Callable[[bytes], bytes]
"""From a request, header and body, to the bytes that come back."""


def good(request: bytes) -> bytes:
    return frame.encode(request[0], frame.CONTROL_REPLY, request[2], request[3], b"body of " + request[4:])


class Station:
    """What sits at the far end of a line, in a thread: `answer` makes the bytes that come back for each request."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self._deframer = Deframer()

    def take(self, data: bytes) -> bytes:
        """The bytes to send back for `data`."""
        back = b""
        for request in self._deframer.feed(data):
            self.requests.append(bytes(request))
            back += self.answer(bytes(request))
        return back


@contextlib.contextmanager
def on_terminal(answer: Answer) -> Iterator[tuple[str, Station]]:
    """The URL of a pseudo-terminal with a station at its other end."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    station = Station(answer)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            data = os.read(master, 4096)
            back = station.take(data.replace(b"\x18stop", b""))
            if back:
                os.write(master, back)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(slave), station
    finally:
        done.set()
        os.write(slave, b"\x18stop")
        thread.join()
        os.close(master)
        os.close(slave)


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP port on this machine; `serve` has the one connection to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join(10)
            assert not thread.is_alive()


@contextlib.contextmanager
def opened(url: str, **options: int) -> Iterator[Transport]:
    line = Transport(url, **options)
    try:
        yield line
    finally:
        line.close()


def test_an_exchange_on_a_terminal() -> None:
    with on_terminal(good) as (url, station), opened(url) as line:
        assert line.exchange(5, messages.READING, b"x").body == b"body of x"
        assert line.exchange(5, messages.READING, bytes(1000)).body == b"body of " + bytes(1000)
        assert line.retries == 0 and len(station.requests) == 2


def test_an_exchange_over_tcp() -> None:
    station = Station(good)

    def serve(connection: socket.socket) -> None:
        while data := connection.recv(4096):
            connection.sendall(station.take(data))

    with listening(serve) as port, opened(f"socket://127.0.0.1:{port}") as line:
        assert line.exchange(5, messages.READING, bytes(900)).body == b"body of " + bytes(900)


def test_an_exchange_over_rfc2217() -> None:
    """The far end is pyserial's own port manager; a port that negotiated at every read would need a second a reply."""
    station = Station(good)
    far = serial.serial_for_url("loop://", timeout=0)

    def serve(connection: socket.socket) -> None:
        class Wire:
            write = staticmethod(connection.sendall)

        manager = serial.rfc2217.PortManager(far, Wire())
        with contextlib.suppress(OSError):
            while data := connection.recv(1024):
                back = station.take(b"".join(manager.filter(data)))
                if back:
                    connection.sendall(b"".join(manager.escape(back)))

    with listening(serve) as port, opened(f"rfc2217://127.0.0.1:{port}") as line:
        start = time.monotonic()
        for n in range(20):
            assert line.exchange(5, messages.READING, bytes([n]) * 200).body == b"body of " + bytes([n]) * 200
        assert time.monotonic() - start < 20 * 0.5
        assert line.retries == 0
    far.close()


def test_a_loop_is_our_own_echo_and_named() -> None:
    with opened("loop://") as line, pytest.raises(NoReply, match="only our own request came back"):
        line.exchange(5, messages.READING, timeout=0.05, retries=1)


def test_an_echo_before_the_reply_does_no_harm() -> None:
    def echoing(request: bytes) -> bytes:
        return frame.encode(*request[:1], 0, *request[2:4], request[4:]) + good(request)

    with on_terminal(echoing) as (url, _), opened(url) as line:
        assert line.exchange(5, messages.READING).body == b"body of "
        assert line.link.counts["echo"] == 1


def test_time_outs_come_from_the_baud_rate() -> None:
    with opened("loop://", baud=300) as slow, opened("loop://", baud=115200) as fast:
        assert slow.timeout(11) == pytest.approx(ANSWER_TIME + (11 + frame.MAX_WIRE) * 10 / 300)
        assert fast.timeout(11) < ANSWER_TIME + 0.1


def test_silence_takes_the_time_that_was_given_for_it() -> None:
    with on_terminal(lambda request: b"") as (url, station), opened(url) as line:
        start = time.monotonic()
        with pytest.raises(NoReply, match=r"from address 5 on .* 3 attempts: silence; check power"):
            line.exchange(5, messages.READING, timeout=0.1, retries=2)
        assert 0.3 <= time.monotonic() - start < 2
        assert line.retries == 2
        assert [request[2] for request in station.requests] == [1, 2, 3]


def test_a_lost_reply_is_asked_for_again() -> None:
    lost = iter([True, True, False])
    with on_terminal(lambda request: b"" if next(lost) else good(request)) as (url, _), opened(url) as line:
        assert line.exchange(5, messages.READING, timeout=0.1).body == b"body of "
        assert line.retries == 2


def test_a_late_reply_is_stale_and_the_right_one_is_taken() -> None:
    held: list[bytes] = []

    def late(request: bytes) -> bytes:
        held.append(frame.encode(request[0], frame.CONTROL_REPLY, request[2], request[3], bytes([len(held)])))
        return b"" if len(held) == 1 else b"".join(held)

    with on_terminal(late) as (url, _), opened(url) as line:
        assert line.exchange(5, messages.READING, timeout=0.2).body == b"\x01"
        assert line.link.counts["stale"] == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda request: b"\x7f\x33\x12" * 9 + b"\0", "runs of bytes that are no frames came; check baud rate"),
        (lambda request: good(request)[:-4] + b"\0", "no frames came"),
        (lambda request: good(bytes([6]) + request[1:]), "another address answered; check --address"),
        (lambda request: good(request[:2] + b"\x99" + request[3:]), "only replies to older requests came; raise the time"),
    ],
)
def test_what_came_instead_of_a_reply_is_said(answer: Answer, said: str) -> None:
    with on_terminal(answer) as (url, _), opened(url) as line, pytest.raises(NoReply, match=said):
        line.exchange(5, messages.READING, timeout=0.1, retries=1)


def test_what_came_long_ago_is_not_blamed_for_silence_now() -> None:
    noisy = iter([True, False, False])

    def answer(request: bytes) -> bytes:
        return b"\x05\x05\0" + good(request) if next(noisy) else b""

    with on_terminal(answer) as (url, _), opened(url) as line:
        line.exchange(5, messages.READING)
        with pytest.raises(NoReply, match="attempts: silence"):
            line.exchange(5, messages.READING, timeout=0.1, retries=1)


def test_a_refusal_is_not_asked_again() -> None:
    def refuse(request: bytes) -> bytes:
        body = messages.REFUSAL.pack(1, 2)
        return frame.encode(request[0], frame.CONTROL_REPLY | frame.CONTROL_REFUSED, request[2], request[3], body)

    with on_terminal(refuse) as (url, station), opened(url) as line:
        with pytest.raises(Refused):
            line.exchange(5, messages.READING)
        assert len(station.requests) == 1


def test_the_tap_sees_every_byte() -> None:
    seen: list[tuple[str, bytes]] = []
    with on_terminal(good) as (url, _):
        line = Transport(url, tap=lambda direction, data: seen.append((direction, bytes(data))))
        line.exchange(5, messages.READING)
        line.close()
    sent = b"".join(data for direction, data in seen if direction == "tx")
    got = b"".join(data for direction, data in seen if direction == "rx")
    assert sent == frame.encode(5, 0, 1, messages.READING)
    assert got == frame.encode(5, frame.CONTROL_REPLY, 1, messages.READING, b"body of ")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_ports_that_cannot_be_opened_say_why(tmp_path: Path) -> None:
    file = tmp_path / "no-port"
    file.write_text("")
    for url, said in (
        ("/dev/no-such-port", "there is no such port; `tonne ports`"),
        (str(file), "it is no serial port"),
        (f"socket://127.0.0.1:{closed_port()}", "nothing listens there"),
        ("nonsense://x", "expected to open nonsense://x"),
        ("socket://127.0.0.1", "expected to open socket://127.0.0.1"),
    ):
        with pytest.raises(PortError, match=said) as caught:
            Transport(url)
        assert "\n" not in str(caught.value)


def test_a_busy_port_is_named_busy() -> None:
    with on_terminal(good) as (url, _), opened(url), pytest.raises(PortError, match="another program holds it"):
        Transport(url)


def test_a_forbidden_port_is_not_called_missing() -> None:
    """As root nothing is forbidden: the error as pyserial makes it."""
    error = serial.SerialException(13, "could not open port /dev/ttyUSB0: [Errno 13] Permission denied: '/dev/ttyUSB0'")
    assert "permission denied; add yourself" in explain("/dev/ttyUSB0", error)


def test_a_port_that_goes_away_while_open_is_one_line() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    with opened(os.ttyname(slave)) as line:
        os.close(slave)
        os.close(master)
        with pytest.raises(PortError, match=r"failed while open: .*; check the cable"):
            line.exchange(5, messages.READING, timeout=0.2)


def test_ports_are_listed_in_order() -> None:
    found = transport.ports()
    assert found == sorted(found)
    assert all(len(port) == 3 for port in found)
