"""Environment of long processes on a CPU: freed memory stays with them, in pages of 2 MB.

Tensors come and go with every step and every answer, and handing them back only to get fresh
pages costs time. The price is memory that never shrinks. Names are those of glibc 2.35 and later,
read when a process starts; other C libraries ignore them.
"""

_MALLOC = {"hugetlb": 1, "mmap_threshold": 2**33, "trim_threshold": 2**33, "top_pad": 2**28}
KEPT_MEMORY = {
    "GLIBC_TUNABLES": ":".join(f"glibc.malloc.{name}={size}" for name, size in _MALLOC.items())
}
