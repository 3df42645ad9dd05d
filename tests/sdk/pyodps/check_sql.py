"""SQL instances and their results: through the instance tunnel, as records and Arrow, and as comma-separated text."""

import datetime
import decimal

import values
from check_tunnel import fill_records, read_values
from harness import PREFIX, arrow_rows, equal, refused
from odps import errors

ORDERS = "id bigint, city string, amount decimal(12,2), paid datetime, day date"


def check(server):
    """All of it."""
    fill(server)
    check_selects(server)
    check_unquoted_keys(server)
    check_comparisons(server)
    check_results(server)
    check_instances(server)
    check_inserts(server)
    check_failures(server)


def fill(server):
    table = server.fresh("orders", ORDERS, "pt string")
    paid, day = datetime.datetime(2026, 3, 2, 3, 4, 5), datetime.date(2026, 3, 2)
    cents = decimal.Decimal("0.10")
    rows = [
        [1, "Berlin", decimal.Decimal("9.90"), paid, day],
        [2, "Paris", decimal.Decimal("10.00"), paid + datetime.timedelta(days=1), day + datetime.timedelta(days=1)],
        [3, "Berlin", None, None, None],
        [4, "O'Hara \"中\"", decimal.Decimal("100.00") + cents, paid, datetime.date(1969, 12, 31)],
    ]
    for pt in ("01", "02"):
        server.o.write_table(table.name, rows, partition=f"pt={pt}", create_partition=True)
    days = server.fresh("days", "id bigint", "ds string")
    for number, ds in enumerate(("2022112200", "2022112201", "02022112200"), 1):
        rows = [[number * 10 + at] for at in range(number)]
        server.o.write_table(days.name, rows, partition=f"ds={ds}", create_partition=True)


def check_selects(server):
    orders, rows = PREFIX + "orders", server.rows
    equal("count", [[8]], rows(f"select count(*) from {server.project}.{orders}"))
    equal("quoted names", [[4]], rows(f"select count(*) from `{server.project}`.`{orders}` where `pt`='02'"))
    sums = f"select city, count(*) n, sum(amount) s from {orders} where pt='01' group by city having count(*) > 0 "
    expected = [["Berlin", 2, decimal.Decimal("9.90")], ["O'Hara \"中\"", 1, decimal.Decimal("100.10")]]
    equal("groups", expected, rows(sums + "order by n desc, city limit 2"))
    equal("max", [[decimal.Decimal("100.10")]], rows(f"select max(amount) from {orders}"))
    text = f"select to_char(paid, 'yyyymmdd'), pt from {orders} where id = 1 order by pt"
    equal("to_char", [["20260302", "01"], ["20260302", "02"]], rows(text))
    equal("max_pt", [[1], [2], [3], [4]], rows(f"select id from {orders} where pt = max_pt('{orders}') order by id"))
    equal("escapes", [[4]], rows(f"select id from {orders} where pt='01' and city = 'O\\'Hara \"中\"'"))
    equal("nulls", [[3]], rows(f"select id from {orders} where pt='01' and amount is null"))
    equal("a script", [[4]], rows(f"set odps.sql.submit.mode=script;\nselect count(*) from {orders} where pt='01';"))
    equal("no table", [[1, "a", None]], rows("select 1, 'a', null"))


def check_unquoted_keys(server):
    """Numbers without quotes find the keys that are written alike, as users write them."""
    days, orders, rows = PREFIX + "days", PREFIX + "orders", server.rows
    equal("ds=2022112200", [[10]], rows(f"select id from {days} where ds='2022112200'"))
    found = sorted(rows(f"select id from {days} where ds=2022112200"))
    assert [10] in found and [20] not in found, found
    equal("pt=01", [[4]], rows(f"select count(*) from {orders} where pt=01"))
    equal("pt='01'", [[4]], rows(f"select count(*) from {orders} where pt='01'"))
    equal("pt in", [[8]], rows(f"select count(*) from {orders} where pt in ('01', '02')"))
    equal("ds >=", [[2]], rows(f"select count(distinct ds) from {days} where ds >= '2022112200'"))
    equal("ds between", [[1], [2]], rows(f"select count(*) from {days} where ds between 2022112200 and 2022112201 and length(ds) = 10 group by ds order by ds"))


def check_comparisons(server):
    """Decimals and dates compare as such, not as texts."""
    orders, rows = PREFIX + "orders", server.rows
    where = lambda condition: [row[0] for row in rows(f"select id from {orders} where pt='01' and ({condition}) order by id")]
    equal("a decimal and a double", [2, 4], where("amount > 9.95"))
    equal("a decimal and a decimal", [2, 4], where("amount >= 10BD"))
    equal("a decimal and an integer", [1], where("amount < 10"))
    equal("decimals in order", [[1], [2], [4]], rows(f"select id from {orders} where pt='01' and amount is not null order by amount limit 9"))
    equal("a datetime and a text", [2], where("paid > '2026-03-02 03:04:05'"))
    equal("a datetime literal", [1, 4], where("paid = datetime'2026-03-02 03:04:05'"))
    equal("a date literal", [1], where("day = date'2026-03-02'"))
    equal("a date before 1970", [4], where("day < date'1970-01-01'"))
    equal("dates in order", [[4], [1], [2]], rows(f"select id from {orders} where pt='01' and day is not null order by day limit 9"))
    equal("a cast", [1], where("cast(amount as string) = '9.9' or cast(amount as string) = '9.90'"))


