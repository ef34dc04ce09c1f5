"""A cache that fills to its cap and stays there; nothing leaks in either form."""

import functools
import random
import sys
import time

CAP = {"leaky": 20_000, "fixed": 10_000}[sys.argv[1]]


@functools.lru_cache(maxsize=CAP)
def render(page):
    return [f"<p>{page}-{line}</p>" for line in range(20)]


stop = time.monotonic() + 1200
while time.monotonic() < stop:
    for _ in range(200):
        render(random.randrange(4 * CAP))
    time.sleep(0.1)
