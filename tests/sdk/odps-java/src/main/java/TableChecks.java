import static java.util.stream.StreamSupport.stream;

import com.aliyun.odps.Column;
import com.aliyun.odps.NoSuchObjectException;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.Partition;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.Table;
import com.aliyun.odps.TableFilter;
import com.aliyun.odps.TableSchema;
import com.aliyun.odps.type.TypeInfoFactory;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Tables and table partitions: create, describe, list, drop. */
final class TableChecks {
    private final Server server;
    private final Values values;

    TableChecks(Server server, Values values) {
        this.server = server;
        this.values = values;
    }

    void checkAll() throws Exception {
        checkDescription();
        checkTypes();
        checkList();
        checkTablePartitions();
        checkSizes();
        checkPaging();
    }

    private void checkDescription() throws Exception {
        String name = server.noted("described");
        server.odps.tables().delete(server.project, name, true);
        TableSchema schema = new TableSchema();
        schema.addColumn(Column.newBuilder("id", TypeInfoFactory.BIGINT).notNull().withComment("the number").build());
        schema.addColumn(Column.newBuilder("name", TypeInfoFactory.STRING).withComment("it's a \"name\" 名").build());
        schema.addPartitionColumn(new Column("ds", TypeInfoFactory.STRING, "the day"));
        schema.addPartitionColumn(new Column("hh", TypeInfoFactory.BIGINT));
        var creator = server.odps.tables().newTableCreator(server.project, name, schema);
        creator.withComment("a 'table' of 字").withLifeCycle(7L).create();
        Checks.check("exists", server.odps.tables().exists(name) && !server.odps.tables().exists(Server.PREFIX + "absent"));
        Table table = server.odps.tables().get(name);
        table.reload();
        List<Column> columns = table.getSchema().getColumns();
        Checks.equal("columns", List.of("id", "name"), columns.stream().map(Column::getName).toList());
        Checks.equal("comments", List.of("the number", "it's a \"name\" 名"), columns.stream().map(Column::getComment).toList());
        Checks.equal("nullable", List.of(false, true), columns.stream().map(Column::isNullable).toList());
        List<Column> keys = table.getSchema().getPartitionColumns();
        Checks.equal("keys", List.of("ds", "hh"), keys.stream().map(Column::getName).toList());
        Checks.equal("their types", List.of("STRING", "BIGINT"), keys.stream().map(key -> key.getTypeInfo().getTypeName()).toList());
        Checks.equal("lifecycle", 7L, table.getLife());
        Checks.equal("comment", "a 'table' of 字", table.getComment());
        Checks.equal("type", Table.TableType.MANAGED_TABLE, table.getType());
        Checks.check("partitioned, no view", table.isPartitioned() && !table.isVirtualView() && !table.isTransactional());
        Checks.check("times", !table.getLastDataModifiedTime().before(table.getCreatedTime()) && table.getOwner() != null);
        Checks.equal("physical size", 0L, table.getPhysicalSize());
        server.odps.tables().create(server.project, name, schema, true);
        Checks.refused(OdpsException.class, "ODPS-0", () -> {
            server.odps.tables().create(server.project, name, schema, false);
            return null;
        });
        server.odps.tables().delete(name);
        Checks.check("gone", !server.odps.tables().exists(name));
        Checks.refused(NoSuchObjectException.class, "NoSuchTable", () -> {
            table.reload();
            return null;
        });
    }

    private void checkTypes() throws Exception {
        Table table = server.fresh("kinds", values.schema());
        table.reload();
        List<Column> columns = table.getSchema().getColumns();
        for (int at = 0; at < columns.size(); at++) {
            Values.Expected expected = values.columns.get(at);
            Checks.equal(expected.name(), expected.type().getTypeName(), columns.get(at).getTypeInfo().getTypeName());
        }
        for (String kind : List.of("tinyint", "smallint", "int", "bigint", "string", "varchar(10)", "char(3)")) {
            Table keyed = server.fresh("key", Server.schema("id bigint", null, "k " + kind));
            String spec = kind.endsWith("int") ? "k='7'" : "k='a b'";
            server.partitions(keyed, spec);
            Checks.check("a key of type " + kind, keyed.hasPartition(new PartitionSpec(spec)));
        }
    }

