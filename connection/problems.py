"""Why Temporal cannot be worked with, in one line that says what to do."""

from datetime import UTC, datetime
from typing import Any

from temporalio.service import RPCError

_ADVICE = (
    ("relative URL", "that is no address; write host:port"),
    ("invalid target URL", "that is no address; write host:port"),
    ("InvalidUri", "that is no address; write host:port"),
    ("PrivateKeyParseError", "our TLS key cannot be read: look at TEMPORAL_TLS_CLIENT_KEY_PATH"),
    ("ConnectionRefused", "nothing listens there: is the server up, is TEMPORAL_ADDRESS right?"),
    ("dns error", "there is no such host: is TEMPORAL_ADDRESS right?"),
    ("InvalidCertificate(Expired", "the server's certificate has expired"),
    (
        "UnknownIssuer",
        "the server's certificate is signed by none that is trusted: set "
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    ),
    ("NotValidForName", "the server's certificate has another name: set TEMPORAL_TLS_SERVER_NAME"),
    (
        "CertificateRequired",
        "it asks for a client certificate: set TEMPORAL_TLS_CLIENT_CERT_PATH and "
        "TEMPORAL_TLS_CLIENT_KEY_PATH",
    ),
    ("Unauthenticated", "it does not take this API key: it has expired, or set TEMPORAL_API_KEY"),
    ("PermissionDenied", "this API key or certificate may not work in that namespace"),
    ("ResourceExhausted", "too many calls in this namespace; try again in a minute"),
    (
        "connection closed",
        "it hung up: it does not take this client certificate, or it expects none",
    ),
    ("ConnectionReset", "it hung up: it expects TLS (set TEMPORAL_TLS=true), or expects none"),
    ("InvalidContentType", "it speaks no TLS there: unset TEMPORAL_TLS and TEMPORAL_API_KEY"),
)


def in_words(error: BaseException, config: dict[str, Any]) -> str:
    """One line; `config` holds the arguments of `Client.connect`."""
    target, namespace = config.get("target_host", "?"), config.get("namespace", "default")
    status = error.status.name if isinstance(error, RPCError) else ""
    whole = f"{status.title().replace('_', '')} {error} {error.__cause__ or ''}"
    if "amespace" in whole and "not found" in whole:
        return f"there is no namespace {namespace} at {target}: `python -m infra.temporal.setup`"
    expired = _expired(config.get("tls"))
    if expired:
        return f"the client certificate has expired on {expired:%Y-%m-%d}: take a new one"
    for sign, advice in _ADVICE:
        if sign in whole:
            return f"Temporal at {target}: {advice}"
    return f"Temporal at {target}: {str(error) or 'it does not answer'}"


def _expired(tls: Any) -> datetime | None:
    """When our own certificate ended, if it has: the server only hangs up."""
    pem = getattr(tls, "client_cert", None)
    if not pem:
        return None
    from cryptography.x509 import load_pem_x509_certificate

    try:
        until = load_pem_x509_certificate(pem).not_valid_after_utc
    except ValueError:
        return None
    return until if until < datetime.now(UTC) else None
