"""Grower: imports the standard library piece by piece, as a large program does when it starts; then serves."""

import importlib
import sys
import warnings

import steady

# They print, open a window, or change how the program ends.
LEFT_OUT = {"antigravity", "this", "idlelib", "turtle", "turtledemo", "tkinter", "lib2to3", "test"}

warnings.simplefilter("ignore")
modules = sorted(name for name in sys.stdlib_module_names if not name.startswith("_") and name not in LEFT_OUT)
PAUSE = max(1, steady.RATE // 4)


def serve_request(number):
    if number % PAUSE == 0 and modules:
        try:
            importlib.import_module(modules.pop())
        except ImportError:
            pass
    return len(f"request {number}" * 100)


steady.serve(serve_request)
