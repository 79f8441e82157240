"""A Python program that says what it does, through ctypes. It runs as well when nobody records it."""

import contextlib
import ctypes

library = ctypes.CDLL(None)
try:
    library.tickscope_name.restype = ctypes.c_void_p
    library.tickscope_name.argtypes = [ctypes.c_char_p]
    library.tickscope_begin.restype = ctypes.c_uint64
    library.tickscope_begin.argtypes = [ctypes.c_void_p]
    library.tickscope_end.argtypes = library.tickscope_fail.argtypes = [ctypes.c_uint64]
    library.tickscope_end.restype = library.tickscope_fail.restype = None
    recorded = library.tickscope_recorded() == 1
except AttributeError:
    recorded = False


@contextlib.contextmanager
def span(name):
    if not recorded:
        yield
        return
    open_span = library.tickscope_begin(library.tickscope_name(name.encode()))
    try:
        yield
    except BaseException:
        library.tickscope_fail(open_span)
        raise
    library.tickscope_end(open_span)


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


for n in range(10, 20):
    with span("fib of a number"):
        print(n, fib(n))
try:
    with span("division"):
        1 / 0
except ZeroDivisionError as error:
    print(error)
print("recorded" if recorded else "not recorded")
