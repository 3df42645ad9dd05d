import com.aliyun.odps.Column;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.Table;
import com.aliyun.odps.data.ArrowRecordReader;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.RecordPack;
import com.aliyun.odps.data.RecordReader;
import com.aliyun.odps.tunnel.TableTunnel;
import com.aliyun.odps.tunnel.TableTunnel.DownloadSession;
import com.aliyun.odps.tunnel.TableTunnel.UploadSession;
import com.aliyun.odps.tunnel.TunnelException;
import com.aliyun.odps.tunnel.io.CompressOption;
import com.aliyun.odps.tunnel.io.CompressOption.CompressAlgorithm;
import com.aliyun.odps.tunnel.io.TunnelBufferedWriter;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.DecimalVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.ipc.ArrowStreamReader;

/** Upload and download sessions in record and Arrow form, and previews. */
final class TunnelChecks {
    private static final List<CompressAlgorithm> RECORD_CODECS = List.of(CompressAlgorithm.ODPS_RAW, CompressAlgorithm.ODPS_ZLIB,
            CompressAlgorithm.ODPS_SNAPPY, CompressAlgorithm.ODPS_LZ4_FRAME, CompressAlgorithm.ODPS_ZSTD);
    /** The client refuses to send Arrow with zstd. */
    private static final List<CompressAlgorithm> ARROW_CODECS = List.of(CompressAlgorithm.ODPS_RAW, CompressAlgorithm.ODPS_ZLIB,
            CompressAlgorithm.ODPS_SNAPPY, CompressAlgorithm.ODPS_ARROW_LZ4_FRAME);

    private final Server server;

    TunnelChecks(Server server) {
        this.server = server;
    }

    void checkAll() throws Exception {
        checkBlocks();
        checkWriters();
        checkOverwrite();
        checkRangesAndColumns();
        checkCodecs();
        checkSessions();
        checkSeveralWriters();
        checkPreview();
    }

    private static CompressOption option(CompressAlgorithm algorithm) {
        return new CompressOption(algorithm, 1, 0);
    }

    private static void putRecords(UploadSession session, long block, List<List<Object>> rows) throws Exception {
        Server.write(session, session.openRecordWriter(block), rows);
    }

    private static void putArrow(UploadSession session, long block, CompressAlgorithm algorithm, List<List<Object>> rows) throws Exception {
        try (RootAllocator allocator = new RootAllocator();
                VectorSchemaRoot root = VectorSchemaRoot.create(session.getArrowSchema(), allocator)) {
            root.allocateNew();
            for (int at = 0; at < rows.size(); at++) {
                ((BigIntVector) root.getVector(0)).setSafe(at, (Long) rows.get(at).get(0));
                if (rows.get(at).get(1) instanceof String name) {
                    ((VarCharVector) root.getVector(1)).setSafe(at, name.getBytes());
                }
                ((DecimalVector) root.getVector(2)).setSafe(at, (BigDecimal) rows.get(at).get(2));
            }
            root.setRowCount(rows.size());
            try (var writer = session.openArrowRecordWriter(block, option(algorithm))) {
                writer.write(root);
            }
        }
    }

    private static List<List<Object>> arrowRows(ArrowRecordReader reader) throws Exception {
        List<List<Object>> rows = new ArrayList<>();
        for (VectorSchemaRoot root = reader.read(); root != null; root = reader.read()) {
            addRows(rows, root);
        }
        return rows;
    }

    private static void addRows(List<List<Object>> rows, VectorSchemaRoot root) {
        for (int at = 0; at < root.getRowCount(); at++) {
            List<Object> row = new ArrayList<>();
            for (var vector : root.getFieldVectors()) {
                Object value = vector.getObject(at);
                row.add(value instanceof org.apache.arrow.vector.util.Text text ? text.toString() : value);
            }
            rows.add(row);
        }
    }

