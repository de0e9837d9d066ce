# SPDX-License-Identifier: GPL-3.0-or-later
"""A 1 GiB multipart upload on loopback beside ``curl -T``: same file, same server, in turns.

    python tests/benchmarks/bench_upload.py [rounds]

The server is one process that discards what it reads. Prints the medians, their ratio (aim: 1.3 at
most) and how much the memory of the uploading process grew at its peak (aim: below 16 MiB, from
VmHWM, after a small upload has loaded everything). The ratio of processor times is printed as well:
it hardly changes when the machine is busy with other things. Asserts nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GIB = 1024**3
ANSWER = b'{"data": {"id": "bench", "status": "queued"}}'


def discard(sock: socket.socket) -> None:
    """Read one request, keep nothing, answer."""
    buffer = bytearray(1024 * 1024)
    head = b""
    with sock:
        while b"\r\n\r\n" not in head:
            piece = sock.recv(65536)
            if not piece:
                return
            head += piece
        fields, _, rest = head.partition(b"\r\n\r\n")
        lines = fields.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        if b"expect: 100-continue" in lines:
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = length - len(rest)
        while left > 0:
            count = sock.recv_into(buffer, min(left, len(buffer)))
            if not count:
                return
            left -= count
        sock.sendall(
            b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER
        )


def serve() -> None:
    """The discarding server: prints its port, serves until its input ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        sock, _address = listener.accept()
        threading.Thread(target=discard, args=(sock,), daemon=True).start()


def peak_kib() -> int:
    """The largest resident size of this process so far (VmHWM), in KiB; 0 where not told."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def upload(url: str, path: str, small: str) -> None:
    """Our side, in a process of its own: prints seconds and growth as JSON."""
    sys.path.insert(0, str(ROOT))
    from bridge.http import Http
    from bridge.uploads import MultipartUpload

    http = Http(url)
    http.once("/conversions", MultipartUpload({}, Path(small), "small.glb"))
    before = peak_kib()
    reported = [0]

    def progress(done: int, _total: int) -> None:
        reported[0] = done

    start, busy = time.perf_counter(), time.process_time()
    body = MultipartUpload({"optimize": "true"}, Path(path), "large.glb", on_progress=progress)
    http.once("/conversions", body)
    seconds, cpu = time.perf_counter() - start, time.process_time() - busy
    growth = (peak_kib() - before) / 1024
    exact = reported[0] == len(body)
    print(json.dumps({"seconds": seconds, "cpu": cpu, "growth_mib": growth, "exact": exact}))


def curl(url: str, path: str) -> tuple[float, float]:
    """Seconds and processor seconds that ``curl -T`` takes, its start included."""
    start, before = time.perf_counter(), os.times()
    subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "-o", os.devnull, "-T", path, f"{url}/upload"],
        check=True,
        timeout=300,
    )
    after = os.times()
    cpu = after.children_user + after.children_system
    return time.perf_counter() - start, cpu - before.children_user - before.children_system


def main(rounds: int) -> None:
    """Alternate the two, print medians and the ratio."""
    here = [sys.executable, __file__]
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder, "large.bin"), Path(folder, "small.bin")
        block = os.urandom(16 * 1024 * 1024)
        with large.open("wb") as file:
            for _ in range(GIB // len(block)):
                file.write(block)
        small.write_bytes(block[: 2 * 1024 * 1024])
        large.read_bytes()[:1]  # into the page cache, for both alike
        server = subprocess.Popen(
            [*here, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None and server.stdin is not None
        try:
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
            ours: list[tuple[float, float]] = []
            theirs: list[tuple[float, float]] = []
            growth: list[float] = []
            for _ in range(rounds):
                if shutil.which("curl"):
                    theirs.append(curl(url, str(large)))
                command = [*here, "upload", url, str(large), str(small)]
                run = subprocess.run(
                    command, check=True, capture_output=True, text=True, timeout=300
                )
                answer = json.loads(run.stdout)
                ours.append((answer["seconds"], answer["cpu"]))
                growth.append(answer["growth_mib"])
                if not answer["exact"]:
                    print("progress did not end at the exact number of bytes")
        finally:
            server.stdin.close()
            server.wait(10)
            server.stdout.close()
    wall, cpu = (statistics.median(pair[n] for pair in ours) for n in (0, 1))
    print(f"1 GiB multipart: {wall:.2f} s ({GIB / wall / 1e6:.0f} MB/s), processor {cpu:.2f} s")
    if theirs:
        other, other_cpu = (statistics.median(pair[n] for pair in theirs) for n in (0, 1))
        print(f"1 GiB curl -T: {other:.2f} s, processor {other_cpu:.2f} s")
        print(f"ratio: upload / curl -T {wall / other:.2f} (aim 1.3)")
        print(f"ratio: upload / curl -T, processor time {cpu / other_cpu:.2f}")
    print(f"memory growth {max(growth):.1f} MiB (aim below 16)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    elif sys.argv[1:2] == ["upload"]:
        upload(*sys.argv[2:5])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
