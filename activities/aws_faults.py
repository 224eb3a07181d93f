"""What AWS's refusals mean and what to do about each, in one line; the one place that knows."""

import re
from enum import StrEnum
from typing import NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoRegionError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NotConnectedError


class FaultKind(StrEnum):
    """Whose matter it is; the words begin the line that a person reads."""

    REFUSED = "AWS refused"
    CREDENTIALS = "AWS credentials"
    SETTINGS = "AWS settings"
    THROTTLED = "AWS throttles"
    UNREACHABLE = "AWS does not answer"


class Fault(NamedTuple):
    """An error that says nothing of what was asked for, only that AWS did not do it."""

    kind: FaultKind
    text: str


# AWS's services have no common names: JSON, REST-JSON, query and S3 each have their own
_REFUSED = {
    *("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException"),
    *("AuthorizationError", "AuthorizationErrorException", "AllAccessDisabled"),
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
_WRONG = {
    *("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "InvalidToken"),
    *("SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"),
    *("MissingAuthenticationToken", "MissingAuthenticationTokenException", "AuthFailure"),
    *("IncompleteSignatureException", "InvalidAccessKeyIdException", "NotSignedUp"),
}
_WRONG_TIME = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
_THROTTLED = {
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "SlowDown"),
    *("RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded"),
    *("ProvisionedThroughputExceededException", "BandwidthLimitExceeded", "EC2ThrottledException"),
}

_NOT_ALLOWED = re.compile(
    r"(?:User: )?(?P<who>arn:\S+) is not authorized to perform: (?P<action>[\w-]+:[\w*]+)"
    r"(?: on resource: (?P<resource>\S+))?(?: (?P<why>(?:because|with) .*))?$"
)
_RENEW = "renew them (`aws sso login`, or a new session of the role)"
_RESTART = "what reads them from variables has to be started again"


def fault_of(error: ClientError | BotoCoreError) -> Fault | None:
    """The fault; None if AWS did answer what it was asked, and the caller knows what it means."""
    if isinstance(error, ClientError):
        return _answered(error)
    if isinstance(error, (HTTPClientError, NotConnectedError)):
        return _not_reached(error)
    if isinstance(error, NoRegionError):
        return Fault(FaultKind.SETTINGS, "no region is set; set AWS_REGION or a profile's region")
    if type(error).__name__ in {"ProfileNotFound", "InvalidRegionError", "ConfigParseError"}:
        return Fault(FaultKind.SETTINGS, f"{_flat(error)}; look at AWS_PROFILE and AWS_REGION")
    if re.search(r"Credential|SSO|Token|Login", type(error).__name__):
        text = f"{_flat(error)}; set AWS_PROFILE or a role, or {_RENEW}"
        return Fault(FaultKind.CREDENTIALS, text)
    return None


def _answered(error: ClientError) -> Fault | None:
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = _flat(error.response.get("Error", {}).get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    call = f"{code} at {error.operation_name}"
    if code in _WRONG_TIME or (code in _WRONG and message.startswith("Signature ")):
        text = f"signed at a time that is not AWS's ({call}: {message}); set this machine's clock"
        return Fault(FaultKind.CREDENTIALS, text)
    if code in _EXPIRED:
        return Fault(FaultKind.CREDENTIALS, f"they have expired ({call}); {_RENEW}; {_RESTART}")
    if code in _WRONG:
        text = f"AWS does not know them ({call}); look at AWS_PROFILE or the role; {_RESTART}"
        return Fault(FaultKind.CREDENTIALS, text)
    if code in _REFUSED:
        return Fault(FaultKind.REFUSED, _not_allowed(error.operation_name, message))
    if code in _THROTTLED or status == 429:
        text = f"too many calls in this account ({call}); it passes, try again in a minute"
        return Fault(FaultKind.THROTTLED, text)
    if status >= 500:
        text = f"its own fault ({status} {call}); it passes, try again in a minute"
        return Fault(FaultKind.UNREACHABLE, text)
    return None


def _not_allowed(operation: str, message: str) -> str:
    found = _NOT_ALLOWED.search(message)
    grant = "grant it in infra/account.yaml and deploy that stack"
    if found is None:  # S3 says no more than this
        return f"{operation} is not allowed ({message}); {grant}"
    on = f" on {found['resource']}" if found["resource"] else ""
    # an identity's policy is ours to change; a boundary or an organization's is not
    elsewhere = found["why"] or ""
    if "explicit deny" in elsewhere or "boundary" in elsewhere or "control policy" in elsewhere:
        grant = f"it is denied {elsewhere}"
    return f"{found['who']} may not {found['action']}{on}; {grant}"


def _not_reached(error: HTTPClientError | NotConnectedError) -> Fault:
    text = _flat(error).rstrip(".")
    if isinstance(error, SSLError):
        expired = "certificate has expired" in text
        what = "its certificate has expired" if expired else "its certificate is not trusted"
        where = str(error.kwargs.get("endpoint_url", "the endpoint"))
        hint = "AWS's own does not: look at AWS_ENDPOINT_URL, HTTPS_PROXY, AWS_CA_BUNDLE, the clock"
        hint = hint if expired else hint.replace("AWS's own does not: ", "")
        return Fault(FaultKind.UNREACHABLE, f"{where}: {what}; {hint}")
    hint = "is AWS_REGION right, and the network there? on a laptop start it with `starter.py up`"
    return Fault(FaultKind.UNREACHABLE, f"{text}; {hint}")


def _flat(text: object) -> str:
    return " ".join(str(text).split())
