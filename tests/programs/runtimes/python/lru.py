"""A cache that fills to its cap within minutes and stays there: nothing leaks."""

import functools
import random
import time

CAP = 20_000


@functools.lru_cache(maxsize=CAP)
def render(page):
    return [f"<p>{page}-{line}</p>" for line in range(20)]


stop = time.monotonic() + 1200
while time.monotonic() < stop:
    for _ in range(15):
        render(random.randrange(4 * CAP))
    time.sleep(0.1)
