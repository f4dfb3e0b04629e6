"""What kernels/build and the test kernels' builds share: the pinned tools, the rules, and a kernel compiled by them.

Apart from the command line, so that a script can import it from its file.
"""

import ctypes
import hashlib
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent / "target" / "kernels-venv"
WHEELS = {"nvidia-cuda-nvrtc-cu12": "12.9.86", "nvidia-cuda-nvcc-cu12": "12.9.86", "nvidia-cuda-nvdisasm": "13.5.37"}
ARCHITECTURES = ["70", "75", "80", "86", "89", "90a", "100a", "103a", "120"]
BASES = ["70", "80"]
PTX_VERSIONS = ["6.0", "6.3", "6.4", "6.5", "7.0", "7.1", "7.4", "7.8", "8.0", "8.1", "8.4", "8.8"]
NVRTC_OPTIONS = ["--std=c++17"]
PTXAS_OPTIONS = ["-v", "--warn-on-spills", "--warn-on-local-memory-usage", "-Werror"]
CONFIG = re.compile(r"^// config (\w+): (.+)$", re.MULTILINE)
DEMANDS = re.compile(r"^// demands(?: from (\d+))?: (.+)$", re.MULTILINE)


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


def lacking(text, architecture, mnemonics):
    """The demands of a source's head that its machine code does not meet. nvdisasm 13 knows nothing below sm_75."""
    rows = [names.split() for least, names in DEMANDS.findall(text) if generation(architecture) >= int(least or 0)]
    demanded = [name for names in rows for name in names]
    # The name's parts in any order, modifiers between them allowed.
    met = [set(mnemonic.split(".")) | {mnemonic.split(".")[0] + "!"} for mnemonic in mnemonics]
    return [name for name in demanded if not any({name.split(".")[0] + "!", *name.split(".")[1:]} <= parts for parts in met)]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def configs(text):
    """Name to macros, from the head of a kernel file."""
    found = {name: dict(pair.split("=") for pair in pairs.split()) for name, pairs in CONFIG.findall(text)}
    if not found:
        raise Refused("no `// config NAME: MACRO=VALUE` line in its head")
    return found


def options(architecture, macros, hints=True):
    """What NVRTC is told of a kernel; PTX that old drivers are to read goes without hints."""
    defines = {"HINTS": int(hints)} | macros
    return [f"--gpu-architecture=compute_{architecture}", *NVRTC_OPTIONS, *[f"-D{macro}={value}" for macro, value in defines.items()]]


def targets():
    """(image kind, architecture), in the order in which images lie in a file."""
    return [("cubin", name) for name in ARCHITECTURES] + [("ptx", name) for name in BASES]


class Compiler:
    """All tools together, and what is collected on the way."""

    def __init__(self, folder, budget):
        site = tools()
        self.nvrtc, self.ptxas, self.disassembler = Nvrtc(site), Ptxas(site, folder), Disassembler(site, folder)
        self.headers = {path.name: path.read_bytes() for path in sorted(HERE.glob("*.cuh"))}
        self.budget = budget  # none while a new one is made
        self.used = {}
        self.ptx = {}

    def image(self, stem, source, config, macros, kind, architecture):
        """The bits for one target and what is known of them; a refusal where they break a rule."""
        ptx = self.nvrtc.ptx(f"{stem}.cu", source, self.headers, options(architecture, macros, hints=kind == "cubin"))
        if f".entry {stem}(" not in ptx:
            raise Refused(f"{stem}: no entry point of that name")
        name = f"{stem}-{config}-{kind}{architecture}"
        facts = {"kind": kind, "architecture": architecture}
        if kind == "cubin":
            bits, usage = self.ptxas.cubin(name, ptx, architecture)
            self.ptx[sha256(bits)] = ptx
            facts["ptx_sha256"] = sha256(ptx.encode())
            self.hold_to_demands(name, source.decode(), architecture, bits)
        else:
            bits, usage = self.ptxas.lowered(name, ptx, architecture)
        self.hold_to_budget(name, stem, config, kind + architecture, usage["registers"])
        return bits, facts | {"sha256": sha256(bits), "length": len(bits)} | usage

    def hold_to_demands(self, name, text, architecture, cubin):
        missing = DEMANDS.search(text) and generation(architecture) >= 75 and lacking(text, architecture, self.disassembler.mnemonics(name, cubin))
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

    def all(self, path, targets):
        """(config, macros, bits, facts) of every image of a source, in order."""
        source = path.read_bytes()
        jobs = [(config, macros, *target) for config, macros in configs(source.decode()).items() for target in targets]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            images = list(pool.map(lambda job: self.image(path.stem, source, *job), jobs))
        return [(config, macros, bits, facts) for (config, macros, _, _), (bits, facts) in zip(jobs, images)]
