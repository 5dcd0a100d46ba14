"""The numbers of Hyper-V's enumerations: states of machines, operational states, states of a heartbeat."""

from __future__ import annotations

from enum import IntEnum


class StateName(IntEnum):
    """Microsoft.HyperV.PowerShell.VMState."""

    Other = 1
    Running = 2
    Off = 3
    Stopping = 4
    Saved = 6
    Paused = 9
    Starting = 10
    Reset = 11
    Saving = 32773
    Pausing = 32776
    Resuming = 32777
    FastSaved = 32779
    FastSaving = 32780
    ForceShutdown = 32781
    ForceReboot = 32782
    RunningCritical = 32783
    OffCritical = 32784
    StoppingCritical = 32785
    SavedCritical = 32786
    PausedCritical = 32787
    StartingCritical = 32788
    ResetCritical = 32789
    SavingCritical = 32790
    PausingCritical = 32791
    ResumingCritical = 32792
    FastSavedCritical = 32793
    FastSavingCritical = 32794


CRITICAL = frozenset(state for state in StateName if state.name.endswith("Critical"))
OFF = frozenset((StateName.Off, StateName.OffCritical))
HOLDS_MEMORY = frozenset((StateName.Running, StateName.Paused, StateName.Saved))
SETTLED = frozenset((StateName.Running, StateName.Off, StateName.Saved, StateName.Paused)) | CRITICAL
OCCUPIES_MEMORY = frozenset(
    (
        *(StateName.Running, StateName.Stopping, StateName.Paused, StateName.Starting, StateName.Saving),
        *(StateName.Pausing, StateName.Resuming, StateName.Reset, StateName.PausedCritical, StateName.RunningCritical),
    )
)
"""States in which a machine's memory is taken from the host and its disks are open."""


class OperationalStatus(IntEnum):
    """Microsoft.HyperV.PowerShell.VMOperationalStatus."""

    Ok = 2
    Degraded = 3
    PredictiveFailure = 5
    InService = 11
    Dormant = 15
    CreatingSnapshot = 32768
    ApplyingSnapshot = 32769
    DeletingSnapshot = 32770
    WaitingToStart = 32771
    MergingDisks = 32772
    ExportingVirtualMachine = 32773
    MigratingVirtualMachine = 32774


class Heartbeat(IntEnum):
    """Microsoft.HyperV.PowerShell.VMHeartbeatStatus."""

    Unknown = 0
    Disabled = 1
    NoContact = 2
    Error = 3
    LostCommunication = 4
    OkApplicationsUnknown = 5
    OkApplicationsHealthy = 6
    OkApplicationsCritical = 7
    Paused = 8
