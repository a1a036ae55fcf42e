"""Bytes in, verdict out: the attack catalogue of HTTP/1 as data, for every test and every build."""
