"""A thread for each request waits for its result; a worker loses five in a hundred.

leaky: nobody tells the thread of a lost one, and it waits for ever.
"""

import queue
import threading

import steady


def wait_for_result(results):
    return results.get()


def serve_request(number):
    results = queue.SimpleQueue()
    threading.Thread(target=wait_for_result, args=(results,), daemon=True).start()
    if number % 20 != 0 or steady.FIXED:
        results.put(number)


steady.serve(serve_request)
