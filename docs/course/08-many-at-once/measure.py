"""Measures the servers of this lesson against each other: the same callers for each, on this machine.

    python measure.py [--clients 1,10,100] [--calls 4000] [--plot FILE]

Prints a table and bars of text. With --plot it writes a picture (.svg, .png), for which it needs matplotlib
(`pip install matplotlib`, or the extra `bench` of ftpsvc); without matplotlib there are the bars.
"""

import argparse
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path

SERVERS = ["threads", "socketserver", "pool", "selectors", "epoll"]
LINE = b"x" * 63 + b"\n"


def start(name):
    """Starts a server on a free port; the process and the port, or None where the system lacks what it needs."""
    command = [sys.executable, "-u", str(Path(__file__).with_name(f"{name}_server.py")), "127.0.0.1", "0"]
    command += ["16", "1000"] if name == "pool" else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    if not line:
        stop(process)
        return None
    return process, int(line.rsplit(maxsplit=1)[1])


def stop(process):
    process.kill()
    process.wait()
    process.stdout.close()


def calls_per_second(port, clients, calls):
    """Opens `clients` connections; each sends a line when it has the answer to the one before."""
    each = max(1, calls // clients)
    with selectors.DefaultSelector() as selector:
        for _ in range(clients):
            sock = socket.create_connection(("127.0.0.1", port), 60)
            selector.register(
                sock, selectors.EVENT_READ, [each, 0]
            )  # answers that are due, bytes of this one
        started = time.perf_counter()
        for key in list(selector.get_map().values()):
            key.fileobj.sendall(LINE)
        while selector.get_map():
            for key, _ in selector.select():
                state = key.data
                state[1] += len(key.fileobj.recv(len(LINE) - state[1])) or sys.exit("a server has hung up")
                if state[1] < len(LINE):
                    continue
                state[0], state[1] = state[0] - 1, 0
                if state[0]:
                    key.fileobj.sendall(LINE)
                else:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
        return each * clients / (time.perf_counter() - started)


def picture(results, clients, file):
    try:
        import matplotlib
    except ImportError:
        print("no matplotlib here, so no picture; the bars above say the same")
        return
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for number, (name, rates) in enumerate(results.items()):
        axes.bar([x + number * 0.15 for x in range(len(clients))], rates, width=0.14, label=name)
    axes.set_xticks([x + 0.3 for x in range(len(clients))], [f"{count} callers" for count in clients])
    axes.set_ylabel("answers per second")
    axes.legend()
    figure.savefig(file)
    print("written:", file)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", default="1,10,100")
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--plot")
    given = parser.parse_args()
    clients = [int(word) for word in given.clients.split(",")]
    results = {}
    for name in SERVERS:
        if (started := start(name)) is None:
            print(f"{name:14} is not on this system")
            continue
        process, port = started
        try:
            results[name] = [calls_per_second(port, count, given.calls) for count in clients]
        finally:
            stop(process)
    most = max(max(rates) for rates in results.values())
    for name, rates in results.items():
        for count, rate in zip(clients, rates, strict=True):
            print(f"{name:14}{count:5} callers {rate:8.0f}/s {'#' * max(1, round(30 * rate / most))}")
    if given.plot:
        picture(results, clients, given.plot)


if __name__ == "__main__":
    main()
