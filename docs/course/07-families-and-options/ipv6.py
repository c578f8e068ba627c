"""AF_INET6: addresses of four parts, and one server for callers of both families.

python ipv6.py [HOST [PORT]]
"""

import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "::1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)

if not socket.has_ipv6:
    sys.exit("this Python has no IPv6")
try:
    listener = socket.create_server((HOST, PORT), family=socket.AF_INET6)
except (OSError, OverflowError) as error:
    sys.exit(f"no IPv6 here, or not this address: {error}")
with listener:
    print("address, port, flow, scope:", listener.getsockname())
    with socket.create_connection((HOST, listener.getsockname()[1])) as caller:
        listener.accept()[0].close()
        print("connected by", caller.family.name)

if socket.has_dualstack_ipv6():
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both,
        socket.create_connection(("127.0.0.1", both.getsockname()[1])),
    ):
        conn, address = both.accept()
        conn.close()
        print("a caller by IPv4 is shown as", address[0])
