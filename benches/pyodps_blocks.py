"""Sends blocks of rows from memory with PyODPS and prints the seconds on the wall and of CPU time that it took.

`pyodps_blocks.py ENDPOINT PROJECT TABLE FILE FORM COMPRESSION BLOCKS`: FILE is a stream of Arrow's IPC, FORM `arrow` or `record`,
COMPRESSION `none` or `zstd`; each of the BLOCKS, which go at once, holds all rows.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from odps import ODPS
from odps.tunnel import CompressOption, TableTunnel

ALGORITHMS = {"none": None, "zstd": CompressOption.CompressAlgorithm.ODPS_ZSTD}


def main():
    endpoint, project, table, file, form, compression, blocks = sys.argv[1:]
    with pa.ipc.open_stream(file) as stream:
        batches = list(stream)
    # What a program would have at hand: batches for Arrow, values for records.
    values = [list(row) for batch in batches for row in zip(*(column.to_pylist() for column in batch))] if form == "record" else []
    algorithm = ALGORITHMS[compression]
    option = algorithm and CompressOption(algorithm)
    server = ODPS(project, project, project=project, endpoint=endpoint, tunnel_endpoint=endpoint.removesuffix("/api"))
    tunnel = TableTunnel(server)

    wall, cpu = time.monotonic(), time.process_time()
    session = tunnel.create_upload_session(table, partition_spec="ds=all", overwrite=True, compress_option=option)

    def put(block):
        if form == "arrow":
            with session.open_arrow_writer(block, compress=option is not None) as writer:
                for batch in batches:
                    writer.write(batch)
        else:
            with session.open_record_writer(block, compress=option is not None) as writer:
                for row in values:
                    writer.write(session.new_record(row))

    with ThreadPoolExecutor(int(blocks)) as pool:
        list(pool.map(put, range(int(blocks))))
    session.commit(list(range(int(blocks))))
    print(json.dumps([time.monotonic() - wall, time.process_time() - cpu]))


main()
