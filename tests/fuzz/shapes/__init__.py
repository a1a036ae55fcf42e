"""Structure-aware changes, one module a kind of input: what comes out keeps the form, whatever was changed in it.

``grow(chance, data, damage)`` takes an input apart, changes it, and writes it anew: lengths fit, stream numbers make
sense, masks and header blocks are right. ``damage`` changes the bytes within: the short runs' (``inputs``), or
libFuzzer's own in a long run. Never here: parsers under test, but to take an input apart.
"""