    /** A block sent again replaces itself; the block list must be right; forms may be mixed. */
    private void checkBlocks() throws Exception {
        String table = server.fresh("blocks", Server.people()).getName();
        UploadSession session = server.upload(table, null, false);
        putRecords(session, 0, Server.people(0, 5));
        putArrow(session, 0, CompressAlgorithm.ODPS_RAW, Server.people(10, 12));
        putArrow(session, 7, CompressAlgorithm.ODPS_RAW, Server.people(0, 3));
        putRecords(session, 7, Server.people(20, 23));
        putRecords(session, 19_999, Server.people(99, 100));
        Checks.equal("block list", List.of(0L, 7L, 19_999L), Arrays.stream(session.getBlockList()).sorted().toList());
        for (Long[] wrong : new Long[][] {{0L, 7L}, {0L, 7L, 19_999L, 5L}, {0L, 7L, 5L}, {}}) {
            Checks.refused(TunnelException.class, "lock", () -> {
                session.commit(wrong);
                return null;
            });
        }
        Checks.refused(Exception.class, "InvalidBlockID", () -> {
            putRecords(session, 20_000, Server.people(0, 1));
            return null;
        });
        Checks.equal("nothing is seen before", List.of(), server.read(table, null));
        session.commit(new Long[] {0L, 7L, 19_999L});
        List<List<Object>> expected = new ArrayList<>(Server.people(10, 12));
        expected.addAll(Server.people(20, 23));
        expected.addAll(Server.people(99, 100));
        Checks.equal("rows", expected, server.read(table, null));
    }

    private void checkWriters() throws Exception {
        String table = server.fresh("writers", Server.people()).getName();
        UploadSession session = server.upload(table, null, false);
        TunnelBufferedWriter buffered = (TunnelBufferedWriter) session.openBufferedWriter(option(CompressAlgorithm.ODPS_ZLIB));
        buffered.setBufferSize(1 << 20);
        try (buffered) {
            for (List<Object> row : Server.people(0, 1_000)) {
                buffered.write(Server.record(session, row));
                if (row.get(0).equals(499L)) {
                    buffered.flush();
                }
            }
        }
        session.commit();
        Checks.equal("rows of a buffered writer", Server.people(0, 1_000), server.read(table, null));
        UploadSession packed = server.upload(table, null, true);
        RecordPack pack = packed.newRecordPack(option(CompressAlgorithm.ODPS_ZLIB));
        for (List<Object> row : Server.people(0, 10)) {
            pack.append(Server.record(packed, row));
        }
        // A later block version wins, in whatever order they come.
        packed.writeBlock(3, pack, 0, 2);
        RecordPack older = packed.newRecordPack();
        older.append(Server.record(packed, Server.people(50, 51).get(0)));
        packed.writeBlock(3, older, 0, 1);
        packed.commit(new Long[] {3L});
        Checks.equal("rows of a pack", Server.people(0, 10), server.read(table, null));
    }

    private void checkOverwrite() throws Exception {
        Table table = server.fresh("replaced", Server.people("ds string"));
        server.partitions(table, "ds='a'", "ds='b'");
        for (String spec : List.of("ds='a'", "ds='b'")) {
            server.load(table.getName(), spec, false, Server.people(0, 4));
        }
        UploadSession session = server.upload(table.getName(), "ds='a'", true);
        putRecords(session, 0, Server.people(7, 8));
        Checks.equal("before the commit", 4, people(table, "ds='a'").size());
        session.commit(new Long[] {0L});
        Checks.equal("after it", Server.people(7, 8), people(table, "ds='a'"));
        Checks.equal("the other partition", Server.people(0, 4), people(table, "ds='b'"));
        server.upload(table.getName(), "ds='b'", true).commit(new Long[0]);
        Checks.equal("overwritten by nothing", List.of(), people(table, "ds='b'"));
    }

    /** The rows of a table partition without its key, which the client appends. */
    private List<List<Object>> people(Table table, String spec) throws Exception {
        return server.read(table.getName(), spec).stream().map(row -> row.subList(0, 3)).toList();
    }

