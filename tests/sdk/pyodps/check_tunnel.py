"""Upload and download sessions in record and Arrow form."""

import threading

import values
from harness import CODECS, PEOPLE, PREFIX, arrow_rows, arrow_table, equal, option, people, people_batch, refused, values_of
from odps import errors, types
from odps.config import option_context
from odps.tunnel import TableTunnel
from odps.tunnel.errors import TunnelError


def check(server):
    """All of it."""
    check_values(server)
    check_record_writers(server)
    check_arrow_writers(server)
    check_blocks(server)
    check_overwrite(server)
    check_ranges_and_columns(server)
    check_codecs(server)
    check_sessions(server)
    check_several_writers(server)
    check_preview(server)
    check_dynamic_partitions(server)


def put_records(session, block_id, rows):
    """Writes rows as one block of records."""
    with session.open_record_writer(block_id) as writer:
        for row in rows:
            writer.write(session.new_record(row))


def put_arrow(session, block_id, batch):
    """Writes a batch as one block in Arrow form."""
    with session.open_arrow_writer(block_id) as writer:
        writer.write(batch)


def check_values(server):
    """Every type's values, written in either form and read in both."""
    columns = values.columns(arrow=False)
    read_values(server, fill_records(server, "values_records", columns), columns, "written as records")
    columns = values.columns(arrow=True)
    read_values(server, fill_records(server, "values_fewer", columns), columns, "written as records")
    table = server.fresh("values_arrow", values.schema(columns))
    session = server.tunnel.create_upload_session(table)
    put_arrow(session, 0, values.batch(columns))
    session.commit([0])
    read_values(server, table.name, columns, "written as Arrow")


def fill_records(server, name, columns):
    """Makes a table of the file's rows, written as records; returns its full name."""
    table = server.fresh(name, values.schema(columns))
    session = server.tunnel.create_upload_session(table)
    # Without this PyODPS takes the bytes of a BINARY for UTF-8.
    with option_context() as local:
        local.tunnel.string_as_binary = True
        put_records(session, 0, values.records(columns))
    session.commit([0])
    return table.name


def read_values(server, name, columns, what):
    """Compares a table that holds the values with the file: as records and Arrow, from the table and a query."""
    with option_context() as local:
        local.tunnel.string_as_binary = True
        rows = max(len(column.texts) for column in columns)
        session = server.tunnel.create_download_session(name)
        equal(f"rows {what}", rows, session.count)
        with session.open_record_reader(0, rows) as reader:
            values.compare_records(columns, list(reader), f"{what}, read as records")
        chosen = [column for column in columns if column.name not in values.NOT_IN_ARROW]
        names = [column.name for column in chosen]
        # In Arrow form PyODPS refuses the whole table for a column that it doesn't know.
        if len(chosen) == len(columns):
            with session.open_arrow_reader(0, rows) as reader:
                values.compare_arrow(chosen, arrow_table(reader), f"{what}, read as Arrow")
        with server.o.execute_sql(f"select * from {name}").open_reader() as reader:
            values.compare_records(columns, list(reader), f"{what}, selected as records")
        query = f"select {', '.join(names)} from {name}"
        with server.o.execute_sql(query).open_reader(arrow=True) as reader:
            values.compare_arrow(chosen, reader.read_all(), f"{what}, selected as Arrow")


def check_record_writers(server):
    o, table = server.o, server.fresh("records", PEOPLE, "ds string")
    table.create_partition("ds=a")
    session = server.tunnel.create_upload_session(table, partition_spec="ds=a")
    equal("field limit", 8 << 20, session.max_field_size)
    # Without a block id the writer cuts the rows into blocks itself.
    with session.open_record_writer(buffer_size=2_000) as writer:
        for row in people(range(500)):
            writer.write(session.new_record(row))
    blocks = writer.get_blocks_written()
    assert len(blocks) > 2, blocks
    session.commit(blocks)
    with table.open_reader("ds=a") as reader:
        equal("rows of a buffered writer", people(range(500)), sorted(values[:3] for values in values_of(reader)))
    with table.open_writer("ds=b", create_partition=True, blocks=[3, 5]) as writer:
        writer.write(3, people(range(2)))
        writer.write(5, people(range(2, 4)))
    with table.open_reader("ds=b") as reader:
        equal("rows of two blocks", [row + ["b"] for row in people(range(4))], values_of(reader))
    o.write_table(table.name, people(range(3)), partition="ds=c", create_partition=True)
    o.write_table(table.name, people(range(3, 6)), partition="ds=c")
    o.write_table(table.name, people(range(9)), partition="ds=d", create_partition=True)
    o.write_table(table.name, people(range(1)), partition="ds=d", overwrite=True)
    equal("written rows", [people(range(6)), people(range(1))], [read_all(o, table.name, ds) for ds in ("ds=c", "ds=d")])


def read_all(o, name, partition=None):
    """All rows, without the partition's keys."""
    return sorted(record.values[:3] for record in o.read_table(name, partition=partition))


