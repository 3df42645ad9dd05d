import com.aliyun.odps.Instance;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.Table;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.ResultSet;
import com.aliyun.odps.task.SQLTask;
import com.aliyun.odps.tunnel.InstanceTunnel;
import java.math.BigDecimal;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** SQL instances and their results. */
final class SqlChecks {
    private final Server server;
    private final String orders = Server.PREFIX + "orders";

    SqlChecks(Server server) {
        this.server = server;
    }

    void checkAll() throws Exception {
        fill();
        checkSelects();
        checkUnquotedKeys();
        checkComparisons();
        checkResults();
        checkInstances();
        checkInserts();
        checkFailures();
    }

    private void fill() throws Exception {
        Table table = server.fresh("orders",
                Server.schema("id bigint", "city string", "amount decimal(12,2)", "paid datetime", "day date", null, "pt string"));
        ZonedDateTime paid = ZonedDateTime.of(2026, 3, 2, 3, 4, 5, 0, ZoneOffset.UTC);
        LocalDate day = LocalDate.of(2026, 3, 2);
        List<List<Object>> rows = List.of(
                List.of(1L, "Berlin", new BigDecimal("9.90"), paid, day),
                List.of(2L, "Paris", new BigDecimal("10.00"), paid.plusDays(1), day.plusDays(1)),
                Arrays.asList(3L, "Berlin", null, null, null),
                List.of(4L, "O'Hara \"中\"", new BigDecimal("100.10"), paid, LocalDate.of(1969, 12, 31)));
        server.partitions(table, "pt='01'", "pt='02'");
        for (String spec : List.of("pt='01'", "pt='02'")) {
            server.load(orders, spec, false, rows);
        }
        Table days = server.fresh("days", Server.schema("id bigint", null, "ds string"));
        for (long number : new long[] {10, 20}) {
            String spec = "ds='20221122" + (number == 10 ? "00'" : "01'");
            server.partitions(days, spec);
            server.load(days.getName(), spec, false, List.of(List.of(number)));
        }
    }

    private void checkSelects() throws Exception {
        Checks.equal("count", rows(8L), server.select("select count(*) from " + server.project + "." + orders + ";"));
        Checks.equal("escaped", rows(4L), server.select("select id from " + orders + " where pt='01' and city = 'O\\'Hara \"中\"' and id > 3 and id < 5;"));
        Checks.equal("groups", List.of(Arrays.asList("Berlin", 2L)),
                server.select("select city, count(*) n from " + orders + " where pt='01' group by city order by n desc limit 1;"));
        Checks.equal("nulls", rows(3L), server.select("select id from " + orders + " where pt='01' and amount is null;"));
    }

    private static List<List<Object>> rows(Object... values) {
        return Arrays.stream(values).map(List::of).toList();
    }

    /** Numbers without quotes find the keys that are written alike, as users write them. */
    private void checkUnquotedKeys() throws Exception {
        Checks.equal("ds=2022112200", rows(10L), server.select("select id from java_days where ds=2022112200;"));
        Checks.equal("pt=01", rows(4L), server.select("select count(*) from " + orders + " where pt=01;"));
        Checks.equal("pt='02'", rows(4L), server.select("select count(*) from " + orders + " where pt='02';"));
    }

    /** Decimals and dates compare as such, not as texts. */
    private void checkComparisons() throws Exception {
        String select = "select id from " + orders + " where pt='01' and %s order by id limit 9;";
        Map<String, List<List<Object>>> expected = Map.of(
                "amount > 9.95", rows(2L, 4L),
                "amount >= 10BD", rows(2L, 4L),
                "paid > '2026-03-02 03:04:05'", rows(2L),
                "paid = datetime'2026-03-02 03:04:05'", rows(1L, 4L),
                "day = date'2026-03-02'", rows(1L),
                "day < date'1970-01-01'", rows(4L));
        for (var entry : expected.entrySet()) {
            Checks.equal(entry.getKey(), entry.getValue(), server.select(select.formatted(entry.getKey())));
        }
    }

