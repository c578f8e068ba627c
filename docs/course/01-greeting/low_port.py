"""Ports below 1024: who may bind them here?

python low_port.py [HOST [PORT]]
"""

import socket
import sys
from pathlib import Path

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 1023
except ValueError:
    sys.exit(__doc__)
FIRST_FREE = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")  # Linux; 1024 unless somebody changed it

if FIRST_FREE.exists():
    print("ports that need a privilege here: below", FIRST_FREE.read_text().strip())
try:
    with socket.create_server((HOST, PORT)):
        print("bound port", PORT)
except PermissionError:
    print("port", PORT, "needs a privilege: PermissionError")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
