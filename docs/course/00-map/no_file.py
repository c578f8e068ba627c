"""The socket as a file that is no file: a descriptor that can be read and written, but has no place on a disk.

    python no_file.py [HOST [PORT]]

Linux and macOS. On Windows a socket is a handle of another kind, and os.read and os.write do not take it.
"""

import errno
import os
import socket
import stat
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_server((HOST, PORT)) as listener:
        caller = socket.create_connection(listener.getsockname())
        called, _ = listener.accept()
    with caller, called:
        print("it has a descriptor, as a file has:", caller.fileno() > 2)
        os.write(caller.fileno(), b"written with os.write")
        print("and can be read like one:", os.read(called.fileno(), 100))
        print("stat calls it a socket:", stat.S_ISSOCK(os.fstat(caller.fileno()).st_mode))
        try:
            os.lseek(caller.fileno(), 0, os.SEEK_SET)
        except OSError as error:
            print("but nothing can be sought in it:", errno.errorcode[error.errno])
        print("and it has no name on a disk: it ends with its last descriptor")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
