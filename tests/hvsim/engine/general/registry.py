"""All general cmdlets that the simulated host plays, by name in lower case."""

from __future__ import annotations

from collections.abc import Mapping

from tests.hvsim.engine.general import (
    cim,
    event_log,
    file_contents,
    items,
    modules,
    select_object,
    session_state,
    streams_of_objects,
    writing,
)
from tests.hvsim.engine.invocation import Cmdlet, StreamCmdlet

PER_OBJECT: Mapping[str, Cmdlet] = {
    "copy-item": items.copy_item,
    "exit-pssession": session_state.nothing,
    "get-childitem": items.get_child_item,
    "get-ciminstance": cim.get_cim_instance,
    "get-command": modules.get_command,
    "get-content": file_contents.get_content,
    "get-culture": session_state.get_culture,
    "get-date": session_state.get_date,
    "get-filehash": file_contents.get_file_hash,
    "get-host": session_state.get_host,
    "get-item": items.get_item,
    "get-location": session_state.get_location,
    "get-module": modules.get_module,
    "get-process": session_state.get_process,
    "get-variable": session_state.get_variable,
    "get-winevent": event_log.get_win_event,
    "import-module": modules.import_module,
    "join-path": file_contents.join_path,
    "new-guid": session_state.new_guid,
    "new-item": items.new_item,
    "prompt": session_state.prompt,
    "remove-item": items.remove_item,
    "set-content": file_contents.set_content,
    "set-itemproperty": items.set_item_property,
    "set-strictmode": session_state.nothing,
    "set-variable": session_state.set_variable,
    "split-path": file_contents.split_path,
    "start-sleep": session_state.start_sleep,
    "test-path": items.test_path,
    "write-error": writing.write_error,
    "write-host": session_state.nothing,
    "write-output": writing.write_output,
    "write-verbose": writing.write_verbose,
    "write-warning": writing.write_warning,
}
"""Those that run once for each object that is piped in."""

STREAMING: Mapping[str, StreamCmdlet] = {
    "foreach-object": streams_of_objects.for_each_object,
    "group-object": streams_of_objects.group_object,
    "measure-object": streams_of_objects.measure_object,
    "out-default": streams_of_objects.pass_on,
    "out-host": streams_of_objects.pass_on,
    "out-null": streams_of_objects.out_null,
    "select-object": select_object.select_object,
    "sort-object": streams_of_objects.sort_object,
    "where-object": streams_of_objects.where_object,
}
"""Those that run once for all that is piped in."""
