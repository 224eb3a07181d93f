"""The errors of CloudWatch's API, by the codes that boto3 shows."""


class AwsError(Exception):
    """A refused call: what the caller gets as `ClientError`."""

    code = "InternalServiceFault"
    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ValidationError(AwsError):
    """An alarm or query that CloudWatch would not accept."""

    code = "ValidationError"


class InvalidParameterValueError(AwsError):
    """A value out of its range."""

    code = "InvalidParameterValue"


class InvalidParameterCombinationError(AwsError):
    """Two parameters that exclude each other."""

    code = "InvalidParameterCombination"


class MissingParameterError(AwsError):
    """A required parameter is absent."""

    code = "MissingParameter"


class InvalidNextTokenError(AwsError):
    """The token is not one of ours."""

    code = "InvalidNextToken"


class InvalidActionError(AwsError):
    """A call, or a parameter of one, that this CloudWatch does not have."""

    code = "InvalidAction"


class InvalidFormatError(AwsError):
    """`StateReasonData` is not JSON."""

    code = "InvalidFormat"


class ResourceNotFoundError(AwsError):
    """No such alarm."""

    code = "ResourceNotFound"
    status = 404
