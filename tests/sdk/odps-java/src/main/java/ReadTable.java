import com.aliyun.odps.TableSchema;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.tunnel.TableTunnel.DownloadSession;
import com.aliyun.odps.type.TypeInfo;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.BufferedWriter;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.arrow.vector.VectorSchemaRoot;

/**
 * Prints the rows of a table for {@code table_truth.py}: {@code ReadTable ENDPOINT PROJECT ACCESS_ID SECRET_VARIABLE
 * record|arrow TABLE [PARTITION]}.
 *
 * <p>The first line is a JSON array of the columns, {@code [name, type]} each; every other one a row, an array of texts or nulls.
 * Texts are as {@link Values#show} has them, but for floating-point numbers, which are written as Java does.
 */
public final class ReadTable {
    private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

    private ReadTable() {}

    public static void main(String[] arguments) throws Exception {
        if (arguments.length < 6) {
            System.err.println("usage: ReadTable ENDPOINT PROJECT ACCESS_ID SECRET_VARIABLE record|arrow TABLE [PARTITION]");
            System.exit(2);
        }
        Server server = new Server(arguments[0], arguments[1], arguments[2], System.getenv(arguments[3]));
        String partition = arguments.length > 6 ? arguments[6] : null;
        DownloadSession session = server.download(server.tunnel, arguments[5], partition);
        try (var out = new PrintWriter(new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8)))) {
            TableSchema schema = session.getSchema();
            out.println(GSON.toJson(schema.getColumns().stream()
                    .map(column -> List.of(column.getName(), column.getTypeInfo().getTypeName())).toList()));
            if (arguments[4].equals("arrow")) {
                printArrow(session, out);
            } else {
                printRecords(session, out);
            }
        }
        System.exit(0);
    }

    private static void printRecords(DownloadSession session, PrintWriter out) throws Exception {
        TableSchema schema = session.getSchema();
        try (var reader = session.openRecordReader(0, session.getRecordCount())) {
            for (Record record = reader.read(); record != null; record = reader.read()) {
                List<Object> row = new ArrayList<>();
                for (int at = 0; at < schema.getColumns().size(); at++) {
                    row.add(show(schema.getColumn(at).getTypeInfo(), record.get(at)));
                }
                out.println(GSON.toJson(row));
            }
        }
    }

    private static void printArrow(DownloadSession session, PrintWriter out) throws Exception {
        TableSchema schema = session.getSchema();
        try (var reader = session.openArrowRecordReader(0, session.getRecordCount())) {
            for (VectorSchemaRoot root = reader.read(); root != null; root = reader.read()) {
                for (int at = 0; at < root.getRowCount(); at++) {
                    List<Object> row = new ArrayList<>();
                    for (int column = 0; column < schema.getColumns().size(); column++) {
                        TypeInfo type = schema.getColumn(column).getTypeInfo();
                        row.add(show(type, ArrowValues.value(root.getVector(column), at, type)));
                    }
                    out.println(GSON.toJson(row));
                }
            }
        }
    }

    private static Object show(TypeInfo type, Object value) {
        return value instanceof Double || value instanceof Float ? value.toString() : Values.show(type, value);
    }
}