    private void checkResults() throws Exception {
        String query = "select id, city, amount, paid, day from " + orders + " where pt='01' order by id limit 9;";
        Instance instance = server.run(query);
        List<Record> records = SQLTask.getResultByInstanceTunnel(instance);
        Checks.equal("an instant", Instant.parse("2026-03-02T03:04:05Z"), ((ZonedDateTime) records.get(0).get("paid")).toInstant());
        Checks.equal("a date", LocalDate.of(1969, 12, 31), records.get(3).get("day"));
        ResultSet set = SQLTask.getResultSet(instance);
        Checks.equal("rows of the set", 4L, set.getRecordCount());
        Checks.equal("its columns", List.of("id", "city", "amount", "paid", "day"),
                set.getTableSchema().getColumns().stream().map(column -> column.getName()).toList());
        int row = 0;
        for (Record record : set) {
            Checks.equal("row " + row, Server.row(records.get(row)), Server.row(record));
            row++;
        }
        var session = new InstanceTunnel(server.odps).createDownloadSession(server.project, instance.getId());
        Checks.equal("count", 4L, session.getRecordCount());
        Checks.equal("a part", List.of(Server.row(records.get(2))), Server.rows(session.openRecordReader(2, 1)));
        List<Record> text = SQLTask.getResult(instance);
        Checks.equal("rows as text", List.of("1", "2", "3", "4"), text.stream().map(record -> record.getString(0)).toList());
        Checks.equal("a text", "O'Hara \"中\"", text.get(3).getString("city"));
        Checks.equal("partitions as text", "pt=01\npt=02", SQLTask.getRawResult(server.run("show partitions " + orders + ";")).trim());
        Checks.check("columns", SQLTask.getRawResult(server.run("desc " + orders + ";")).contains("decimal(12,2)"));
    }

    private void checkInstances() throws Exception {
        Instance instance = server.run("select 1;");
        Checks.check("successful", instance.isTerminated() && instance.isSuccessful());
        Checks.check("times", !instance.getStartTime().after(instance.getEndTime()) && instance.getOwner() != null);
        Checks.equal("tasks", java.util.Set.of("AnonymousSQLTask"), instance.getTaskNames());
        Checks.equal("status", Instance.TaskStatus.Status.SUCCESS, instance.getTaskStatus().get("AnonymousSQLTask").getStatus());
        Instance again = server.odps.instances().get(instance.getId());
        again.reload();
        Checks.equal("by its id", Instance.Status.TERMINATED, again.getStatus());
        Checks.check("exists", server.odps.instances().exists(instance.getId()));
        Checks.check("exists not", !server.odps.instances().exists("20260101000000000gabcdef"));
        instance.getTaskProgress("AnonymousSQLTask");
        Instance named = SQLTask.run(server.odps, server.project, "select 2;", "a_task", Map.of("odps.sql.timezone", "Asia/Shanghai"), null);
        named.waitForSuccess(20);
        Checks.equal("its task", java.util.Set.of("a_task"), named.getTaskNames());
    }

    private void checkInserts() throws Exception {
        String copied = server.fresh("copied", Server.schema("id bigint", "city string", "amount decimal(12,2)", null, "pt string")).getName();
        String insert = "insert %s table " + copied + " partition (pt='x') select id%s, city, amount from " + orders + " where pt='01' and id %s;";
        String select = "select id from " + copied + " where pt='x' order by id limit 99;";
        server.run(insert.formatted("overwrite", "", "> 0"));
        Checks.equal("insert overwrite", rows(1L, 2L, 3L, 4L), server.select(select));
        server.run(insert.formatted("overwrite", "", "<= 2"));
        server.run(insert.formatted("into", " + 10", "= 1"));
        Checks.equal("again, and into", rows(1L, 2L, 11L), server.select(select));
        Checks.equal("values", List.of(Arrays.asList(2L, "Paris", new BigDecimal("10.00"))),
                server.select("select id, city, amount from " + copied + " where pt='x' and id = 2;"));
    }

    private void checkFailures() throws Exception {
        Map<String, String> failures = Map.of(
                "select * from;", "ODPS-0130161",
                "select nope from " + orders + ";", "ODPS-0130071:[1,8] Semantic analysis exception",
                "select * from java_nowhere;", "ODPS-0130131:[1,15] Table not found",
                "drop table java_nowhere;", "ODPS-0130131");
        for (var entry : failures.entrySet()) {
            Checks.refused(OdpsException.class, entry.getValue(), () -> server.run(entry.getKey()));
        }
        Instance failed = SQLTask.run(server.odps, "select * from;");
        failed.waitForTerminated(20, false);
        Checks.check("failed", failed.isTerminated() && !failed.isSuccessful());
        Checks.refused(OdpsException.class, "", () -> SQLTask.getResultByInstanceTunnel(failed));
    }
}
