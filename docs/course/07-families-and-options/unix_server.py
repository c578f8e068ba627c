"""AF_UNIX: a server whose address is a name in the file system.

python unix_server.py [PATH]       stop it with Ctrl-C; Linux and macOS
"""

import contextlib
import os
import socket
import stat
import sys

PATH = sys.argv[1] if len(sys.argv) > 1 else "lesson07.sock"

if os.path.exists(PATH) and stat.S_ISSOCK(os.stat(PATH).st_mode):
    # Left over: closing does not remove the name. A real server first asks whether somebody answers.
    os.unlink(PATH)
try:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(PATH)
        os.chmod(PATH, 0o600)  # who may call is a question of file permissions
        listener.listen()
        print("listening on", listener.getsockname())
        while True:
            conn, address = listener.accept()
            with conn:
                print("a call from", repr(address))  # a caller has no name of its own
                with contextlib.suppress(OSError):
                    while data := conn.recv(1024):
                        conn.sendall(data.upper())
except KeyboardInterrupt:
    print("stopped")
except OSError as error:  # the name is taken, by a file or by a path that is too long
    sys.exit(f"{type(error).__name__}: {error}")
