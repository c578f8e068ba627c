"""Families and types: which sockets does this system make, and which name does nobody have?

    python families.py

Saying: "SOCK_RDW". Experiment: look for it.
"""

import errno
import socket

for family in ("AF_UNIX", "AF_INET", "AF_INET6"):
    for kind in ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET", "SOCK_RAW", "SOCK_RDM"):
        if not hasattr(socket, family) or not hasattr(socket, kind):
            outcome = "Python has no such name here"
        else:
            # A raw socket of IP must say which protocol it means; everybody else has a usual one: 0.
            raw_ip = kind == "SOCK_RAW" and family != "AF_UNIX"
            protocol = socket.IPPROTO_ICMP if raw_ip else 0
            try:
                socket.socket(getattr(socket, family), getattr(socket, kind), protocol).close()
                outcome = "yes"
            except OSError as error:
                outcome = errno.errorcode[error.errno]
        print(f"{family:9} {kind:15} {outcome}")
print("socket.SOCK_RDW exists:", hasattr(socket, "SOCK_RDW"))
