import com.aliyun.odps.Column;
import com.aliyun.odps.Instance;
import com.aliyun.odps.Table;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.RecordReader;
import com.aliyun.odps.data.RecordWriter;
import com.aliyun.odps.task.SQLTask;
import com.aliyun.odps.tunnel.TableTunnel.DownloadSession;
import com.aliyun.odps.tunnel.TableTunnel.UploadSession;
import java.util.ArrayList;
import java.util.List;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;

/** Every type's values, written in either form and read in both. */
final class ValueChecks {
    private final Server server;
    private final Values values;

    ValueChecks(Server server, Values values) {
        this.server = server;
        this.values = values;
    }

    void checkAll() throws Exception {
        Table records = server.fresh("values_records", values.schema());
        UploadSession session = server.upload(records.getName(), null, false);
        try (RecordWriter writer = session.openRecordWriter(0)) {
            for (int row = 0; row < values.rows; row++) {
                Record record = session.newRecord();
                values.fill(record, row);
                writer.write(record);
            }
        }
        session.commit(new Long[] {0L});
        read(records.getName());

        read(fillArrow("values_arrow"));
    }

    /** Makes a table of the file's rows in Arrow form. */
    String fillArrow(String name) throws Exception {
        Table arrow = server.fresh(name, values.schema());
        UploadSession session = server.upload(arrow.getName(), null, false);
        try (RootAllocator allocator = new RootAllocator();
                VectorSchemaRoot root = VectorSchemaRoot.create(session.getArrowSchema(), allocator)) {
            ArrowValues.fill(values, root);
            try (var writer = session.openArrowRecordWriter(0)) {
                writer.write(root);
            }
        }
        session.commit(new Long[] {0L});
        return arrow.getName();
    }

    /** Compares a table with the file: as records and Arrow, and from a query. */
    void read(String table) throws Exception {
        DownloadSession session = server.download(server.tunnel, table, null);
        Checks.equal(table + ": rows", (long) values.rows, session.getRecordCount());
        values.compare(table + " as records", records(session.openRecordReader(0, values.rows)));
        compareArrow(table, session);
        Instance instance = server.run("select * from " + table + ";");
        values.compare(table + " selected", SQLTask.getResultByInstanceTunnel(instance));
    }

    private static List<Record> records(RecordReader reader) throws Exception {
        List<Record> records = new ArrayList<>();
        try (reader) {
            for (Record record = reader.read(); record != null; record = reader.read()) {
                records.add(record);
            }
        }
        return records;
    }

    private void compareArrow(String table, DownloadSession session) throws Exception {
        List<Column> columns = session.getSchema().getColumns();
        List<List<Object>> found = new ArrayList<>();
        columns.forEach(column -> found.add(new ArrayList<>()));
        try (var reader = session.openArrowRecordReader(0, values.rows)) {
            for (VectorSchemaRoot root = reader.read(); root != null; root = reader.read()) {
                for (int at = 0; at < columns.size(); at++) {
                    var type = values.columns.get(at).type();
                    for (int row = 0; row < root.getRowCount(); row++) {
                        found.get(at).add(Values.show(type, ArrowValues.value(root.getVector(at), row, type)));
                    }
                }
            }
        }
        for (int at = 0; at < columns.size(); at++) {
            Values.Expected expected = values.columns.get(at);
            Checks.equal(table + " as Arrow: column " + expected.name(), expected.shown(), found.get(at));
        }
    }
}