def check_arrow_writers(server):
    table = server.fresh("frames", PEOPLE, "ds string")
    frame = people_batch(range(5)).to_pandas()
    with table.open_writer("ds=a", create_partition=True, arrow=True) as writer:
        writer.write(frame)
        writer.write(people_batch(range(5, 8)))
    equal("rows of a frame and a batch", people(range(8)), read_all(server.o, table.name, "ds=a"))
    with table.open_reader("ds=a", arrow=True) as reader:
        found = reader.to_pandas()
    equal("as a frame", list(range(8)), sorted(found["id"]))
    session = server.tunnel.create_upload_session(table, partition_spec="ds=b", create_partition=True)
    with session.open_arrow_writer(buffer_size=4_000) as writer:
        for start in range(0, 1_000, 100):
            writer.write(people_batch(range(start, start + 100)))
    blocks = writer.get_blocks_written()
    assert len(blocks) > 1, blocks
    session.commit(blocks)
    equal("rows of a buffered writer", people(range(1_000)), read_all(server.o, table.name, "ds=b"))


def check_blocks(server):
    """A block sent again replaces itself; the block list must be right; forms may be mixed."""
    table = server.fresh("blocks", PEOPLE)
    session = server.tunnel.create_upload_session(table)
    put_records(session, 0, people(range(5)))
    put_arrow(session, 0, people_batch(range(10, 12)))
    put_arrow(session, 7, people_batch(range(3)))
    put_records(session, 7, people(range(20, 23)))
    put_records(session, 19_999, people([99]))
    equal("block list", [0, 7, 19_999], sorted(int(block) for block in session.get_block_list()))
    for wrong in ([0, 7], [0, 7, 19_999, 5], [0, 7, 5], []):
        refused(TunnelError, "lock", lambda: session.commit(wrong))
    refused(errors.ODPSError, "InvalidBlockID", lambda: put_records(session, 20_000, people([1])))
    equal("nothing is seen before", [], read_all(server.o, table.name))
    session.commit([0, 7, 19_999])
    equal("rows", people([10, 11, 20, 21, 22, 99]), read_all(server.o, table.name))


def check_overwrite(server):
    table = server.fresh("replaced", PEOPLE, "ds string")
    for ds in ("a", "b"):
        server.o.write_table(table.name, people(range(4)), partition=f"ds={ds}", create_partition=True)
    first = server.tunnel.create_upload_session(table, partition_spec="ds=a", overwrite=True)
    put_records(first, 0, people([7]))
    equal("before the commit", people(range(4)), read_all(server.o, table.name, "ds=a"))
    first.commit([0])
    equal("after it", people([7]), read_all(server.o, table.name, "ds=a"))
    equal("the other partition", people(range(4)), read_all(server.o, table.name, "ds=b"))
    empty = server.tunnel.create_upload_session(table, partition_spec="ds=b", overwrite=True)
    empty.commit([])
    equal("overwritten by nothing", [], read_all(server.o, table.name, "ds=b"))


def check_ranges_and_columns(server):
    table = server.fresh("ranges", PEOPLE)
    session = server.tunnel.create_upload_session(table)
    for block in range(3):
        put_records(session, block, people(range(block * 10, block * 10 + 10)))
    session.commit([0, 1, 2])
    download = server.tunnel.create_download_session(table)
    for start, count in ((0, 30), (5, 10), (9, 2), (29, 1), (0, 1)):
        expected = people(range(start, start + count))
        with download.open_record_reader(start, count) as reader:
            equal(f"records {start}, {count}", expected, values_of(reader))
        with download.open_arrow_reader(start, count) as reader:
            equal(f"Arrow {start}, {count}", expected, [list(row) for row in arrow_rows(reader)])
    chosen = [[row[2], row[0]] for row in people(range(8, 13))]
    with download.open_record_reader(8, 5, columns=["price", "id"]) as reader:
        equal("columns of records", chosen, [[record["price"], record["id"]] for record in reader])
    with download.open_arrow_reader(8, 5, columns=["price", "id"]) as reader:
        table = arrow_table(reader).to_pydict()
        equal("columns of Arrow", chosen, [list(row) for row in zip(table["price"], table["id"])])
    with download.open_record_reader(3, 20, buffered=True, row_batch_size=6) as reader:
        equal("buffered", people(range(3, 23)), values_of(reader))
    again = server.tunnel.create_download_session(PREFIX + "ranges", download_id=download.id)
    equal("the same session", (download.id, 30), (again.id, again.count))


