"""Which system calls a program may make: a list of those, as BPF. What is not on it fails, what no 64-bit program makes kills.

Two filters. The first asks the zygote before each thread and each new file, which counts them: process limits bind no root, and a
quota on the number of files needs a file system of one's own. The second decides all else by number and arguments.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from core.jail import bpf, kernel
from core.jail.bpf import Line, Test

PLAIN = """
read write readv writev pread64 pwrite64 preadv pwritev lseek close close_range dup dup2 dup3 pipe pipe2
stat fstat lstat newfstatat statx access faccessat faccessat2 statfs fstatfs getdents64 getcwd chdir fchdir umask
mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 symlink symlinkat ftruncate fallocate fsync fdatasync flock
copy_file_range sendfile fadvise64 poll ppoll select pselect6
epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2
mmap mprotect munmap mremap madvise brk msync
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack signalfd4
pause alarm getitimer setitimer timer_create timer_settime timer_gettime timer_getoverrun timer_delete
timerfd_create timerfd_settime timerfd_gettime nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time
times getrusage getpid gettid getppid getpgrp getpgid getsid getuid geteuid getgid getegid getresuid getresgid getgroups
getrlimit getpriority sched_yield sched_getaffinity sched_getscheduler sched_getparam
sched_get_priority_max sched_get_priority_min getcpu uname sysinfo getrandom
futex set_robust_list set_tid_address rseq restart_syscall wait4 waitid exit exit_group
recvfrom shutdown getsockopt setsockopt getsockname getpeername
"""
PRETENDED = "chmod fchmod fchmodat chown fchown lchown fchownat utime utimes utimensat futimesat"
"""Landlock does not bind these, and copying a file must not fail for their sake: they succeed and do nothing."""
PRIVATE = ("readlink", "readlinkat")
"""Landlock does not bind these either: a link's target may be a secret."""

CLONE_THREAD, CLONE_NEW = 0x0001_0000, 0x7E02_0000
O_ACCMODE, O_CREAT, O_TRUNC, O_TMPFILE = 0o3, 0o100, 0o1000, 0o20000000
AF_UNIX, SOCK_STREAM = 1, 1
DESCRIPTOR_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 1030, 1032)
"""F_DUPFD to F_SETLKW, F_DUPFD_CLOEXEC, F_GETPIPE_SZ; not F_SETOWN (signals to others) nor F_SETPIPE_SZ (kernel memory)."""
TERMINAL_COMMANDS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
NEWEST = 450
"""Calls beyond are new to this list: the C library is told that they do not exist, and does without."""
SECCOMP_SET_MODE_FILTER, NEW_LISTENER = 1, 8
X32 = 0x4000_0000


def may(name: str, *tests: Test, action: int = bpf.ALLOW) -> list[Line]:
    """One line, or none where this machine lacks the call."""
    found = kernel.number(name)
    return [] if found is None else [Line(found, action, tests)]


def refuse(code: int) -> int:
    """The call fails with this error."""
    return bpf.ERRNO | code


def allowed(process: int, *, counted: bool) -> list[bpf.Instruction]:
    """The second filter, for the process of this number. Without a first one, nothing that it would count is allowed."""
    lines: list[Line] = []
    for name, flags in (("openat", 2), ("open", 1)):
        # read-only opening that truncates passes Landlock before its third version
        lines += may(name, Test(flags, (O_TRUNC,), mask=O_TRUNC | O_ACCMODE), action=refuse(errno.EACCES))
        if counted:
            lines += may(name)
        else:
            lines += may(name, Test(flags, (0,), mask=O_CREAT | O_TMPFILE)) + may(name, action=refuse(errno.EACCES))
    lines += [line for name in PLAIN.split() if counted or name not in CREATING for line in may(name)]
    lines += [line for name in PRETENDED.split() for line in may(name, action=refuse(0))]
    lines += [line for name in PRIVATE for line in may(name, action=refuse(errno.EACCES))]
    if counted:
        lines += may("clone", Test(0, (CLONE_THREAD,), mask=CLONE_THREAD | CLONE_NEW))
    lines += may("clone3", action=refuse(errno.ENOSYS)) + may("openat2", action=refuse(errno.ENOSYS))
    lines += may("kill", Test(0, (process,))) + may("tgkill", Test(0, (process,)))
    lines += may("prlimit64", Test(0, (0, process)))
    lines += may("prctl", Test(0, (kernel.PR_SET_NAME, kernel.PR_GET_NAME)))
    lines += may("fcntl", Test(1, DESCRIPTOR_COMMANDS))
    lines += may("ioctl", Test(1, TERMINAL_COMMANDS)) + may("ioctl", action=refuse(errno.ENOTTY))
    lines += may("socketpair", Test(0, (AF_UNIX,)), Test(1, (SOCK_STREAM,), mask=0xF))
    lines += may("sendto", Test(4, (0,)), Test(4, (0,), high=True))
    otherwise = [
        bpf.above(X32 - 1, 0, 1),
        bpf.give(bpf.KILL),
        bpf.above(NEWEST, 0, 1),
        bpf.give(refuse(errno.ENOSYS)),
        bpf.give(refuse(errno.EPERM)),
    ]
    head = [
        bpf.load(bpf.ARCHITECTURE_AT),
        bpf.equal(kernel.AUDITED_AS[kernel.machine()], 1, 0),
        bpf.give(bpf.KILL),
        bpf.load(bpf.NUMBER_AT),
    ]
    return [*head, *bpf.assemble(lines, otherwise)]


CREATING = ("mkdir", "mkdirat", "symlink", "symlinkat")


def asked() -> list[bpf.Instruction]:
    """The first filter."""
    lines = may("clone", action=bpf.ASK)
    for name, flags in (("openat", 2), ("open", 1)):
        for bit in (O_CREAT, O_TMPFILE):
            lines += may(name, Test(flags, (bit,), mask=bit), action=bpf.ASK)
    lines += [line for name in CREATING for line in may(name, action=bpf.ASK)]
    return [bpf.load(bpf.NUMBER_AT), *bpf.assemble(lines, [bpf.give(bpf.ALLOW)])]


def install(program: list[bpf.Instruction], *, listen: bool = False) -> int:
    """From here on for this process; with `listen`, the descriptor on which the kernel asks. Needs no_new_privs."""
    code = bpf.packed(program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    return kernel.call("seccomp", SECCOMP_SET_MODE_FILTER, NEW_LISTENER if listen else 0, header)
