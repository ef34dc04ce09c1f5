"""A start that imports much, and then steady work: nothing leaks."""

import importlib
import json
import time

MODULES = """argparse ast asyncio base64 calendar codecs collections concurrent.futures configparser contextlib copy csv
ctypes dataclasses datetime decimal difflib dis email.message enum fractions ftplib functools gettext glob gzip hashlib
heapq hmac html.parser http.client http.server imaplib inspect io ipaddress itertools json logging.config lzma mailbox
mimetypes multiprocessing.pool numbers optparse pathlib pickle pickletools platform plistlib pprint profile pydoc queue
random sched selectors shelve shlex smtplib socketserver sqlite3 ssl statistics string subprocess tarfile tempfile
textwrap threading timeit tokenize traceback tracemalloc turtledemo typing unittest.mock urllib.request uuid venv wave
weakref webbrowser xml.dom.minidom xml.etree.ElementTree xml.sax xmlrpc.client zipapp zipfile""".split()

stop = time.monotonic() + 1200
for name in MODULES:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
    time.sleep(0.5)
while time.monotonic() < stop:
    json.loads(json.dumps({str(number): list(range(20)) for number in range(200)}))
    time.sleep(0.1)
