"""TLS for the stand-in: an authority and a certificate that live for one run."""

from pathlib import Path
from typing import NamedTuple

import trustme

OWN_ROOTS = "amazon_roots.pem"
"""A variant with this file reads these roots on AWS; all others read their boto3's bundle."""


class Certificates(NamedTuple):
    """Files: the server's certificate and key, and the authority that signed it."""

    certificate: Path
    key: Path
    authority: Path
    public_roots: Path

    def bundle_of(self, code: Path) -> bytes:
        """The roots that the variant in `code` would read on AWS, and the run's authority.

        Reading them is a part of every cold start: one root alone would hide that.
        """
        own = code / OWN_ROOTS
        roots = own if own.exists() else self.public_roots
        return roots.read_bytes() + self.authority.read_bytes()


def make_certificates(folder: Path, public_roots: Path) -> Certificates:
    """They stand in the folder, valid for 127.0.0.1."""
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    made = Certificates(
        folder / "server.pem", folder / "server.key", folder / "authority.pem", public_roots
    )
    made.key.touch(mode=0o600)
    server.private_key_pem.write_to_path(str(made.key))
    for number, part in enumerate(server.cert_chain_pems):
        part.write_to_path(str(made.certificate), append=number > 0)
    authority.cert_pem.write_to_path(str(made.authority))
    return made
