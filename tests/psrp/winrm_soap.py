"""The SOAP of WinRM shells as a service reads and writes it (MS-WSMV 3.1.4, DSP0226)."""

from __future__ import annotations

import base64
import re
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.sax.saxutils import escape

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
CMD = SHELL + "/cmd"

OPERATION_TIMEOUT = 2150858793
MAX_SHELLS = 2150859173
SHELL_NOT_FOUND = 2150858843
ENVELOPE_TOO_LARGE = 2150858824
OPERATION_ABORTED = 995
PIPE_CLOSED = 2147942632
NOT_FOUND = 2147942402


class Refused(Exception):
    """The service answers with a SOAP fault that carries the WSMan fault ``code``."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class Call:
    """What one envelope asks for. ``operation`` is the last part of its action; ``timeout`` is in seconds."""

    operation: str
    message_id: str
    resource: str
    shell_id: str
    timeout: float
    body: ET.Element

    def find(self, path: str) -> ET.Element | None:
        """The element of the shell namespace at ``path`` (names joined by "/") below the body."""
        return self.body.find("/".join(f"{{{SHELL}}}{name}" for name in path.split("/")))

    def texts(self, path: str) -> list[str]:
        """The texts of all elements at ``path``."""
        return [node.text or "" for node in self.body.findall("/".join(f"{{{SHELL}}}{n}" for n in path.split("/")))]


def parsed(envelope: bytes) -> Call:
    """Read an envelope; raises ValueError or ET.ParseError when it is none."""
    root = ET.fromstring(envelope)
    header, body = root.find(f"{{{SOAP}}}Header"), root.find(f"{{{SOAP}}}Body")
    if header is None or body is None:
        raise ValueError("no SOAP header or body")
    action = header.findtext(f"{{{ADDRESSING}}}Action", "")
    selector = header.find(f"{{{WSMAN}}}SelectorSet/{{{WSMAN}}}Selector[@Name='ShellId']")
    timeout = re.fullmatch(r"PT([\d.]+)S", header.findtext(f"{{{WSMAN}}}OperationTimeout", "PT60S"))
    return Call(
        operation=action.rsplit("/", 1)[-1],
        message_id=header.findtext(f"{{{ADDRESSING}}}MessageID", ""),
        resource=header.findtext(f"{{{WSMAN}}}ResourceURI", ""),
        shell_id=(selector.text or "") if selector is not None else "",
        timeout=float(timeout[1]) if timeout else 60.0,
        body=body,
    )


def shell_created(call: Call, shell_id: str) -> bytes:
    """The answer to a Create."""
    body = (
        f'<x:ResourceCreated xmlns:x="{TRANSFER}"><a:Address>http://127.0.0.1/wsman</a:Address><a:ReferenceParameters>'
        f"<w:ResourceURI>{CMD}</w:ResourceURI><w:SelectorSet>"
        f'<w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet></a:ReferenceParameters>'
        "</x:ResourceCreated>"
        f"<rsp:Shell><rsp:ShellId>{shell_id}</rsp:ShellId><rsp:ResourceUri>{CMD}</rsp:ResourceUri>"
        "<rsp:InputStreams>stdin</rsp:InputStreams><rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>"
    )
    return _envelope(TRANSFER + "/CreateResponse", call, body)


def command_started(call: Call, command_id: str) -> bytes:
    """The answer to a Command."""
    body = f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>"
    return _envelope(SHELL + "/CommandResponse", call, body)


def output(call: Call, command_id: str, streams: dict[str, bytes], exit_code: int | None) -> bytes:
    """The answer to a Receive; an ``exit_code`` means that the command is done."""
    parts = [
        f'<rsp:Stream Name="{name}" CommandId="{command_id}">{base64.b64encode(data).decode()}</rsp:Stream>'
        for name, data in streams.items()
        if data
    ]
    if exit_code is None:
        state = f'<rsp:CommandState CommandId="{command_id}" State="{SHELL}/CommandState/Running"/>'
    else:
        parts += [f'<rsp:Stream Name="{name}" CommandId="{command_id}" End="true"></rsp:Stream>' for name in streams]
        state = (
            f'<rsp:CommandState CommandId="{command_id}" State="{SHELL}/CommandState/Done">'
            f"<rsp:ExitCode>{exit_code}</rsp:ExitCode></rsp:CommandState>"
        )
    body = f"<rsp:ReceiveResponse>{''.join(parts)}{state}</rsp:ReceiveResponse>"
    return _envelope(SHELL + "/ReceiveResponse", call, body)


def done(call: Call) -> bytes:
    """The answer to a Send, Signal or Delete."""
    if call.operation == "Delete":
        return _envelope(TRANSFER + "/DeleteResponse", call, "")
    return _envelope(f"{SHELL}/{call.operation}Response", call, f"<rsp:{call.operation}Response/>")


def fault(call: Call | None, refused: Refused) -> bytes:
    """A SOAP fault."""
    body = (
        "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:InternalError</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{escape(refused.reason)}</s:Text></s:Reason><s:Detail>'
        f'<f:WSManFault xmlns:f="{FAULT}" Code="{refused.code}" Machine="localhost">'
        f"<f:Message>{escape(refused.reason)}</f:Message></f:WSManFault></s:Detail></s:Fault>"
    )
    return _envelope("http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", call, body)


def _envelope(action: str, call: Call | None, body: str) -> bytes:
    relates = escape(call.message_id) if call else ""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:w="{WSMAN}" xmlns:rsp="{SHELL}">'
        f"<s:Header><a:Action>{action}</a:Action><a:MessageID>uuid:{uuid.uuid4()}</a:MessageID>"
        f"<a:RelatesTo>{relates}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()
