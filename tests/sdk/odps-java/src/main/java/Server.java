import com.aliyun.odps.Column;
import com.aliyun.odps.Instance;
import com.aliyun.odps.Odps;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.Table;
import com.aliyun.odps.TableSchema;
import com.aliyun.odps.account.Account;
import com.aliyun.odps.account.AliyunAccount;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.RecordReader;
import com.aliyun.odps.data.RecordWriter;
import com.aliyun.odps.task.SQLTask;
import com.aliyun.odps.tunnel.TableTunnel;
import com.aliyun.odps.tunnel.TableTunnel.DownloadSession;
import com.aliyun.odps.tunnel.TableTunnel.UploadSession;
import com.aliyun.odps.type.TypeInfoParser;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;

/** A server, a client of it, and tables of the checks' own. */
final class Server {
    /** What the names of all tables begin with. */
    static final String PREFIX = "java_";

    final String endpoint;
    final String project;
    final String accessId;
    final String secret;
    final Odps odps;
    final TableTunnel tunnel;
    private final Set<String> made = new TreeSet<>();

    Server(String endpoint, String project, String accessId, String secret) {
        this.endpoint = endpoint;
        this.project = project;
        this.accessId = accessId;
        this.secret = secret;
        this.odps = client(new AliyunAccount(accessId, secret));
        this.tunnel = new TableTunnel(odps);
    }

    /** A client with other credentials. */
    Odps client(Account account) {
        Odps client = new Odps(account);
        client.setEndpoint(endpoint);
        client.setDefaultProject(project);
        client.getRestClient().setRetryTimes(0);
        return client;
    }

    /** An empty table, whose name gets the prefix. The client's own methods wait a second for each statement. */
    Table fresh(String name, TableSchema schema) throws OdpsException {
        String full = PREFIX + name;
        made.add(full);
        run("drop table if exists " + full + ";");
        run(odps.tables().newTableCreator(project, full, schema).getSQL());
        return odps.tables().get(full);
    }

    /** Table partitions of a table. */
    void partitions(Table table, String... specs) throws OdpsException {
        for (String spec : specs) {
            run("alter table " + table.getName() + " add if not exists partition (" + spec + ");");
        }
    }

    /** Notes a table that was made otherwise. */
    String noted(String name) {
        made.add(PREFIX + name);
        return PREFIX + name;
    }

    void dropAll() throws OdpsException {
        for (String name : made) {
            run("drop table if exists " + name + ";");
        }
    }

    /** A schema of columns {@code name type}, and of partition keys behind {@code null}. */
    static TableSchema schema(String... columns) {
        TableSchema schema = new TableSchema();
        boolean keys = false;
        for (String text : columns) {
            if (text == null) {
                keys = true;
                continue;
            }
            String[] parts = text.split(" ", 2);
            Column column = new Column(parts[0], TypeInfoParser.getTypeInfoFromTypeString(parts[1]));
            if (keys) {
                schema.addPartitionColumn(column);
            } else {
                schema.addColumn(column);
            }
        }
        return schema;
    }

    static TableSchema people(String... keys) {
        List<String> columns = new ArrayList<>(List.of("id bigint", "name string", "price decimal(10,2)"));
        if (keys.length > 0) {
            columns.add(null);
            columns.addAll(Arrays.asList(keys));
        }
        return schema(columns.toArray(String[]::new));
    }

    /** Rows for {@link #people}; every third has no name. */
    static List<List<Object>> people(int start, int end) {
        return IntStream.range(start, end).mapToObj(Server::person).toList();
    }

    private static List<Object> person(int number) {
        String name = number % 3 == 2 ? null : "n" + number;
        return Arrays.asList((long) number, name, BigDecimal.valueOf(number * 100L + 50, 2));
    }

    /** Writes rows to a table, or table partition, in one session. */
    void load(String table, String partition, boolean overwrite, List<List<Object>> rows) throws Exception {
        UploadSession session = upload(table, partition, overwrite);
        write(session, session.openRecordWriter(0), rows);
        session.commit(new Long[] {0L});
    }

    UploadSession upload(String table, String partition, boolean overwrite) throws OdpsException {
        return partition == null
                ? tunnel.createUploadSession(project, table, overwrite)
                : tunnel.createUploadSession(project, table, new PartitionSpec(partition), overwrite);
    }

    DownloadSession download(TableTunnel tunnel, String table, String partition) throws OdpsException {
        var builder = tunnel.buildDownloadSession(project, table);
        if (partition != null) {
            builder.setPartitionSpec(new PartitionSpec(partition));
        }
        return builder.build();
    }

    /** Writes rows and closes the writer. */
    static void write(UploadSession session, RecordWriter writer, List<List<Object>> rows) throws Exception {
        try (writer) {
            for (List<Object> row : rows) {
                writer.write(record(session, row));
            }
        }
    }

    static Record record(UploadSession session, List<Object> row) {
        Record record = session.newRecord();
        for (int at = 0; at < row.size(); at++) {
            record.set(at, row.get(at));
        }
        return record;
    }

    /** All rows of a table or table partition. */
    List<List<Object>> read(String table, String partition) throws Exception {
        DownloadSession session = download(tunnel, table, partition);
        return rows(session.openRecordReader(0, session.getRecordCount()));
    }

    /** What a reader gives; partition keys, which the client appends, aside. */
    static List<List<Object>> rows(RecordReader reader) throws Exception {
        List<List<Object>> rows = new ArrayList<>();
        try (reader) {
            for (Record record = reader.read(); record != null; record = reader.read()) {
                rows.add(row(record));
            }
        }
        return rows;
    }

    static List<Object> row(Record record) {
        List<Object> row = new ArrayList<>();
        for (int at = 0; at < record.getColumnCount(); at++) {
            Object value = record.get(at);
            row.add(value instanceof byte[] bytes ? new String(bytes, java.nio.charset.StandardCharsets.UTF_8) : value);
        }
        return row;
    }

    /** Runs a statement to its end. */
    Instance run(String sql) throws OdpsException {
        Instance instance = SQLTask.run(odps, sql);
        instance.waitForSuccess(20);
        return instance;
    }

    /** The rows of a query, through the instance tunnel. */
    List<List<Object>> select(String sql) throws Exception {
        List<List<Object>> rows = new ArrayList<>();
        for (Record record : SQLTask.getResultByInstanceTunnel(run(sql))) {
            rows.add(row(record));
        }
        return rows;
    }
}
