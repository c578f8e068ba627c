"""Chinese both ways, client: sends each line that you type, shows the answer.

python hello_client.py [HOST [PORT [ENCODING]]]       ENCODING is utf-8; try gbk
"""

import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
    ENCODING = sys.argv[3] if len(sys.argv) > 3 else "utf-8"
    "is it one?".encode(ENCODING)
except (ValueError, LookupError):
    sys.exit(__doc__)

try:
    with socket.create_connection((HOST, PORT)) as sock, sock.makefile("r", encoding="utf-8") as answers:
        for line in sys.stdin:
            try:
                data = (line.rstrip("\n") + "\n").encode(ENCODING)
            except UnicodeEncodeError as error:
                print(error)
                continue
            sock.sendall(data)
            answer = answers.readline()
            if not answer:
                print("the server has hung up")
                break
            print(answer.rstrip("\n"))
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError, UnicodeError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
