"""numpy's product (OpenBLAS), launched on demand: matmul.py fp32|fp64 N, with the protocol of cpu_peer.rs."""

import sys
import time

import numpy as np

dtype, n = {"fp32": np.float32, "fp64": np.float64}[sys.argv[1]], int(sys.argv[2])
generator = np.random.default_rng(7)
a, b = (generator.standard_normal((n, n)).astype(dtype) for _ in range(2))
c = np.empty((n, n), dtype)
print("ready", flush=True)
for line in sys.stdin:
    begin = time.perf_counter()
    for _ in range(int(line)):
        np.matmul(a, b, out=c)
    print(f"{time.perf_counter() - begin:.9f}", flush=True)
