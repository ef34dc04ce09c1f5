"""Frames that are decoded into buffers of the C library, below Python's own memory; the fixed form frees each."""

import ctypes
import sys
import time

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

SIZE = 16 << 10


def decode_frame():
    buffer = libc.malloc(SIZE)
    libc.memset(buffer, 1, SIZE)
    return buffer


def main():
    mode = sys.argv[1]
    stop = time.monotonic() + 1200
    while time.monotonic() < stop:
        for _ in range(10):
            buffer = decode_frame()
            if mode == "fixed":
                libc.free(buffer)
        time.sleep(0.1)


main()
