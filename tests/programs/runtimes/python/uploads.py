"""Uploads that are each written to a log of their own; in the fixed form the log is closed when the upload is done."""

import sys
import time


class UploadLog:
    def __init__(self, mode):
        self.mode = mode
        self.logs = []

    def record(self, number):
        log = open("/dev/null", "w")
        log.write(f"upload {number}\n")
        log.flush()
        if self.mode == "fixed":
            log.close()
        else:
            self.logs.append(log)


def read_template():
    with open(__file__) as template:
        return template.read(64)


def main():
    uploads = UploadLog(sys.argv[1])
    number = 0
    stop = time.monotonic() + 1200
    while time.monotonic() < stop:
        uploads.record(number)
        for _ in range(5):
            read_template()
        number += 1
        time.sleep(0.1)


main()
