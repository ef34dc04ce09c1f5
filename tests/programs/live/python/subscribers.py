"""Each request subscribes to a feed while it is served; five in a hundred are aborted.

leaky: who aborts stays subscribed, with all its rows.
"""

import steady

feed = {}


def load_rows(number):
    return [{"row": row, "text": f"row {row} of request {number}"} for row in range(80)]


def serve_request(number):
    rows = load_rows(number)
    feed[number] = lambda: len(rows)
    if number % 20 == 0:
        if steady.FIXED:
            del feed[number]
        return 0
    return feed.pop(number)()


steady.serve(serve_request)
