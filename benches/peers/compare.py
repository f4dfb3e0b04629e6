"""Measures assay's CPU kernels and their peers in turns, in one run, on the same threads.

Every contender is a process of its own that holds its arrays and launches when told. Only the one whose turn it is runs; the
others are stopped, so that no library's waiting threads disturb. A turn begins with a launch that is not counted. The order of
turns rotates. A ratio is the peer's time over assay's in the same round: above 1 assay is faster. Both wall time and the CPU
time of the process are compared, since others may use the machine: a stolen core shows in the first and not in the second.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys


class Contender:
    def __init__(self, name, command, environment):
        self.name = name
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=os.environ | environment, **pipes)
        if self.process.stdout.readline().strip() != "ready":
            sys.exit(f"{name} did not start: {command}")
        self.process.send_signal(signal.SIGSTOP)

    def cpu_seconds(self):
        """Of all threads, to the nanosecond; the threads sleep when it is read."""
        folder = f"/proc/{self.process.pid}/task"
        total = 0
        for thread in os.listdir(folder):
            with open(f"{folder}/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def launch(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def turn(self, count):
        self.process.send_signal(signal.SIGCONT)
        self.launch(1)
        before = self.cpu_seconds()
        wall = self.launch(count)
        cpu = self.cpu_seconds() - before
        self.process.send_signal(signal.SIGSTOP)
        return wall / count, cpu / count

    def end(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()


def spread(values):
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def compare(workload, unit, work, ours, peers, rounds, seconds):
    """All contenders in turns; one row a peer."""
    contenders = [ours, *peers]
    count = max(1, round(seconds / max(ours.turn(1)[0], 1e-9)))
    times = {contender.name: [] for contender in contenders}
    for index in range(rounds):
        shift = index % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            times[contender.name].append(contender.turn(count))
    for contender in contenders:
        contender.end()
    rows = []
    for contender in contenders:
        theirs, own = times[contender.name], times[ours.name]
        row = {"workload": workload, "peer": contender.name, "unit": unit, "pairs": rounds, "launches": count}
        for index, clock in enumerate(("wall", "cpu")):
            row[f"rate_{clock}"] = spread([work / time[index] / 1e9 for time in theirs])
            row[f"ratio_{clock}"] = spread([time[index] / mine[index] for time, mine in zip(theirs, own)])
        rows.append(row)
        show(row)
    return rows


def show(row):
    def cell(name, digits):
        return "{median:8.{d}f} [{low:.{d}f}, {high:.{d}f}]".format(d=digits, **row[name])

    print(f"{row['workload']:<40}{row['peer']:<24}{cell('rate_wall', 1):<26}{cell('rate_cpu', 1):<26}"
          f"{cell('ratio_wall', 3):<26}{cell('ratio_cpu', 3)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assay", required=True, help="the built cpu_peer")
    parser.add_argument("--stream", required=True, help="the built stream.c")
    parser.add_argument("--python", required=True, help="a Python that has numpy")
    parser.add_argument("--threads", required=True, type=int, help="threads of every contender: one a physical core")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a turn")
    parser.add_argument("--only", default="", help="workloads whose name holds this")
    parser.add_argument("--json", help="a file for the rows")
    options = parser.parse_args()
    threads = str(options.threads)
    blas = {"OPENBLAS_NUM_THREADS": threads}
    openmp = {"OMP_NUM_THREADS": threads, "OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}
    footprint = 256 << 20
    here = os.path.dirname(os.path.abspath(__file__))
    print(f"{threads} threads each; ratio = the peer's time over assay's in the same round, above 1 assay is faster")
    heads = ("rate, G/s of wall", "rate, G/s of CPU time", "ratio by wall", "ratio by CPU time")
    print(f"{'workload':<40}{'contender':<24}" + "".join(f"{head:<26}" for head in heads))
    rows = []
    workload = "stream/fp64/triad/256MiB"
    if options.only in workload:
        ours = Contender("assay", [options.assay, workload, str(footprint)], {})
        slow = Contender("assay, slow twin", [options.assay, workload, str(footprint), "slow"], {})
        kinds = [(how, pages) for how in ("plain", "streaming") for pages in ("small", "huge")]
        peers = [Contender(f"C {how}, {pages} pages", [options.stream, how, pages, str(footprint // 8)], openmp) for how, pages in kinds]
        rows += compare(workload, "B/s", 3 * footprint, ours, [slow, *peers], options.rounds, options.seconds)
    for dtype in ("fp32", "fp64"):
        for n in (1024, 2048, 4096):
            workload = f"matmul/{dtype}.{dtype}.{dtype}/{n}x{n}x{n}"
            if options.only in workload:
                ours = Contender("assay", [options.assay, workload, str(footprint)], {})
                numpy = Contender("numpy (OpenBLAS)", [options.python, f"{here}/matmul.py", dtype, str(n)], blas)
                rows += compare(workload, "FLOP/s", 2 * n**3, ours, [numpy], options.rounds, options.seconds)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
