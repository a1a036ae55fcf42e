"""What ``deploy/`` promises, shown: the real command under that very list of system calls, without root, on a read-only
file system. Never here: what the server answers in general (``tests/live``), the list itself
(``deploy/syscalls.toml``).
"""
