"""A laboratory of two NATed networks on one Linux machine, in network namespaces: what reaches whom.

    python lab.py          as root, or as whoever may make namespaces; needs iproute2, unshare, and nft or iptables

                        "the Internet" 203.0.113.0/24
      alice -- router A -- .1 ----+---- .2 -- router B -- bob
    192.168.1.10   NAT            |            NAT   192.168.1.10
                             server .80

It moves into namespaces of its own first, so that nothing of it is seen outside, and all of it is gone when it ends,
even by kill -9. Ends with exit code 77 where it is not permitted; without nft and iptables it gets as far as NAT.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ANSWER = """
import socket, sys
with socket.create_server(("0.0.0.0", int(sys.argv[1]))) as listener:
    print("listening", flush=True)
    while True:
        conn, address = listener.accept()
        with conn:
            conn.sendall(address[0].encode())
"""
ASK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])) as sock:
        print("seen as", sock.recv(100).decode())
except OSError as error:
    print("no:", type(error).__name__)
"""


class NotPermitted(Exception):
    pass


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotPermitted(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


def inside(name, *command):
    return ["ip", "netns", "exec", name, *command]


def python(name, *arguments):
    return run(*inside(name, sys.executable, "-c", *map(str, arguments)))


def link(one, its_address, other, others_address):
    """A cable: a pair of veth whose ends lie in two namespaces. An end without an address belongs to the switch."""
    run("ip", "-n", one, "link", "add", f"to-{other}", "type", "veth", "peer", "name", f"to-{one}",
        "netns", other)  # fmt: skip
    for name, peer, address in (one, other, its_address), (other, one, others_address):
        if address:
            run("ip", "-n", name, "address", "add", address, "dev", f"to-{peer}")
        else:
            run("ip", "-n", name, "link", "set", f"to-{peer}", "master", "bridge")
        run("ip", "-n", name, "link", "set", f"to-{peer}", "up")


def translate(router):
    """NAT: what leaves by the outer side gets the router's address."""
    if not any(map(shutil.which, ("nft", "iptables"))):
        raise NotPermitted("NAT needs nftables (nft) or iptables")
    if shutil.which("nft"):
        run(*inside(router, "nft", "add table ip nat"))
        run(*inside(router, "nft", "add chain ip nat out { type nat hook postrouting priority 100 ; }"))
        run(*inside(router, "nft", "add chain ip nat in { type nat hook prerouting priority -100 ; }"))
        run(*inside(router, "nft", "add rule ip nat out oifname to-internet masquerade"))
    else:
        run(
            *inside(
                router, "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "to-internet", "-j", "MASQUERADE"
            )
        )


def forward(router, port, to):
    """Port forwarding: what comes to this port of the router from outside goes on to a machine inside."""
    if shutil.which("nft"):
        rule = f"add rule ip nat in iifname to-internet tcp dport {port} dnat to {to}:{port}"
        run(*inside(router, "nft", rule))
    else:
        run(*inside(router, "iptables", "-t", "nat", "-A", "PREROUTING", "-i", "to-internet", "-p", "tcp",
                    "--dport", str(port), "-j", "DNAT", "--to-destination", f"{to}:{port}"))  # fmt: skip


def build():
    for name in ("internet", "server", "router-a", "router-b", "alice", "bob"):
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "-n", "internet", "link", "add", "name", "bridge", "type", "bridge")
    run("ip", "-n", "internet", "link", "set", "bridge", "up")
    link("server", "203.0.113.80/24", "internet", None)
    for router, host, outside in ("router-a", "alice", 1), ("router-b", "bob", 2):
        link(router, f"203.0.113.{outside}/24", "internet", None)
        link(host, "192.168.1.10/24", router, "192.168.1.1/24")
        run("ip", "-n", host, "route", "add", "default", "via", "192.168.1.1")
        run(*inside(router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"))


def answering(stack, name, port):
    # A process group of its own: Ctrl-C is for this program, which then ends them.
    command = inside(name, sys.executable, "-c", ANSWER, str(port))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)
    stack.callback(process.stdout.close)
    stack.callback(process.wait)
    stack.callback(process.kill)
    process.stdout.readline()


def ask(who, address, port, seconds=20):
    return python(who, ASK, address, port, seconds)


def transfer(folder):
    """A file from Alice to Bob, through both routers, by the port that router B forwards."""
    content, copy = Path(folder, "content"), Path(folder, "copy")
    content.write_bytes(os.urandom(1 << 20) * 5)
    command = inside("bob", sys.executable, str(HERE / "receive_file.py"), "", "9021", str(copy))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        try:
            receiver.stdout.readline()
            told = run(
                *inside(
                    "alice", sys.executable, str(HERE / "send_file.py"), "203.0.113.2", "9021", str(content)
                )
            )
            seen = receiver.stdout.readline().split()
        finally:
            receiver.kill()
    whole = hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(content.read_bytes()).digest()
    return f"{told.splitlines()[0]}; Bob: from {seen[1]}, {seen[2]} bytes, {'whole' if whole else 'DAMAGED'}"


def move_in():
    """Runs this program again with mounts, network and processes of its own; they end with its first process."""
    flags = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        flags.append("--map-root-user")  # root in there only, which many systems permit to everybody
    if subprocess.run(["unshare", *flags, "true"], capture_output=True, check=False).returncode:
        raise NotPermitted("namespaces are for root")
    os.execvpe("unshare", ["unshare", *flags, *sys.orig_argv], os.environ | {"LAB": "inside"})  # noqa: S606


def main():
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir="/run"))
        build()
        for name in ("server", "bob", "alice"):
            answering(stack, name, 8088)
        print("before NAT:", flush=True)
        print("  Alice -> server          ", ask("alice", "203.0.113.80", 8088, 1))
        for router in ("router-a", "router-b"):
            translate(router)
        print("with NAT:")
        print("  Alice -> server          ", ask("alice", "203.0.113.80", 8088))
        print("  Bob -> server            ", ask("bob", "203.0.113.80", 8088))
        print("  Alice -> 192.168.1.10    ", ask("alice", "192.168.1.10", 8088), "(that is herself)")
        print("  server -> 192.168.1.10   ", ask("server", "192.168.1.10", 8088))
        print("  Alice -> router B        ", ask("alice", "203.0.113.2", 8088))
        for port in (8088, 9021):
            forward("router-b", port, "192.168.1.10")
        print("with ports 8088 and 9021 of router B forwarded to Bob:")
        print("  Alice -> router B        ", ask("alice", "203.0.113.2", 8088))
        print("  server -> router B       ", ask("server", "203.0.113.2", 8088))
        print("  a file, Alice -> Bob:    ", transfer(folder))


if __name__ == "__main__":
    if not all(map(shutil.which, ("ip", "unshare"))):
        print("not possible here: it needs Linux with iproute2 (ip) and util-linux (unshare)")
        sys.exit(77)
    try:
        # Inside it is the first process of all. The variable alone, left over in some shell, proves nothing.
        if os.environ.get("LAB") != "inside" or os.getpid() != 1:
            move_in()
        # Where ip keeps the names of namespaces: ours alone, as the rest.
        run("mount", "-t", "tmpfs", "lab", "/run")
        main()
    except KeyboardInterrupt:
        print("stopped")
    except NotPermitted as error:
        print("not permitted here:", error)
        sys.exit(77)
