"""Reads uploads; five in a hundred are broken and their exceptions go into a report.

leaky: the report is never cleared, and each exception keeps the frame with its open file.
"""

import steady

report = []


def read_upload(number):
    upload = open("/proc/self/comm")
    text = upload.read()
    if number % 20 == 0:
        raise ValueError(f"upload {number} is broken: {text}")
    upload.close()
    return text


def serve_upload(number):
    try:
        read_upload(number)
    except ValueError as error:
        report.append(error)
        if steady.FIXED:
            report.clear()


steady.serve(serve_upload)
