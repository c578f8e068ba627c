"""A caller of both hotlines: shows what the robot says, sends what you type.

python caller.py [HOST [PORT]]
"""

import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_connection((HOST, PORT)) as sock, sock.makefile("r", encoding="utf-8") as robot:
        print(robot.readline(), end="")
        for line in sys.stdin:
            try:
                sock.sendall(line.encode())
                answer = robot.readline()
            except ConnectionError:  # what is said to a robot that has hung up is answered by a reset
                break
            if not answer:
                break
            print(answer, end="")
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError, UnicodeError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