    private void checkRangesAndColumns() throws Exception {
        String table = server.fresh("ranges", Server.people()).getName();
        UploadSession session = server.upload(table, null, false);
        for (int block = 0; block < 3; block++) {
            putRecords(session, block, Server.people(block * 10, block * 10 + 10));
        }
        session.commit(new Long[] {0L, 1L, 2L});
        DownloadSession download = server.tunnel.buildDownloadSession(server.project, table).build();
        for (int[] range : new int[][] {{0, 30}, {5, 10}, {9, 2}, {29, 1}, {0, 1}}) {
            String what = Arrays.toString(range);
            List<List<Object>> expected = Server.people(range[0], range[0] + range[1]);
            Checks.equal("records " + what, expected, Server.rows(download.openRecordReader(range[0], range[1])));
            try (var reader = download.openArrowRecordReader(range[0], range[1])) {
                Checks.equal("Arrow " + what, expected, arrowRows(reader));
            }
        }
        List<Column> chosen = List.of(download.getSchema().getColumn("price"), download.getSchema().getColumn("id"));
        List<List<Object>> expected = Server.people(8, 13).stream().map(row -> List.of(row.get(2), row.get(0))).toList();
        Checks.equal("columns of records", expected, Server.rows(download.openRecordReader(8, 5, false, chosen)));
        try (var reader = download.openArrowRecordReader(8, 5, chosen)) {
            Checks.equal("columns of Arrow", expected, arrowRows(reader));
        }
        DownloadSession again = server.tunnel.getDownloadSession(server.project, table, download.getId());
        Checks.equal("the same session", 30L, again.getRecordCount());
        Checks.equal("its status", TableTunnel.DownloadStatus.NORMAL, again.getStatus());
    }

    private void checkCodecs() throws Exception {
        String table = server.fresh("codecs", Server.people()).getName();
        List<List<Object>> rows = Server.people(0, 2_000);
        for (CompressAlgorithm algorithm : RECORD_CODECS) {
            UploadSession session = server.upload(table, null, true);
            Server.write(session, session.openRecordWriter(0, option(algorithm)), rows);
            session.commit(new Long[] {0L});
            DownloadSession download = server.download(server.tunnel, table, null);
            Checks.equal("records, " + algorithm, rows, Server.rows(download.openRecordReader(0, 2_000, option(algorithm))));
        }
        for (CompressAlgorithm algorithm : ARROW_CODECS) {
            UploadSession session = server.upload(table, null, true);
            putArrow(session, 0, algorithm, rows);
            session.commit(new Long[] {0L});
            DownloadSession download = server.download(server.tunnel, table, null);
            try (var reader = download.openArrowRecordReader(0, 2_000, option(algorithm))) {
                Checks.equal("Arrow, " + algorithm, rows, arrowRows(reader));
            }
        }
    }

