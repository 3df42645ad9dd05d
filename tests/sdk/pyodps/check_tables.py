"""Tables and table partitions: create, describe, list, drop."""

import values
from harness import PREFIX, people_batch, equal, refused
from odps import errors, types
from odps.models import TableSchema


def check(server):
    """All of it."""
    check_description(server)
    check_types(server)
    check_lists(server)
    check_table_partitions(server)
    check_sizes(server)
    check_paging(server)


def check_description(server):
    columns = [
        types.Column("id", "bigint", "the number", nullable=False),
        types.Column("name", "string", "it's a \"name\" \\ 名"),
    ]
    keys = [types.Partition("ds", "string", "the day"), types.Partition("hh", "bigint")]
    schema = TableSchema(columns=columns, partitions=keys)
    table = server.fresh("described", schema, lifecycle=7, comment="a 'table' of 字")
    table.reload()
    found = table.table_schema
    equal("columns", ["id", "name"], [column.name for column in found.simple_columns])
    equal("types", ["bigint", "string"], [column.type.name for column in found.simple_columns])
    equal("comments", ["the number", "it's a \"name\" \\ 名"], [column.comment for column in found.simple_columns])
    equal("nullable", [False, True], [column.nullable for column in found.simple_columns])
    equal("keys", [("ds", "string"), ("hh", "bigint")], [(key.name, key.type.name) for key in found.partitions])
    equal("a key's comment", "the day", found.partitions[0].comment)
    equal("lifecycle", 7, table.lifecycle)
    equal("comment", "a 'table' of 字", table.comment)
    equal("kinds", (False, False), (table.is_virtual_view, table.is_transactional))
    assert table.creation_time <= table.last_data_modified_time and table.owner and table.table_id, table
    table.reload_extend_info()
    equal("extended", (False, 0), (table.is_archived, table.physical_size))
    again = lambda **more: server.o.create_table(PREFIX + "described", schema, **more)
    again(if_not_exists=True)
    refused(errors.ODPSError, "ODPS-0", again)
    assert "`id`" in table.get_ddl() and "LIFECYCLE 7" in table.get_ddl(), table.get_ddl()
    server.o.execute_sql(table.get_ddl().replace("described", "redescribed", 1))
    server.made.add(PREFIX + "redescribed")
    copy = server.o.get_table(PREFIX + "redescribed")
    equal("columns of its DDL", found.names, copy.table_schema.names)
    table.drop()
    assert not server.o.exist_table(PREFIX + "described")
    refused(errors.NoSuchTable, "NoSuchTable", table.reload)
    server.o.delete_table(PREFIX + "described", if_exists=True)
    refused(errors.NoSuchObject, "ODPS-0130131", lambda: server.o.delete_table(PREFIX + "described"))


def check_types(server):
    columns = values.columns(arrow=False)
    table = server.fresh("kinds", values.schema(columns))
    table.reload()
    expected = [types.validate_data_type(column.type_text) for column in columns]
    equal("types", expected, [column.type for column in table.table_schema.simple_columns])
    for kind in ("tinyint", "smallint", "int", "bigint", "string", "varchar(10)", "char(3)"):
        table = server.fresh("key", "id bigint", f"k {kind}")
        value = "7" if "int" in kind else "a b"
        table.create_partition(f"k='{value}'")
        assert table.exist_partition(f"k='{value}'"), kind


def check_lists(server):
    for name in ("list_a", "list_b", "listing"):
        server.fresh(name, "id bigint")
    found = [table.name for table in server.o.list_tables(prefix=PREFIX + "list_")]
    equal("tables by prefix", [PREFIX + "list_a", PREFIX + "list_b"], sorted(found))
    assert PREFIX + "listing" in [table.name for table in server.o.list_tables()]
    assert server.o.exist_table((PREFIX + "LIST_a").upper()), "names are compared without case"


def check_table_partitions(server):
    table = server.fresh("parts", "id bigint", "ds string, hh string")
    for ds, hh in [("20221121", "01"), ("20221122", "01"), ("20221122", "02"), ("20221123", "x y")]:
        table.create_partition(f"ds='{ds}',hh='{hh}'")
    table.create_partition("ds=20221121,hh=01", if_not_exists=True)
    refused(errors.ODPSError, "ODPS-0", lambda: table.create_partition("ds=20221121,hh=01"))
    specs = lambda found: [dict(partition.partition_spec) for partition in found]
    every = [("20221121", "01"), ("20221122", "01"), ("20221122", "02"), ("20221123", "x y")]
    equal("partitions", [{"ds": ds, "hh": hh} for ds, hh in every], specs(table.partitions))
    equal("with a prefix", [{"ds": "20221122", "hh": hh} for hh in ("01", "02")], specs(table.iterate_partitions("ds='20221122'")))
    backwards = [{"ds": ds, "hh": hh} for ds, hh in reversed(every)]
    equal("backwards", backwards, specs(table.iterate_partitions(reverse=True)))
    equal("the last", {"ds": "20221122", "hh": "02"}, dict(table.get_max_partition("ds=20221122", skip_empty=False).partition_spec))
    assert table.exist_partition("ds=20221123,hh='x y'") and not table.exist_partition("ds=20221123,hh=01")
    assert table.exist_partitions("ds=20221123") and not table.exist_partitions("ds=1999")
    table.delete_partition("ds=20221121,hh=01")
    table.delete_partition("ds=20221121,hh=01", if_exists=True)
    refused(errors.ODPSError, "ODPS-0", lambda: table.delete_partition("ds=20221121,hh=01"))
    equal("after a drop", 3, len(list(table.partitions)))
    refused(errors.ODPSError, "", lambda: table.create_partition("ds=20221121"))


def check_sizes(server):
    table = server.fresh("sizes", "id bigint, name string, price decimal(10,2)", "ds string")
    for ds, rows in (("a", 5), ("b", 7)):
        with table.open_writer(f"ds={ds}", create_partition=True, arrow=True) as writer:
            writer.write(people_batch(range(rows)))
    table.reload()
    assert table.size > 0, table.size
    equal("rows of the table", 12, table.record_num)
    partition = table.get_partition("ds=b")
    partition.reload()
    equal("rows of the partition", 7, partition.record_num)
    assert 0 < partition.size < table.size, (partition.size, table.size)
    assert partition.creation_time <= partition.last_data_modified_time, partition
    partition.reload_extend_info()
    assert partition.physical_size > 0 and not partition.is_archived
    table.truncate(partition_spec="ds=b")
    equal("rows after truncating one", [["a", 5]], server.rows(f"select ds, count(*) from {table.name} group by ds"))
    plain = server.fresh("emptied", "id bigint, name string, price decimal(10,2)")
    with plain.open_writer(arrow=True) as writer:
        writer.write(people_batch(range(3)))
    plain.truncate()
    equal("rows after truncating", [[0]], server.rows(f"select count(*) from {plain.name}"))


def check_paging(server):
    """More table partitions than a page of the list has."""
    table = server.fresh("many", "id bigint", "n string")
    count = 1_203
    for start in range(0, count, 401):
        specs = ", ".join(f"partition (n='{number:05}')" for number in range(start, start + 401))
        server.o.execute_sql(f"alter table {table.name} add {specs}")
    found = [partition.partition_spec["n"] for partition in table.partitions]
    equal("partitions over pages", [f"{number:05}" for number in range(count)], found)
