"""The refusals of the binder, in the engine's ids and words (resource file ParameterBinderStrings)."""

from __future__ import annotations

from typing import Literal

How = Literal["failed", "error"]

TEXTS = {
    "NamedParameterNotFound": "A parameter cannot be found that matches parameter name '{name}'.",
    "PositionalParameterNotFound": "A positional parameter cannot be found that accepts argument '{name}'.",
    "AmbiguousParameter": (
        "Parameter cannot be processed because the parameter name '{name}' is ambiguous. "
        "Possible matches include:{detail}."
    ),
    "AmbiguousParameterSet": (
        "Parameter set cannot be resolved using the specified named parameters. One or more parameters issued cannot "
        "be used together or an insufficient number of parameters were provided."
    ),
    "AmbiguousPositionalParameterNoName": "Cannot bind positional parameters because no names were given.",
    "ParameterAlreadyBound": (
        "Cannot bind parameter because parameter '{name}' is specified more than once. To provide multiple values to "
        "parameters that can accept multiple values, use the array syntax. For example, "
        '"-parameter value1,value2,value3".'
    ),
    "MissingMandatoryParameter": (
        "Cannot process command because of one or more missing mandatory parameters:{detail}."
    ),
    "CannotConvertArgument": "Cannot convert '{value}' to the type '{type}' required by parameter '{name}'. {detail}",
    "CannotConvertArgumentNoMessage": "Cannot bind parameter '{name}'. {detail}",
    "ParameterArgumentTransformationError": ("Cannot process argument transformation on parameter '{name}'. {detail}"),
    "ParameterBindingFailed": "Cannot bind parameter '{name}' to the target. {detail}",
    "ParameterArgumentValidationErrorNullNotAllowed": (
        "Cannot bind argument to parameter '{name}' because it is null."
    ),
    "ParameterArgumentValidationErrorEmptyStringNotAllowed": (
        "Cannot bind argument to parameter '{name}' because it is an empty string."
    ),
    "ParameterArgumentValidationErrorEmptyArrayNotAllowed": (
        "Cannot bind argument to parameter '{name}' because it is an empty array."
    ),
    "InputObjectNotBound": (
        "The input object cannot be bound to any parameters for the command either because the command does not take "
        "pipeline input or the input and its properties do not match any of the parameters that take pipeline input."
    ),
    "InputObjectMissingMandatory": (
        "The input object cannot be bound because it did not contain the information required to bind all mandatory "
        "parameters: {detail}"
    ),
}


class BindingError(Exception):
    """A call that does not bind.

    `error_id` is the FullyQualifiedErrorId without the command (``AmbiguousParameterSet``); `how` says whether the
    pipeline ends as ``failed`` or an ``error`` record comes for the object piped in; `parameter` is the one in
    question.
    """

    def __init__(self, error_id: str, message: str, *, how: How = "failed", parameter: str | None = None) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message
        self.how = how
        self.parameter = parameter


class ValueRefused(BindingError):
    """A value that converts but is not allowed: the binder does not look for another parameter that would take it."""


class TransformationRefused(BindingError):
    """A value that a script function's parameter could not transform to its type."""


def refusal(
    error_id: str,
    name: str | None = None,
    *,
    detail: str = "",
    value: str = "",
    type_name: str = "",
    kind: type[BindingError] = BindingError,
) -> BindingError:
    """The error of that id, about the parameter or argument called `name`."""
    text = TEXTS[error_id].format(name=name, detail=detail, value=value, type=type_name)
    return kind(error_id, text, parameter=name)