    /** Sessions that are not there, closed, or another table's. */
    private void checkSessions() throws Exception {
        String table = server.fresh("sessions", Server.people()).getName();
        String other = server.fresh("other", Server.people()).getName();
        var upload = Checks.refused(TunnelException.class, "NoSuchUpload",
                () -> server.tunnel.getUploadSession(server.project, table, "2026nowhere"));
        Checks.equal("its code", "NoSuchUpload", upload.getErrorCode());
        Checks.refused(TunnelException.class, "NoSuchDownload",
                () -> server.tunnel.getDownloadSession(server.project, table, "2026nowhere"));
        UploadSession session = server.upload(table, null, false);
        Checks.refused(TunnelException.class, "InvalidResourceSpec",
                () -> server.tunnel.getUploadSession(server.project, other, session.getId()));
        putRecords(session, 0, Server.people(0, 3));
        UploadSession resumed = server.tunnel.getUploadSession(server.project, table, session.getId());
        Checks.equal("a resumed session", List.of(0L), List.of(resumed.getBlockList()));
        Checks.equal("its status", TableTunnel.UploadStatus.NORMAL, resumed.getStatus());
        putRecords(resumed, 1, Server.people(3, 5));
        resumed.commit(new Long[] {0L, 1L});
        Checks.equal("after the commit", TableTunnel.UploadStatus.CLOSED, resumed.getStatus());
        Checks.refused(Exception.class, "StatusConflict", () -> {
            putRecords(session, 2, Server.people(0, 1));
            return null;
        });
        session.commit(new Long[] {0L, 1L});
        Checks.equal("committed once", Server.people(0, 5), server.read(table, null));
        // A download session shows the table as it was, to those who ask for that.
        DownloadSession download = server.download(server.tunnel, table, null);
        server.load(table, null, true, Server.people(50, 51));
        Checks.refused(TunnelException.class, "TableModified", () -> download.openRecordReader(0, 5));
        Checks.equal("the snapshot", Server.people(0, 5), Server.rows(download.openRecordReader(0, 5, null, null, true)));
    }

    /** Writers on one session at the same time, with block ids of their own. */
    private void checkSeveralWriters() throws Exception {
        String table = server.fresh("shared", Server.people()).getName();
        UploadSession session = server.upload(table, null, false);
        var threads = Executors.newFixedThreadPool(4);
        List<Future<?>> done = new ArrayList<>();
        for (int writer = 0; writer < 4; writer++) {
            int first = writer;
            done.add(threads.submit(() -> {
                UploadSession mine = server.tunnel.getUploadSession(server.project, table, session.getId(), 4, first);
                for (int block = first; block < 24; block += 4) {
                    List<List<Object>> rows = Server.people(block * 100, block * 100 + 100);
                    if (block % 2 == 0) {
                        putRecords(mine, block, rows);
                    } else {
                        putArrow(mine, block, CompressAlgorithm.ODPS_ZLIB, rows);
                    }
                }
                return null;
            }));
        }
        for (Future<?> future : done) {
            future.get();
        }
        threads.shutdown();
        session.commit(LongStream.range(0, 24).boxed().toArray(Long[]::new));
        Checks.equal("rows", Server.people(0, 2_400), server.read(table, null));
    }

    private void checkPreview() throws Exception {
        Table table = server.fresh("preview", Server.people("ds string"));
        server.partitions(table, "ds='a'", "ds='b'");
        for (String spec : List.of("ds='a'", "ds='b'")) {
            server.load(table.getName(), spec, false, Server.people(0, 20));
        }
        // The client reads the preview that comes as Arrow, and falls back to the one that comes as text.
        try (ArrowStreamReader reader = server.tunnel.preview(server.project, "default", table.getName(), "ds='b'", 5L)) {
            List<List<Object>> rows = new ArrayList<>();
            while (reader.loadNextBatch()) {
                addRows(rows, reader.getVectorSchemaRoot());
            }
            Checks.equal("preview", Server.people(0, 5), rows.stream().map(row -> row.subList(0, 3)).toList());
        }
        Checks.equal("read", 7, count(table.read(7)));
        List<List<Object>> found = Server.rows(table.read(new PartitionSpec("ds='b'"), List.of("id", "name"), 3));
        Checks.equal("columns", List.of(List.of(0L, "n0"), List.of(1L, "n1"), Arrays.asList(2L, null)),
                found.stream().map(row -> row.subList(0, 2)).toList());
        for (boolean legacy : new boolean[] {true, false}) {
            RecordReader reader = table.read(new PartitionSpec("ds='a'"), null, 100, null, legacy);
            Checks.equal("all of a partition, legacy " + legacy, 20, count(reader));
        }
    }

    private static int count(RecordReader reader) throws Exception {
        int rows = 0;
        try (reader) {
            for (Record record = reader.read(); record != null; record = reader.read()) {
                rows++;
            }
        }
        return rows;
    }
}
