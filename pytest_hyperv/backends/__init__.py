"""The hypervisors behind one small protocol; nothing above this package names one."""
