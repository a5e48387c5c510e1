"""Returns memory to the system that the C library keeps for later."""

import ctypes

# Parameters of glibc's ``mallopt`` (malloc.h): how many bytes of free memory a thread may keep, and
# from which size a block is returned as soon as it is freed.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# glibc raises both by itself, up to these values, until one of them is set.
MOST_KEPT, MOST_IN_HEAP = 64 << 20, 32 << 20
# From this size, glibc compares what is free with the threshold when a block is freed.
LARGE = 1 << 16

_libc = ctypes.CDLL(None)
_libc.malloc.restype = ctypes.c_void_p
_libc.free.argtypes = (ctypes.c_void_p,)


def release() -> None:
    """Return the free memory of this thread to the system. Other C libraries do so by themselves.

    ``malloc_trim`` returns the free memory between blocks in use. There is such memory if several
    threads share an arena. It does not return the free end of an arena other than the first. That
    end is returned when a block of ``LARGE`` bytes is freed while the threshold is 0.
    """
    if hasattr(_libc, "mallopt"):
        _libc.malloc_trim(0)
        _libc.mallopt(M_TRIM_THRESHOLD, 0)
        _libc.free(_libc.malloc(LARGE))
        _libc.mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
        _libc.mallopt(M_MMAP_THRESHOLD, MOST_IN_HEAP)