def check_codecs(server):
    rows, batch = people(range(2_000)), people_batch(range(2_000))
    table = server.fresh("codecs", PEOPLE)
    for algorithm in [None, *CODECS]:
        for form in ("record", "arrow"):
            session = server.tunnel.create_upload_session(table, overwrite=True, compress_option=option(algorithm))
            compress = algorithm is not None
            if form == "record":
                with session.open_record_writer(0, compress=compress) as writer:
                    for row in rows:
                        writer.write(session.new_record(row))
            else:
                with session.open_arrow_writer(0, compress=compress) as writer:
                    writer.write(batch)
            session.commit([0])
            what = f"{form} {algorithm}"
            download = lambda: server.tunnel.create_download_session(table, compress_option=option(algorithm))
            with download().open_record_reader(0, 2_000, compress=compress) as reader:
                equal(f"{what}, records", rows, values_of(reader))
            with download().open_arrow_reader(0, 2_000, compress=compress) as reader:
                equal(f"{what}, Arrow", rows, [list(row) for row in arrow_rows(reader)])
    # PyODPS itself breaks with compression in buffered writers of Arrow, whose compressor it never flushes, and of LZ4,
    # where it ends an empty frame.
    for algorithm in CODECS:
        if algorithm.name == "ODPS_LZ4":
            continue
        session = server.tunnel.create_upload_session(table, overwrite=True, compress_option=option(algorithm))
        with session.open_record_writer(compress=True, buffer_size=4_000) as writer:
            for row in rows:
                writer.write(session.new_record(row))
        session.commit(writer.get_blocks_written())
        equal(f"buffered {algorithm}", rows, read_all(server.o, table.name))


def check_sessions(server):
    """Sessions that are not there, closed, or another table's."""
    table = server.fresh("sessions", PEOPLE)
    other = server.fresh("other", PEOPLE)
    tunnel = server.tunnel
    refused(errors.ODPSError, "NoSuchUpload", lambda: tunnel.create_upload_session(table, upload_id="2026nowhere"))
    refused(errors.ODPSError, "NoSuchDownload", lambda: tunnel.create_download_session(table, download_id="2026nowhere"))
    session = tunnel.create_upload_session(table)
    refused(errors.ODPSError, "InvalidResourceSpec", lambda: tunnel.create_upload_session(other, upload_id=session.id))
    put_records(session, 0, people(range(3)))
    resumed = TableTunnel(server.client()).create_upload_session(table, upload_id=session.id)
    equal("a resumed session", ([0], session.id), ([int(block) for block in resumed.blocks], resumed.id))
    put_records(resumed, 1, people(range(3, 5)))
    resumed.commit([0, 1])
    equal("status", "Closed", resumed.status.name)
    refused(errors.ODPSError, "StatusConflict", lambda: put_records(session, 2, people([1])))
    session.commit([0, 1])
    equal("committed once", people(range(5)), read_all(server.o, table.name))
    # A download session shows the table as it was when it was opened, or not at all.
    download = tunnel.create_download_session(table)
    with download.open_record_reader(0, 5) as reader:
        equal("as it is", people(range(5)), values_of(reader))
    server.o.write_table(table.name, people([50]), overwrite=True)
    refused(errors.ODPSError, "TableModified", lambda: list(download.open_record_reader(0, 5)))


def check_several_writers(server):
    """Writers on one session at the same time, with block ids of their own."""
    table = server.fresh("writers", PEOPLE)
    session = server.tunnel.create_upload_session(table)
    failures = []

    def write(number):
        try:
            mine = TableTunnel(server.client()).create_upload_session(table.name, upload_id=session.id)
            for block in range(number, 24, 4):
                rows = range(block * 100, block * 100 + 100)
                if block % 2:
                    put_records(mine, block, people(rows))
                else:
                    put_arrow(mine, block, people_batch(rows))
        except Exception as error:  # carried to the thread that judges
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    equal("failures", [], failures)
    session.commit(list(range(24)))
    equal("rows", people(range(2_400)), read_all(server.o, table.name))


def check_preview(server):
    table = server.fresh("preview", PEOPLE + ", at timestamp", "ds string")
    instant = types.validate_data_type("timestamp")
    rows = [row + [values.python_value(instant, str(-1 - 10**9 * row[0]))] for row in people(range(20))]
    for ds in ("a", "b"):
        server.o.write_table(table.name, rows, partition=f"ds={ds}", create_partition=True)
    for legacy in (True, False):
        head = lambda count, **more: [record.values for record in table.head(count, use_legacy=legacy, **more)]
        what = "legacy head" if legacy else "head"
        equal(what, 7, len(head(7)))
        found = head(5, partition="ds=b")
        equal(f"{what} of a partition", people(range(5)), [row[:3] for row in found])
        if not legacy:
            equal(f"{what}, instants", [row[3] for row in rows[:5]], [row[3] for row in found])
        equal(f"{what} of columns", [[0], [1]], [row[:1] for row in head(2, partition="ds=a", columns=["id"])])
        equal(f"{what} of all", 20, len(head(100, partition="ds=a")))
        refused(errors.ODPSError, "NoSuchPartition", lambda: head(1, partition="ds=c"))


def check_dynamic_partitions(server):
    """PyODPS cuts rows into table partitions itself."""
    table = server.fresh("dynamic", "id bigint", "ds string")
    rows = [[number, f"d{number % 3}"] for number in range(9)]
    server.o.write_table(table.name, rows, partition_cols=["ds"], create_partition=True)
    equal("rows", sorted(rows), sorted(server.rows(f"select id, ds from {table.name}")))
