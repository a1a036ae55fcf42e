"""Other libraries that read what we read (threat G-034), one module each, and how two readings are compared.

The rule: what we take, the strict peer must take as the same messages; what we refuse is ours to refuse. Where a peer
differs with a reason, ``differences`` says so, by name. Tests alone need them; one that is not installed is left out.
"""
