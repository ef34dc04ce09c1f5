"""usage: PROGRAM leaky|fixed SECONDS RATE: a steady load of RATE requests a second, and the end after SECONDS."""

import os
import sys
import time

if len(sys.argv) != 4:
    sys.exit(__doc__)
FIXED = sys.argv[1] == "fixed"
SECONDS = int(sys.argv[2])
RATE = int(sys.argv[3])


def serve(request):
    """Serves one request after the other, each when its turn comes; then ends, whatever threads still wait."""
    start = time.monotonic()
    for number in range(SECONDS * RATE):
        time.sleep(max(0.0, start + number / RATE - time.monotonic()))
        request(number)
    os._exit(0)
