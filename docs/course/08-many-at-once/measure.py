"""Measures the servers of this lesson against each other: the same callers for each, on this machine.

    python measure.py [--clients 1,10,100] [--calls 4000] [--rounds 5] [--plot FILE]

Prints on what it was measured, then a table and bars of text: of each number the best of the rounds, the one that was
disturbed least. With --plot it writes a picture (.svg, .png), for which it needs matplotlib (`pip install matplotlib`,
or the extra `bench` of ftpsvc); without matplotlib there are the bars.
"""

import argparse
import os
import platform
import re
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
            due = [each, 0]  # answers, and bytes of the one that is on its way
            selector.register(sock, selectors.EVENT_READ, due)
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


def machine():
    """What was measured on, and when: without that a number means nothing."""
    file = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)", file.read_text(), re.MULTILINE) if file.exists() else []
    processor = names[0] if names else platform.processor() or platform.machine()
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} x {processor}, {system}, Python {platform.python_version()}"


def picture(results, clients, file, title):
    try:
        import matplotlib
    except ImportError:
        print("no matplotlib here, so no picture; the bars above say the same")
        return
    matplotlib.use("agg")
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for number, (name, rates) in enumerate(results.items()):
        axes.bar([x + number * 0.15 for x in range(len(clients))], rates, width=0.14, label=name)
    axes.set_xticks([x + 0.3 for x in range(len(clients))], [f"{count} callers" for count in clients])
    axes.set_ylabel("answers per second")
    axes.set_title(title, fontsize=8)
    axes.legend()
    figure.savefig(file)
    print("written:", file)


def count(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--clients", default=[1, 10, 100], type=lambda text: [count(word) for word in text.split(",")]
    )
    parser.add_argument("--calls", type=count, default=4000)
    parser.add_argument("--rounds", type=count, default=5)
    parser.add_argument("--plot")
    given = parser.parse_args()
    clients = given.clients
    title = f"{machine()}, best of {given.rounds}"
    print(title)
    results = {}
    for _ in range(given.rounds):  # in turns, so that what disturbs the machine for a while disturbs all
        for name in SERVERS:
            if (started := start(name)) is None:
                continue
            process, port = started
            try:
                rates = [calls_per_second(port, callers, given.calls) for callers in clients]
            finally:
                stop(process)
            results[name] = list(map(max, rates, results.get(name, rates)))
    for name in set(SERVERS) - set(results):
        print(f"{name:14} is not on this system")
    most = max(max(rates) for rates in results.values())
    for name, rates in results.items():
        for callers, rate in zip(clients, rates, strict=True):
            print(f"{name:14}{callers:5} callers {rate:8.0f}/s {'#' * max(1, round(30 * rate / most))}")
    if given.plot:
        picture(results, clients, given.plot, title)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
    except OSError as error:  # more callers than descriptors, or no place for the picture
        sys.exit(f"{type(error).__name__}: {error}")
