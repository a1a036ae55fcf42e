"""Failed tests show their server's log; a certificate for the loopback, for those that need one."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.show_log import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]


@dataclass(frozen=True)
class Loopback:
    """PEM files: an authority, and a key with its certificate for 127.0.0.1 and localhost."""

    authority: Path
    chain: Path

    def context(self) -> ssl.SSLContext:
        """A client's context that trusts the authority."""
        return ssl.create_default_context(cafile=str(self.authority))

    def flags(self) -> list[str]:
        """What the server's command line needs."""
        return ["--certfile", str(self.chain), "--keyfile", str(self.chain)]


@pytest.fixture(scope="session")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Loopback:
    """Made once, by an authority nobody else trusts."""
    trustme = pytest.importorskip("trustme")
    folder = tmp_path_factory.mktemp("loopback")
    authority = trustme.CA()
    made = Loopback(folder / "authority.pem", folder / "chain.pem")
    authority.cert_pem.write_to_path(made.authority)
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(made.chain)
    return made
