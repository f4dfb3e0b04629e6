"""Compiles CUDA kernels without a GPU and without a CUDA toolkit: NVRTC, ptxas and nvdisasm from pinned wheels, and the rules that hold.

The head of a source may say, a line each:

    // config NAME: MACRO=VALUE ...            a configuration of it, compiled for every architecture
    // config NAME from 80: MACRO=VALUE ...    for these architectures and later ones
    // config NAME for 89 120: MACRO=VALUE ... for these alone
    // for: 90a                                all its configurations for these alone
    // demands: LDG.128 STG.128                instructions that its machine code must hold; LDG.E.EF.128 will do
    // demands from 80: LDGSTS.128             for these architectures and later ones
    // demands: RED|REDG                       one of these
    // demands in VALUE: DMMA                  where a macro has that value
    // demands except VALUE: LDG.128           where none has
"""

import ctypes
import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent / "target" / "kernels-venv"
CACHE = HERE.parent / "target" / "kernels-cache"
WHEELS = {"nvidia-cuda-nvrtc-cu12": "12.9.86", "nvidia-cuda-nvcc-cu12": "12.9.86", "nvidia-cuda-nvdisasm": "13.5.37"}
ARCHITECTURES = ["70", "75", "80", "86", "89", "90a", "100a", "103a", "120"]
BASES = ["70", "80"]
PTX_VERSIONS = ["6.0", "6.3", "6.4", "6.5", "7.0", "7.1", "7.4", "7.8", "8.0", "8.1", "8.4", "8.8"]
NVRTC_OPTIONS = ["--std=c++17"]
PTXAS_OPTIONS = ["-v", "--warn-on-spills", "--warn-on-local-memory-usage", "-Werror"]
CONFIG = re.compile(r"^// config (\w+)(?: from (\d+)| for ([\w ]+))?: (.+)$", re.MULTILINE)
DEMANDS = re.compile(r"^// demands(?: ((?:in|except) \w+))?(?: from (\d+))?: (.+)$", re.MULTILINE)
FOR = re.compile(r"^// for: (.+)$", re.MULTILINE)
INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)


class Refused(Exception):
    """A compiler refused a kernel, or warned about it."""


def site_packages(python):
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())


def has_wheels(site):
    return all((site / f"{name.replace('-', '_')}-{version}.dist-info").is_dir() for name, version in WHEELS.items())


def tools():
    """The folder of the pinned wheels: this Python's, or that of a venv made for them under target/."""
    here = site_packages(sys.executable)
    if has_wheels(here):
        return here
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    if not has_wheels(site_packages(python)):
        pins = [f"{name}=={version}" for name, version in WHEELS.items()]
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins], check=True)
    return site_packages(python)


