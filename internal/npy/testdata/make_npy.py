"""Writes the files of this folder with NumPy. Run: python make_npy.py"""
import os

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
small = np.array([[0, -1.5, np.finfo(np.float32).max], [1e-45, 0.1, 3]], dtype=np.float32)


def save(name, x, version=(1, 0)):
    with open(os.path.join(here, name), "wb") as f:
        np.lib.format.write_array(f, x, version=version)


save("small.npy", small)
save("version2.npy", small, (2, 0))
save("float64.npy", small.astype(np.float64))
save("bigendian.npy", small.astype(">f4"))
save("fortran.npy", np.asfortranarray(small))
save("vector.npy", small[0])
save("cube.npy", small.reshape(1, 2, 3))
save("records.npy", np.zeros(2, dtype=[("id", "<i4"), ("x", "<f4")]))
