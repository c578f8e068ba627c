"""Chinese both ways, server: greets back whoever tells a name, in UTF-8.

    python hello_server.py [HOST [PORT]]       stop it with Ctrl-C

One line is one message, so that no character is cut: makefile() collects bytes until the line is whole.
Leaves out: names without end (lesson 06 bounds what is collected).
"""

import contextlib
import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_server((HOST, PORT)) as listener:
        print("listening on port", listener.getsockname()[1])
        while True:
            conn, _ = listener.accept()
            with conn, conn.makefile("rb") as lines, contextlib.suppress(OSError):
                for line in lines:
                    try:
                        name = line.decode("utf-8").rstrip("\n")
                    except UnicodeDecodeError:
                        conn.sendall("这不是 UTF-8\n".encode())
                        continue
                    print("heard", name)
                    said = f"你好，{name}！你的名字有 {len(name)} 个字、{len(line) - 1} 个字节\n"
                    conn.sendall(said.encode())
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
