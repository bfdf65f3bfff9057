#!/usr/bin/python3
"""Run in the daemon's place, under its unit: tries what the sandbox should refuse and what it must allow, prints JSON."""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import platform
import resource
import socket
import sys
from pathlib import Path
from typing import Any, Callable

LIBC = ctypes.CDLL(None, use_errno=True)
STATE = Path(os.environ.get("STATE_DIRECTORY", "/nowhere"))
CREDENTIALS = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere"))
SHARED, LEFT_BEHIND = Path("/dev/shm"), "left-behind"  # what RemoveIPC has to remove
CLONE_NEWUSER, CLONE_NEWNET, PR_CAPBSET_READ = 0x10000000, 0x40000000, 23
SYSCALLS = {"x86_64": {"keyctl": 250, "bpf": 321, "perf_event_open": 298, "init_module": 175, "ptrace": 101, "settimeofday": 164,
                       "reboot": 169, "swapon": 167, "syslog": 103, "ioperm": 173, "uselib": 134, "setpriority": 141},
            "aarch64": {"keyctl": 219, "bpf": 280, "perf_event_open": 241, "init_module": 105, "ptrace": 117, "settimeofday": 170,
                        "reboot": 142, "swapon": 224, "syslog": 116, "setpriority": 140}}[platform.machine()]


def checked(result: int) -> int:
    if result == -1:
        raise OSError(ctypes.get_errno(), "")
    return result


def syscall(name: str, *args: Any) -> None:
    checked(LIBC.syscall(SYSCALLS[name], *args))


def map_memory(protection: int) -> None:
    mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=protection).close()


def run_file(path: Path) -> None:
    path.write_bytes(Path("/bin/true").read_bytes())
    path.chmod(0o755)
    child = os.posix_spawn(str(path), [str(path)], {})
    os.waitpid(child, 0)


def make_setuid() -> None:
    file = STATE / "setuid"
    file.write_text("")
    os.chmod(file, 0o4755)


def make_ipc() -> None:
    checked(LIBC.shmget(0, 4096, 0o1000 | 0o600))


def read(path: str) -> Callable[[], Any]:
    return lambda: os.listdir(path) if os.path.isdir(path) else Path(path).read_bytes()


def write(path: str) -> Callable[[], Any]:
    return lambda: os.close(os.open(path, os.O_WRONLY | (os.O_CREAT if not path.startswith(("/proc", "/dev")) else 0), 0o600))


def other_calling_convention() -> None:
    """A call of x86-64's 32-bit twin (x32): the kernel does not have it, or it is not filtered; to be refused by death."""
    if platform.machine() != "x86_64":
        raise PermissionError(errno.EPERM, "")  # there is no other way into this kernel
    child = os.fork()
    if child == 0:
        LIBC.syscall(0x40000000 | 39)
        os._exit(0)
    _deny_if(not os.WIFSIGNALED(os.waitpid(child, 0)[1]))


def harmless_but_filtered() -> None:
    os.setpriority(os.PRIO_PROCESS, 0, 19)  # any process may be that nice, however nice it is already


