"""Requests that each open a session, kept by its id; in the fixed form a session is dropped when its request is done."""

import itertools
import sys
import time


class Session:
    def __init__(self, number):
        self.number = number
        self.items = [f"item {number}-{index}" for index in range(40)]
        self.seen = {}


class SessionStore:
    def __init__(self, mode):
        self.mode = mode
        self.by_id = {}

    def open(self, number):
        self.by_id[number] = Session(number)

    def close(self, number):
        if self.mode == "fixed":
            del self.by_id[number]


def handle_request(store, number):
    store.open(number)
    sum(len(item) for item in store.by_id[number].items)
    store.close(number)


def main():
    store = SessionStore(sys.argv[1])
    numbers = itertools.count()
    stop = time.monotonic() + 1200
    while time.monotonic() < stop:
        for _ in range(40):
            handle_request(store, next(numbers))
        time.sleep(0.1)


main()
