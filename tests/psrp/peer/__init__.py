"""A PSRP server on psrpcore's server side: a program that is started in place of ``powershell.exe -s``.

This folder needs nothing but psrpcore: copied anywhere, ``python -m peer`` speaks the out-of-process framing on its
standard streams, and ``python -m peer --device PATH`` on a character device, as inside a guest on a virtio-serial
port. It shares no code with the client it is there to test. What it understands is in `vocabulary` and `faults`.
"""