    private void checkList() throws Exception {
        for (String name : List.of("list_a", "list_b", "listing")) {
            server.fresh(name, Server.schema("id bigint"));
        }
        TableFilter filter = new TableFilter();
        filter.setName(Server.PREFIX + "list_");
        List<String> found = stream(server.odps.tables().iterable(filter).spliterator(), false).map(Table::getName).sorted().toList();
        Checks.equal("tables by prefix", List.of(Server.PREFIX + "list_a", Server.PREFIX + "list_b"), found);
        var every = stream(server.odps.tables().spliterator(), false).map(Table::getName).collect(Collectors.toSet());
        Checks.check("all tables", every.contains(Server.PREFIX + "listing"));
        List<Table> named = server.odps.tables().loadTables(List.of(Server.PREFIX + "list_b", Server.PREFIX + "absent"));
        Checks.equal("named tables", List.of(Server.PREFIX + "list_b"), named.stream().map(Table::getName).toList());
        Checks.equal("their columns", List.of("id"), named.get(0).getSchema().getColumns().stream().map(Column::getName).toList());
        Checks.check("names without case", server.odps.tables().exists("JAVA_List_A"));
    }

    private void checkTablePartitions() throws Exception {
        Table table = server.fresh("parts", Server.schema("id bigint", null, "ds string", "hh string"));
        List<String> all = List.of("ds='20221121',hh='01'", "ds='20221122',hh='01'", "ds='20221122',hh='02'", "ds='20221123',hh='x y'");
        for (String spec : all) {
            table.createPartition(new PartitionSpec(spec));
        }
        table.createPartition(new PartitionSpec(all.get(0)), true);
        Checks.refused(OdpsException.class, "ODPS-0", () -> {
            table.createPartition(new PartitionSpec(all.get(0)));
            return null;
        });
        Checks.equal("partitions", all, table.getPartitions().stream().map(part -> part.getPartitionSpec().toString()).toList());
        Checks.equal("their names", all, table.getPartitionSpecs().stream().map(PartitionSpec::toString).toList());
        Checks.equal("with a prefix", all.subList(1, 3), specs(table.getPartitionIterator(new PartitionSpec("ds='20221122'"))));
        Checks.equal("backwards", List.of(all.get(3), all.get(2)),
                specs(table.getPartitionIterator(null, true, 2L, 2L)));
        Checks.check("has", table.hasPartition(new PartitionSpec(all.get(3))));
        Checks.check("has not", !table.hasPartition(new PartitionSpec("ds='20221123',hh='01'")));
        table.deletePartition(new PartitionSpec(all.get(0)));
        table.deletePartition(new PartitionSpec(all.get(0)), true);
        Checks.refused(OdpsException.class, "ODPS-0", () -> {
            table.deletePartition(new PartitionSpec(all.get(0)));
            return null;
        });
        Checks.equal("after a drop", all.subList(1, 4), specs(table.getPartitionIterator()));
    }

    private static List<String> specs(Iterator<Partition> partitions) {
        List<String> specs = new ArrayList<>();
        partitions.forEachRemaining(partition -> specs.add(partition.getPartitionSpec().toString()));
        return specs;
    }

    private void checkSizes() throws Exception {
        Table table = server.fresh("sizes", Server.people("ds string"));
        server.partitions(table, "ds='a'", "ds='b'");
        for (String spec : List.of("ds='a'", "ds='b'")) {
            server.load(table.getName(), spec, false, Server.people(0, 5));
        }
        table.reload();
        Checks.equal("rows of the table", 10L, table.getRecordNum());
        Partition partition = table.getPartition(new PartitionSpec("ds='b'"));
        partition.reload();
        Checks.equal("rows of the partition", 5L, partition.getRecordNum());
        Checks.check("sizes", 0 < partition.getSize() && partition.getSize() < table.getSize());
        Checks.check("more about it", partition.getPhysicalSize() > 0 && !partition.isArchived() && partition.getCreatedTime() != null);
        Table plain = server.fresh("emptied", Server.people());
        server.load(plain.getName(), null, false, Server.people(0, 5));
        plain.truncate();
        Checks.equal("truncated", List.of(), server.read(plain.getName(), null));
    }

    /** More table partitions than a page of the list has. */
    private void checkPaging() throws Exception {
        Table table = server.fresh("many", Server.schema("id bigint", null, "n string"));
        List<String> all = IntStream.range(0, 1_203).mapToObj("n='%05d'"::formatted).toList();
        for (int start = 0; start < all.size(); start += 401) {
            String specs = all.subList(start, start + 401).stream().collect(Collectors.joining(") partition (", "partition (", ")"));
            server.run("alter table " + table.getName() + " add " + specs + ";");
        }
        Checks.equal("partitions over pages", all, specs(table.getPartitionIterator()));
        Checks.equal("their names at once", all, table.getPartitionSpecs().stream().map(PartitionSpec::toString).toList());
    }
}
