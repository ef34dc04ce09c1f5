"""A worker thread for each tenant that comes; in the fixed form it is told when its tenant leaves."""

import queue
import sys
import threading
import time


class TenantWorker:
    def __init__(self):
        self.jobs = queue.Queue()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        while True:
            job = self.jobs.get()
            if job is None:
                return
            sum(range(job))


def start_worker():
    worker = TenantWorker()
    worker.thread.start()
    worker.jobs.put(1000)
    return worker


def main():
    mode = sys.argv[1]
    stop = time.monotonic() + 1200
    # More than a process may have would end the program before its time.
    limit = 8000
    started = 0
    while time.monotonic() < stop:
        if mode == "fixed" or started < limit:
            worker = start_worker()
            started += 1
            if mode == "fixed":
                worker.jobs.put(None)
        time.sleep(0.1)


main()
