"""Unmodified PyODPS against a MaxCompute-compatible server.

    python tests/sdk/pyodps ENDPOINT PROJECT ACCESS_ID SECRET [CHECK...]

Ends with "all passed" and exit code 0, or with the first assertion that failed. The server must verify signatures with
the given credentials. Tables it makes begin with "pyodps_". CHECK is tables, tunnel, sql or errors; all of them unless
given. `fill` only makes the table pyodps_filled from `values.json`, `values:TABLE` compares one that another client made.
`token:TOKEN` checks a server whose access key is temporary and has this token.
"""

import sys
import time

import check_errors
import check_sql
import check_tables
import check_tunnel
import values
from harness import Server

CHECKS = {module.__name__.removeprefix("check_"): module.check for module in (check_tables, check_tunnel, check_sql, check_errors)}


def main():
    if len(sys.argv) < 5:
        raise SystemExit(__doc__)
    server = Server(*sys.argv[1:5])
    for name in sys.argv[5:] or CHECKS:
        began = time.monotonic()
        if name == "fill":
            check_tunnel.fill_records(server, "filled", values.columns(arrow=False))
        elif name.startswith("values:"):
            table = name.removeprefix("values:")
            check_tunnel.read_values(server, table, values.columns(arrow=False), f"in {table}")
        elif name.startswith("token:"):
            check_errors.check_token(server, name.removeprefix("token:"))
        else:
            CHECKS[name](server)
        print(f"{name}: passed in {time.monotonic() - began:.1f} s")
    if "fill" not in sys.argv:
        server.drop_all()
    print("all passed")


if __name__ == "__main__":
    main()
