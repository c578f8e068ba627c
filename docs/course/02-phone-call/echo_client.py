"""A client of the echo servers: sends each line that you type, shows what comes back.

    python echo_client.py [HOST [PORT]]       an empty line is asked for again; Ctrl-D (Windows: Ctrl-Z) hangs up

Leaves out: answers of more than 1024 bytes, which need more than one recv (lesson 06).
"""

import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_connection((HOST, PORT)) as sock:
        for line in sys.stdin:
            text = line.strip()
            if not text:  # an empty send would send nothing, and both sides would wait for ever
                print("say something")
                continue
            sock.sendall(text.encode())
            data = sock.recv(1024)
            if not data:
                print("the server has hung up")
                break
            print(data.decode(errors="replace"))  # a long answer may end inside a character: lesson 03
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError, UnicodeError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
