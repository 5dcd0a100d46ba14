"""What a call has bound so far, and which parameter sets are still possible."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.hvsim.coercion import fit
from tests.hvsim.contract import CommandContract
from tests.hvsim.errors import BindingError, refusal
from tests.hvsim.slots import ANY_SET, Layout, Slot, count_sets, layout, mandatory_flags
from tests.hvsim.values import NOTHING


@dataclass
class State:
    """The binder's working state; `prioritized` is the set that objects from the pipeline are tried against first."""

    command: CommandContract
    layout: Layout
    unbound: list[Slot]
    values: dict[str, object] = field(default_factory=dict)
    current: int = ANY_SET
    prioritized: int = 0

    @classmethod
    def of(cls, command: CommandContract) -> State:
        """The state before anything is bound."""
        plan = layout(command)
        return cls(command, plan, list(plan.slots))

    def copy(self) -> State:
        """A state to go on from that leaves this one as it is."""
        return replace(self, unbound=list(self.unbound), values=dict(self.values))

    def put(self, slot: Slot, value: object, *, coerce: bool, wrapped: bool = False) -> bool:
        """Bind `value` to `slot` and rule out the sets without it; False if it would need coercion that is off.

        Raises `BindingError` if the value does not fit.
        """
        fitted = fit(self.command, slot.parameter, value, coerce=coerce, wrapped=wrapped)
        if fitted is NOTHING:
            return False
        if slot.flags:
            self.current &= slot.flags
        if slot in self.unbound:
            self.unbound.remove(slot)
        self.values[slot.parameter.name] = fitted
        return True

    def validate_sets(self, *, before_pipeline: bool, take_default: bool) -> int:
        """How many sets are possible; with `take_default` the default set is chosen among several.

        Raises `BindingError` AmbiguousParameterSet if none is possible, or several are and nothing decides.
        """
        count = count_sets(self.current)
        if count == 0:
            raise ambiguous()
        default = self.layout.default
        if count > 1:
            if default and self.current & default:
                return self._default_of(count, take_default)
            if before_pipeline and self._pipeline_may_decide():
                return count
            return self._resolve_by_mandatory()
        if self.current == ANY_SET:
            count = max(len(self.layout.sets), 1)
            if before_pipeline and self._pipeline_may_decide():
                return count
            if default:
                return self._default_of(count, take_default)
            if count > 1:
                return self._resolve_by_mandatory()
        return count

    def _default_of(self, count: int, take_default: bool) -> int:
        if not take_default:
            return count
        self.current = self.layout.default
        return 1

    def _pipeline_may_decide(self) -> bool:
        return any(
            part.takes_pipeline and (part.flag == 0 or part.flag & self.current)
            for slot in self.unbound
            for part in slot.parts
        )

    def _resolve_by_mandatory(self) -> int:
        """Choose the only possible set that demands nothing more."""
        remaining = self.current & self.layout.all_sets & ~mandatory_flags(self.unbound)
        if count_sets(remaining) != 1:
            raise ambiguous()
        self.current = remaining
        return 1

    def settle(self) -> None:
        """Make sure that one set is chosen, the default one if nothing else was."""
        if len(self.layout.sets) > 1 and self.current == ANY_SET:
            if not self.layout.default:
                raise ambiguous()
            self.current = self.layout.default

    @property
    def set_name(self) -> str:
        """The name of the chosen set."""
        return self.layout.set_name(self.current)


def ambiguous() -> BindingError:
    """The refusal of a call whose parameters do not make one set."""
    return refusal("AmbiguousParameterSet")