class Nvrtc:
    """The run-time compiler, as much of it as is needed."""

    def __init__(self, site):
        folder = site / "nvidia" / "cuda_nvrtc" / "lib"
        ctypes.CDLL(str(folder / "libnvrtc-builtins.so.12.9"), mode=ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(str(folder / "libnvrtc.so.12"))

    def ptx(self, name, source, headers, options):
        program = ctypes.c_void_p()
        names = (ctypes.c_char_p * len(headers))(*[header.encode() for header in headers])
        texts = (ctypes.c_char_p * len(headers))(*headers.values())
        self.must(self.library.nvrtcCreateProgram(ctypes.byref(program), source, name.encode(), len(headers), texts, names))
        flags = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        status = self.library.nvrtcCompileProgram(program, len(options), flags)
        log = self.text(program, "ProgramLog")
        said = [line for line in log.splitlines() if line.strip() and "deprecated and may be removed" not in line]
        if status != 0 or said:
            raise Refused(f"{name} {' '.join(options)}: NVRTC said\n{log}")
        ptx = self.text(program, "PTX")
        self.library.nvrtcDestroyProgram(ctypes.byref(program))
        return ptx

    def text(self, program, what):
        size = ctypes.c_size_t()
        self.must(getattr(self.library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
        buffer = ctypes.create_string_buffer(size.value)
        self.must(getattr(self.library, f"nvrtcGet{what}")(program, buffer))
        return buffer.value.decode()

    @staticmethod
    def must(status):
        if status != 0:
            raise Refused(f"NVRTC status {status}")


class Ptxas:
    """The assembler, held to no spills, no stack and no warning."""

    def __init__(self, site, folder):
        self.program = site / "nvidia" / "cuda_nvcc" / "bin" / "ptxas"
        self.folder = folder

    def cubin(self, name, ptx, architecture):
        """The cubin and what ptxas reports of it."""
        source, target = self.folder / f"{name}.ptx", self.folder / f"{name}.cubin"
        source.write_text(ptx)
        command = [self.program, *PTXAS_OPTIONS, f"-arch=sm_{architecture}", source.name, "-o", target.name]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        log = done.stdout + done.stderr
        stack = re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads|lmem)", log)
        if done.returncode != 0 or re.search(r"C75\d\d", log) or any(int(size) for size in stack):
            raise Refused(f"{name}: ptxas said\n{log}")
        shared = re.search(r"(\d+) bytes smem", log)
        usage = {
            "registers": int(re.search(r"Used (\d+) registers", log)[1]),
            "shared_bytes": int(shared[1]) if shared else 0,
            "spill_bytes": sum(int(size) for size in stack),
        }
        return target.read_bytes(), usage

    def lowered(self, name, ptx, architecture):
        """The PTX with the lowest version line that still assembles, and what ptxas reports of it."""
        for version in PTX_VERSIONS:
            older = re.sub(r"^\.version .*$", f".version {version}", ptx, count=1, flags=re.MULTILINE)
            try:
                return older.encode(), self.cubin(name, older, architecture)[1] | {"ptx_version": version}
            except Refused as refusal:
                last = refusal
        raise last


class Disassembler:
    """What instructions a cubin consists of."""

    def __init__(self, site, folder):
        self.program = site / "nvidia" / "cu13" / "bin" / "nvdisasm"
        self.folder = folder

    def mnemonics(self, name, cubin):
        path = self.folder / f"{name}.disassembled"
        path.write_bytes(cubin)
        done = subprocess.run([self.program, "--no-dataflow", path], capture_output=True, text=True)
        if done.returncode != 0:
            raise Refused(f"{name}: nvdisasm said\n{done.stderr}")
        # An address, perhaps a guard, then the mnemonic.
        return set(re.findall(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Za-z0-9_.]*)", done.stdout, re.MULTILINE))


def generation(architecture):
    return int(architecture.rstrip("a"))


def lacking(text, architecture, macros, mnemonics):
    """The demands of a source's head that its machine code does not meet. nvdisasm 13 knows nothing below sm_75."""
    holds = lambda where: not where or (where.split()[0] == "in") == (where.split()[1] in macros.values())
    applies = lambda where, least: holds(where) and generation(architecture) >= int(least or 0)
    demanded = [name for where, least, names in DEMANDS.findall(text) if applies(where, least) for name in names.split()]
    # The name's parts in any order, modifiers between them allowed.
    met = [set(mnemonic.split(".")) | {mnemonic.split(".")[0] + "!"} for mnemonic in mnemonics]
    there = lambda name: any({name.split(".")[0] + "!", *name.split(".")[1:]} <= parts for parts in met)
    return [names for names in demanded if not any(map(there, names.split("|")))]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def configs(text):
    """Name to macros, from the head of a kernel file."""
    found = {name: dict(pair.split("=") for pair in pairs.split()) for name, _, _, pairs in CONFIG.findall(text)}
    if not found:
        raise Refused("no `// config NAME: MACRO=VALUE` line in its head")
    return found


def targets(text, config):
    """(image kind, architecture) of a configuration, in the order in which images lie in a file."""
    least, alone = next((int(least or 0), alone.split()) for name, least, alone, _ in CONFIG.findall(text) if name == config)
    only = alone or (FOR.search(text) or [""] * 2)[1].split()
    cubins = [name for name in only or ARCHITECTURES if generation(name) >= least]
    # For architectures that do not exist yet; what some have alone, others may lack or imitate.
    oldest = min(map(generation, cubins))
    bases = [] if only else [name for name in BASES if generation(name) >= oldest]
    return [("cubin", name) for name in cubins] + [("ptx", name) for name in bases]


def included(source, headers):
    """The names of the headers that a source includes, and those that these include, in order."""
    found, waiting = set(), [source]
    while waiting:
        names = set(INCLUDE.findall(waiting.pop().decode())) & headers.keys() - found
        waiting += [headers[name] for name in names]
        found |= names
    return sorted(found)


def options(architecture, macros, hints=True):
    """NVRTC's, for an architecture; hints are left out of what old drivers must read."""
    given = [f"--gpu-architecture=compute_{architecture}", *NVRTC_OPTIONS, f"-DHINTS={int(hints)}"]
    return given + [f"-D{macro}={value}" for macro, value in macros.items()]


class Compiler:
    """All tools together, and what is collected on the way."""

    def __init__(self, folder, budget):
        site = tools()
        self.nvrtc, self.ptxas, self.disassembler = Nvrtc(site), Ptxas(site, folder), Disassembler(site, folder)
        self.headers = {path.name: path.read_bytes() for path in sorted(HERE.glob("*.cuh"))}
        self.budget = budget  # none while a new one is made
        self.rules = Path(__file__).read_bytes()
        self.used = {}
        self.ptx = {}

    def image(self, stem, source, config, macros, kind, architecture):
        """The bits for one target and what is known of them; a refusal where they break a rule."""
        flags = options(architecture, macros, kind == "cubin")
        headers = [self.headers[name] for name in included(source, self.headers)]
        parts = [self.rules, stem.encode(), source, *headers, kind.encode(), *(flag.encode() for flag in flags)]
        kept = CACHE / sha256(b"".join(hashlib.sha256(part).digest() for part in parts))
        if not kept.with_suffix(".json").exists():
            self.compile(kept, f"{stem}-{config}-{kind}{architecture}", (stem, source, macros, kind, architecture), flags)
        bits, ptx = kept.with_suffix(".bits").read_bytes(), kept.with_suffix(".ptx").read_text()
        facts = json.loads(kept.with_suffix(".json").read_text())
        if kind == "cubin":
            self.ptx[sha256(bits)] = ptx
        self.hold_to_budget(f"{stem}-{config}", stem, config, kind + architecture, facts["registers"])
        return bits, facts

    def compile(self, kept, name, subject, flags):
        """Compiles one image and keeps it: the same source under the same rules gives the same bits."""
        stem, source, macros, kind, architecture = subject
        ptx = self.nvrtc.ptx(f"{stem}.cu", source, self.headers, flags)
        if f".entry {stem}(" not in ptx:
            raise Refused(f"{stem}: no entry point of that name")
        facts = {"kind": kind, "architecture": architecture}
        if kind == "cubin":
            bits, usage = self.ptxas.cubin(name, ptx, architecture)
            facts["ptx_sha256"] = sha256(ptx.encode())
            self.hold_to_demands(name, source.decode(), architecture, macros, bits)
        else:
            bits, usage = self.ptxas.lowered(name, ptx, architecture)
        facts |= {"sha256": sha256(bits), "length": len(bits)} | usage
        CACHE.mkdir(parents=True, exist_ok=True)
        # The facts last: where they are, the rest is whole.
        for suffix, data in {".bits": bits, ".ptx": ptx.encode(), ".json": json.dumps(facts).encode()}.items():
            kept.with_suffix(suffix + ".new").write_bytes(data)
            kept.with_suffix(suffix + ".new").rename(kept.with_suffix(suffix))

    def hold_to_demands(self, name, text, architecture, macros, cubin):
        if not DEMANDS.search(text) or generation(architecture) < 75:
            return
        missing = lacking(text, architecture, macros, self.disassembler.mnemonics(name, cubin))
        if missing:
            raise Refused(f"{name}: the machine code has no {' and no '.join(missing)}, which the head of its source demands")

    def hold_to_budget(self, name, stem, config, target, registers):
        self.used.setdefault(f"{stem}/{config}", {})[target] = registers
        if self.budget is None:
            return
        granted = self.budget.get(f"{stem}/{config}", {}).get(target)
        if granted is None:
            raise Refused(f"{name}: kernels/budget.json grants it nothing; run kernels/build --budget and look at what changed")
        if registers > granted:
            raise Refused(f"{name}: {registers} registers a thread where kernels/budget.json grants {granted}")

    def all(self, path):
        """(config, macros, bits, facts) of every image of a source, in order."""
        source = path.read_bytes()
        text = source.decode()
        jobs = [(config, macros, *target) for config, macros in configs(text).items() for target in targets(text, config)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            images = list(pool.map(lambda job: self.image(path.stem, source, *job), jobs))
        return [(config, macros, bits, facts) for (config, macros, _, _), (bits, facts) in zip(jobs, images)]
