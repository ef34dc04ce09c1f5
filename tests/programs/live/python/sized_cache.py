"""Grower: a cache that fills to 20,000 pages, is read all the time, and then forgets who was not asked for longest."""

import functools
import random

import steady


@functools.lru_cache(maxsize=20_000)
def page(product):
    return [f"line {line} of product {product}" for line in range(40)]


def serve_request(number):
    page(number)
    for _ in range(10):
        page(random.randint(max(0, number - 19_000), number))


steady.serve(serve_request)