def check_results(server):
    orders = PREFIX + "orders"
    query = f"select id, city, amount, paid, day from {orders} where pt='01' order by id limit 10"
    instance = server.o.execute_sql(query)
    with instance.open_reader(tunnel=True) as reader:
        equal("count of the result", 4, reader.count)
        records = [record.values for record in reader]
        equal("a part", records[1:3], [record.values for record in reader[1:3]])
    with instance.open_reader(arrow=True) as reader:
        equal("as Arrow", records, [list(row) for row in arrow_rows(reader)])
    with instance.open_reader(tunnel=True, limit=True) as reader:
        equal("limited", records, [record.values for record in reader])
    with instance.open_reader(tunnel=False) as reader:
        equal("as text", records, [record.values for record in reader])
        assert reader.raw.splitlines()[0].replace('"', "") == "id,city,amount,paid,day", reader.raw
    equal("as a frame", [1, 2, 3, 4], list(instance.open_reader().to_pandas()["id"]))
    columns = values.columns(arrow=False)
    table = fill_records(server, "texts", columns)
    names = [column.name for column in columns if column.type_text in ("bigint", "string", "boolean", "date")]
    chosen = [column for column in columns if column.name in names]
    for column in chosen:
        # To PyODPS, quoted or not, this text is NULL.
        column.texts = [None if text == "\\N" else text for text in column.texts]
    with server.o.execute_sql(f"select {', '.join(names)} from {table}").open_reader(tunnel=False) as reader:
        values.compare_records(chosen, list(reader), "results as text")
    with server.o.execute_sql(f"show partitions {orders}").open_reader() as reader:
        equal("partitions as text", ["pt=01", "pt=02"], reader.raw.strip().splitlines())
    with server.o.execute_sql(f"desc {orders}").open_reader() as reader:
        assert "decimal(12,2)" in reader.raw, reader.raw
    with server.o.execute_sql("show tables").open_reader() as reader:
        assert orders in reader.raw, reader.raw


def check_instances(server):
    instance = server.o.run_sql("select 1")
    instance.wait_for_success(interval=0.1)
    assert instance.is_terminated() and instance.is_successful()
    equal("tasks", ["AnonymousSQLTask"], instance.get_task_names())
    equal("statuses", ["SUCCESS"], [str(task.status.name) for task in instance.get_task_statuses().values()])
    assert instance.start_time <= instance.end_time, instance
    assert "select 1" in instance.get_sql_query(), instance.get_sql_query()
    again = server.o.get_instance(instance.id)
    equal("by its id", "Terminated", again.status.value.capitalize())
    assert server.o.exist_instance(instance.id)
    instance.get_task_summary("AnonymousSQLTask"), instance.get_task_progress("AnonymousSQLTask")


def check_inserts(server):
    orders, rows = PREFIX + "orders", server.rows
    server.fresh("copied", "id bigint, city string, amount decimal(12,2)", "pt string")
    copied = PREFIX + "copied"
    columns = "id, city, amount"
    insert = lambda what, source: server.o.execute_sql(f"insert {what} table {copied} partition (pt='x') {source}")
    insert("overwrite", f"select {columns} from {orders} where pt='01'")
    expected = rows(f"select {columns} from {orders} where pt='01' order by id limit 9")
    select = f"select {columns} from {copied} where pt='x' order by id limit 99"
    equal("insert overwrite", expected, rows(select))
    insert("overwrite", f"select {columns} from {orders} where pt=02 and id <= 2")
    equal("again", expected[:2], rows(select))
    insert("into", f"select id + 10, city, amount from {orders} where pt='01' and id = 1")
    equal("insert into", [*expected[:2], [11, *expected[0][1:]]], rows(select))
    insert("overwrite", f"select {columns} from {copied} where pt='x' and id > 1")
    equal("from itself", [expected[1], [11, *expected[0][1:]]], rows(select))
    insert("overwrite", f"select {columns} from {orders} where pt='none'")
    equal("overwritten by nothing", [], rows(select))
    server.fresh("plain", "id bigint, city string")
    server.o.execute_sql(f"insert overwrite table {PREFIX}plain select id, city from {orders} where pt='01'")
    equal("without partitions", [[4]], rows(f"select count(*) from {PREFIX}plain"))
    server.o.execute_sql(f"insert overwrite table {copied} partition (pt) select {columns}, pt from {orders}")
    equal("every partition", [["01", 4], ["02", 4]], rows(f"select pt, count(*) from {copied} group by pt order by pt limit 9"))
    all_types = values.columns(arrow=False)
    table = fill_records(server, "types_from", all_types)
    copy = server.fresh("types_to", values.schema(all_types))
    server.o.execute_sql(f"insert overwrite table {copy.name} select * from {table}")
    read_values(server, copy.name, all_types, "inserted from a query")


def check_failures(server):
    orders = PREFIX + "orders"
    for sql, kind, text in [
        ("select * from", errors.ParseError, "ODPS-0130161"),
        (f"select nope from {orders}", errors.ODPSError, "ODPS-0130071:[1,8] Semantic analysis exception - column nope"),
        (f"select frobnicate(id) from {orders}", errors.ODPSError, "function frobnicate cannot be resolved"),
        ("select * from pyodps_nowhere", errors.NoSuchTable, "ODPS-0130131:[1,15] Table not found"),
        ("drop table pyodps_nowhere", errors.NoSuchTable, "ODPS-0130131"),
        (f"insert overwrite table {orders} partition (pt='z') select 1", errors.ODPSError, "ODPS-0"),
        ("create table pyodps_bad (id nonsense)", errors.ODPSError, "ODPS-0"),
    ]:
        refused(kind, text, lambda: server.o.execute_sql(sql))
    failed = server.o.run_sql("select * from")
    refused(errors.ParseError, "ODPS-0130161", lambda: failed.wait_for_success(interval=0.1))
    assert failed.is_terminated() and not failed.is_successful()
