"""Makes objects, says how many of each type the garbage collector tracks, and answers requests while somebody counts them.

Lines on stdin: the name of a phase begins it; `end` ends them, and the latencies of each phase are written.
"""

import collections
import gc
import json
import select
import sys
import time


class Session:
    def __init__(self, number):
        self.number = number
        self.items = [number]


class Point(tuple):
    pass


def name(of):
    if of.__module__ in ("__main__", "builtins"):
        return of.__qualname__
    return of.__module__ + "." + of.__qualname__


def serve(sessions):
    phases = {}
    latencies = None
    looked = 0.0
    while True:
        now = time.perf_counter()
        if latencies is None or now - looked > 0.02:
            looked = now
            if latencies is None or select.select([sys.stdin], [], [], 0)[0]:
                phase = sys.stdin.readline().strip()
                if phase in ("", "end"):
                    return phases
                latencies = phases.setdefault(phase, [])
        began = time.perf_counter()
        sum(len(sessions[number].items) for number in range(0, 2000, 2))
        latencies.append(time.perf_counter() - began)


def main():
    count = int(sys.argv[1])
    sessions = {number: Session(number) for number in range(count)}
    points = [Point((number, [])) for number in range(count // 4)]
    queue = collections.deque([point] for point in points)
    gc.collect()
    gc.disable()
    counts = collections.Counter(name(type(tracked)) for tracked in gc.get_objects())
    print(json.dumps(counts), flush=True)
    sys.stdin.readline()
    phases = {phase: sorted(latencies) for phase, latencies in serve(sessions).items()}
    quantile = lambda latencies, part: latencies[int(part * (len(latencies) - 1))] * 1e6
    print(
        json.dumps(
            {
                phase: {
                    "requests": len(latencies),
                    "p50_us": quantile(latencies, 0.5),
                    "p99_us": quantile(latencies, 0.99),
                }
                for phase, latencies in phases.items()
            }
        ),
        flush=True,
    )
    len(queue)


main()
