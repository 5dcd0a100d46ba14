"""Fits one value to one parameter: null, switches, arrays from scalars, conversion, and what mandatory forbids.

After the engine's ParameterBinderBase, whose order of tests decides which error comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.hvsim.contract import CommandContract, Parameter
from tests.hvsim.conversion import VALUE_TYPES, CastError, convert, full_name, is_instance
from tests.hvsim.errors import BindingError, TransformationRefused, ValueRefused, refusal
from tests.hvsim.values import NOTHING, items, net_text, net_type

Enums = Mapping[str, tuple[str, ...]]
TRUTHS = ("Boolean", "SwitchParameter")
TAKES_LISTS = ("Object", "PSObject", "FlagsExpression")


def fit(
    command: CommandContract, parameter: Parameter, value: object, *, coerce: bool, wrapped: bool = False
) -> object:
    """`value` as the type of `parameter`, or `NOTHING` if it is not of the type and `coerce` is off.

    `wrapped` says that the value is an object from the pipeline, which is a PSObject already.
    """
    if coerce:
        fitted = _coerced(command, parameter, parameter.type, value)
    else:
        fitted = _uncoerced(command, parameter, value, wrapped)
        if fitted is NOTHING:
            return NOTHING
    if parameter.ever_mandatory:
        _refuse_empty(parameter, fitted)
    if fitted is None and is_value_type(command, parameter.type):
        detail = f'Exception setting "{parameter.name}": "Cannot convert null to type "{full_name(parameter.type)}"."'
        raise refusal("ParameterBindingFailed", parameter.name, detail=detail)
    return fitted


def is_value_type(command: CommandContract, kind: str) -> bool:
    """Whether the type cannot hold null."""
    return kind in VALUE_TYPES or kind in command.enums


def _uncoerced(command: CommandContract, parameter: Parameter, value: object, wrapped: bool) -> object:
    if value is None:
        return NOTHING if parameter.type == "String" or is_value_type(command, parameter.type) else None
    if _is(value, parameter.type, wrapped):
        return value
    element = parameter.element_type
    if element is None:
        return NOTHING
    parts = items(value)
    if parts is None:
        parts = (value,)
    if all(part is None or _is(part, element, False) for part in parts):
        return value if isinstance(value, bytes) else list(parts)
    return NOTHING


def _is(value: object, kind: str, wrapped: bool) -> bool:
    if kind == "PSObject":
        return wrapped
    if kind == "Object[]":
        return isinstance(value, list | tuple)
    return is_instance(value, kind)


def _coerced(command: CommandContract, parameter: Parameter, kind: str, value: object) -> object:
    if value is None:
        return _coerced_null(parameter, kind)
    if is_instance(value, kind) or kind == "PSObject":
        return value
    if kind in TRUTHS:
        return _coerced_truth(command, parameter, kind, value)
    parts = items(value)
    if kind.endswith("[]"):
        element = kind.removesuffix("[]")
        return [_coerced(command, parameter, element, part) for part in ((value,) if parts is None else parts)]
    if parts is not None and kind not in TAKES_LISTS and kind not in command.enums:
        return _refuse_list(command, parameter, kind, parts, value)
    try:
        return convert(value, kind, command.enums)
    except CastError as error:
        if command.is_function:
            raise _not_transformed(parameter, str(error)) from None
        raise refusal("CannotConvertArgumentNoMessage", parameter.name, detail=str(error)) from None


def _coerced_null(parameter: Parameter, kind: str) -> object:
    if kind == "SwitchParameter":
        return True
    if kind == "Boolean":
        raise refusal("ParameterArgumentValidationErrorNullNotAllowed", parameter.name)
    return None


def _coerced_truth(command: CommandContract, parameter: Parameter, kind: str, value: object) -> bool:
    """Only truth values and numbers become one: "False" would be true."""
    if isinstance(value, bool | int | float):
        return bool(value)
    if command.is_function:
        detail = (
            f'Cannot convert value "{net_type(value)}" to type "{full_name(kind)}". Boolean parameters accept only '
            "Boolean values and numbers, such as $True, $False, 1 or 0."
        )
        raise _not_transformed(parameter, detail)
    raise refusal("CannotConvertArgument", parameter.name, value=net_type(value), type_name=full_name(kind))


def _refuse_list(
    command: CommandContract, parameter: Parameter, kind: str, parts: Sequence[object], value: object
) -> object:
    if command.is_function:
        raise _not_transformed(parameter, f"Cannot convert value to type {full_name(kind)}.")
    text = net_text(value) if isinstance(value, bytes) else net_text(list(parts))
    detail = "Specified method is not supported."
    raise refusal("CannotConvertArgument", parameter.name, value=text, type_name=full_name(kind), detail=detail)


def _not_transformed(parameter: Parameter, detail: str) -> BindingError:
    return refusal("ParameterArgumentTransformationError", parameter.name, detail=detail, kind=TransformationRefused)


def _refuse_empty(parameter: Parameter, value: object) -> None:
    """A parameter that is mandatory in any set takes no null, no empty text and no empty array."""
    parts = items(value) if parameter.element_type is not None else None
    if value is None or (parameter.element_type not in VALUE_TYPES and any(part is None for part in parts or ())):
        raise _not_allowed(parameter, "Null")
    if (parameter.type == "String" and value == "") or (parameter.type == "String[]" and "" in (parts or ())):
        raise _not_allowed(parameter, "EmptyString")
    if parts is not None and not parts:
        raise _not_allowed(parameter, "EmptyArray")


def _not_allowed(parameter: Parameter, what: str) -> BindingError:
    return refusal(f"ParameterArgumentValidationError{what}NotAllowed", parameter.name, kind=ValueRefused)
