"""Chinese both ways, client: sends each line that you type, shows the answer.

python hello_client.py [HOST [PORT [ENCODING]]]       ENCODING is utf-8; try gbk
"""

import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
    ENCODING = sys.argv[3] if len(sys.argv) > 3 else "utf-8"
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_connection((HOST, PORT)) as sock, sock.makefile("r", encoding="utf-8") as answers:
        for line in sys.stdin:
            sock.sendall((line.rstrip("\n") + "\n").encode(ENCODING))
            print(answers.readline().rstrip("\n"))
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