# By directive: what it has to refuse.
REFUSED: dict[str, dict[str, Callable[[], Any]]] = {
    "CapabilityBoundingSet": {"chown a file to root": lambda: os.chown(STATE, 0, 0),
                              "have a capability": lambda: _deny_if(any(checked(LIBC.prctl(PR_CAPBSET_READ, n)) for n in range(38)))},
    "AmbientCapabilities": {"an ambient capability": lambda: _deny_if(_status("CapAmb").strip("0") != "")},
    "NoNewPrivileges": {"gain privileges by exec": lambda: _deny_if(_status("NoNewPrivs") != "1")},
    "ProtectSystem": {"write /etc": write("/etc/probe"), "write /usr": write("/usr/probe"), "write /var": write("/var/probe"),
                      "write another's state": write("/var/lib/probe")},
    "ProtectHome": {"read /home": read("/home/secret"), "read /root": read("/root"), "write /home": write("/home/probe")},
    "PrivateTmp": {"see the machine's /tmp": read("/tmp/of-the-machine"), "see its /var/tmp": read("/var/tmp/of-the-machine")},
    "PrivateDevices": {"read memory": read("/dev/mem"), "make a device": lambda: os.mknod(STATE / "device", 0o20600, os.makedev(1, 1))},
    "PrivateUsers": {"see who owns another's file": lambda: _deny_if(os.stat("/srv/of-another").st_uid != 65534)},
    "PrivateIPC": {"see the machine's shared memory": lambda: _deny_if(len(Path("/proc/sysvipc/shm").read_text().splitlines()) > 1)},
    "ProtectClock": {"set the clock": lambda: syscall("settimeofday", None, None)},
    "ProtectControlGroups": {"write a control group": write("/sys/fs/cgroup/cgroup.procs")},
    "ProtectHostname": {"set the host name": lambda: checked(LIBC.sethostname(b"probe", 5))},
    "ProtectKernelLogs": {"read the kernel's log": lambda: syscall("syslog", 3, None, 0), "open it": read("/dev/kmsg")},
    "ProtectKernelModules": {"load a module": lambda: syscall("init_module", None, 0, None), "list them": read("/usr/lib/modules")},
    "ProtectKernelTunables": {"write /proc/sys": write("/proc/sys/kernel/domainname"), "write /sys": write("/sys/probe")},
    "ProtectProc": {"see PID 1": read("/proc/1/status")},
    "NoExecPaths": {"run a file of the state directory": lambda: run_file(STATE / "true"),
                    "run a file of /tmp": lambda: run_file(Path("/tmp/true")),
                    "run a file of /dev/shm": lambda: run_file(Path("/dev/shm/true"))},
    "RestrictAddressFamilies": {"a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
                                "a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
                                "a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
                                "a vsock socket": lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)},
    "RestrictNamespaces": {"a user namespace": lambda: checked(LIBC.unshare(CLONE_NEWUSER)),
                           "a network namespace": lambda: checked(LIBC.unshare(CLONE_NEWNET))},
    "RestrictRealtime": {"real-time scheduling": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))},
    "RestrictSUIDSGID": {"a set-user-id file": make_setuid},
    "LockPersonality": {"another personality": lambda: checked(LIBC.personality(0x0020000))},
    "MemoryDenyWriteExecute": {"memory to write and run": lambda: map_memory(mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)},
    "KeyringMode": {"the kernel's keyring": lambda: syscall("keyctl", 0, -3, 1)},
    "DevicePolicy": {"read a terminal": read("/dev/console")},
    "SystemCallArchitectures": {"another calling convention": other_calling_convention},
    # "trace" comes behind all that has children: where it is let through, the signal of a child's end stops this process for good.
    "SystemCallFilter": {"mount": lambda: checked(LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
                         "trace": lambda: syscall("ptrace", 0, 0, None, None), "bpf": lambda: syscall("bpf", 0, None, 0),
                         "reboot": lambda: syscall("reboot", 0, 0, 0, None), "swap": lambda: syscall("swapon", None, 0),
                         "perf": lambda: syscall("perf_event_open", None, 0, -1, -1, 0), "chroot": lambda: os.chroot("/"),
                         "another priority": harmless_but_filtered},
    "SystemCallErrorNumber": {"answer otherwise than by EPERM": lambda: _deny_if(attempt(harmless_but_filtered) != "EPERM")},
    "LimitCORE": {"dump core": lambda: _deny_if(resource.getrlimit(resource.RLIMIT_CORE) != (0, 0))},
    "DynamicUser": {"be root": lambda: _deny_if(os.getuid() == 0), "read the key on disk": read("/etc/klv-jobwatch/api-key"),
                    "read another's state": read("/var/lib/private/another/secret"), "read passwords": read("/etc/shadow")},
    "UMask": {"a file for all": lambda: _deny_if(_mode_of_new_file() != 0o600)},
    "StateDirectoryMode": {"a state directory for all": lambda: _deny_if(os.stat(STATE).st_mode & 0o777 != 0o700)},
    "LoadCredential": {"change the key": write(str(CREDENTIALS / "api-key"))},
}

# What it must leave.
ALLOWED: dict[str, Callable[[], Any]] = {
    "share memory": lambda: (SHARED / LEFT_BEHIND).write_text("x"),
    "write the state": lambda: (STATE / "probe").write_text("x"),
    "read the key": lambda: (CREDENTIALS / "api-key").read_text(),
    "read certificates": lambda: os.listdir("/etc/ssl/certs"),
    "an IPv4 socket": lambda: socket.socket(socket.AF_INET).close(),
    "an IPv6 socket": lambda: socket.socket(socket.AF_INET6).close(),
    "the journal": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect("/run/systemd/journal/socket"),
    "the boot's id": lambda: Path("/proc/sys/kernel/random/boot_id").read_text(),
    "a private file in /tmp": lambda: Path("/tmp/probe").write_text("x"),
}


def _deny_if(bad: bool) -> None:
    """A property that is as it should be counts as refused."""
    if not bad:
        raise PermissionError(errno.EPERM, "")


def _status(name: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(name + ":"))


def _mode_of_new_file() -> int:
    file = STATE / "new"
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o666))
    return os.stat(file).st_mode & 0o777


def attempt(action: Callable[[], Any]) -> str:
    """"done", or the error's name."""
    try:
        action()
    except OSError as failed:
        return errno.errorcode.get(failed.errno or 0, str(failed))
    return "done"


def main() -> int:
    refused = {name: {what: attempt(action) for what, action in actions.items()} for name, actions in REFUSED.items()}
    print(json.dumps({"refused": refused, "allowed": {what: attempt(action) for what, action in ALLOWED.items()}}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
