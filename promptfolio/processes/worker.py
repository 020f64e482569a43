"""A worker process of `promptfolio.processes.pool`, as a program: its argument is the connection's descriptor."""

import os
import sys
from multiprocessing.connection import Connection

from promptfolio.processes.pool import serve
from promptfolio.processes.starting import collect_rarely, spare_dask

if __name__ == "__main__":
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    try:
        collect_rarely()
        spare_dask()
        serve(Connection(descriptor))
    finally:
        os._exit(0)  # whatever libraries would still wait for
