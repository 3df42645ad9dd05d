import com.aliyun.odps.NoSuchObjectException;
import com.aliyun.odps.Odps;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.TableSchema;
import com.aliyun.odps.account.Account;
import com.aliyun.odps.account.AliyunAccount;
import com.aliyun.odps.account.StsAccount;
import com.aliyun.odps.tunnel.TableTunnel;
import com.aliyun.odps.tunnel.TunnelException;
import java.util.List;

/** Refusals, with the codes that the Java client shows; and the ways to sign. */
final class ErrorChecks {
    private final Server server;

    ErrorChecks(Server server) {
        this.server = server;
    }

    void checkAll() throws Exception {
        String table = server.fresh("present", Server.people("ds string")).getName();
        checkMissing(table);
        checkCredentials(table);
        checkSignatures(table);
    }

    private void checkMissing(String table) throws Exception {
        String absent = Server.PREFIX + "absent";
        code(NoSuchObjectException.class, "NoSuchTable", () -> server.odps.tables().get(absent).reload());
        code(NoSuchObjectException.class, "NoSuchProject", () -> server.odps.projects().get("elsewhere").reload());
        Checks.check("the project", server.odps.projects().exists(server.project) && !server.odps.projects().exists("elsewhere"));
        code(TunnelException.class, "NoSuchTable", () -> server.tunnel.createUploadSession(server.project, absent));
        code(TunnelException.class, "NoSuchTable", () -> server.download(server.tunnel, absent, null));
        PartitionSpec missing = new PartitionSpec("ds='1'");
        code(TunnelException.class, "NoSuchPartition", () -> server.tunnel.createUploadSession(server.project, table, missing));
        code(TunnelException.class, "NoSuchPartition", () -> server.download(server.tunnel, table, "ds='1'"));
        code(TunnelException.class, "MissingPartitionSpec", () -> server.tunnel.createUploadSession(server.project, table));
        code(TunnelException.class, "InvalidPartitionSpec",
                () -> server.tunnel.createUploadSession(server.project, table, new PartitionSpec("nope='1'")));
        code(NoSuchObjectException.class, "NoSuchPartition",
                () -> server.odps.tables().get(table).getPartition(missing).reload());
    }

    private interface Call {
        void run() throws Exception;
    }

    /** Fails unless the call throws exactly this code, with the id of a request. */
    private static <E extends OdpsException> void code(Class<E> kind, String code, Call call) {
        E failure = Checks.refused(kind, code, () -> {
            call.run();
            return null;
        });
        Checks.equal("code", code, failure.getErrorCode());
        Checks.check(code + " names its request", failure.getRequestId() != null && !failure.getRequestId().isEmpty());
    }

    private void checkCredentials(String table) {
        Odps wrong = server.client(new AliyunAccount(server.accessId, "not the secret"));
        code(OdpsException.class, "SignatureNotMatch", () -> wrong.tables().get(table).reload());
        Odps nobody = server.client(new AliyunAccount("nobody", server.secret));
        code(OdpsException.class, "Unauthorized", () -> nobody.tables().get(table).reload());
        TableTunnel tunnel = new TableTunnel(wrong);
        tunnel.setEndpoint(server.endpoint.replaceFirst("/api$", ""));
        code(TunnelException.class, "SignatureNotMatch",
                () -> tunnel.createUploadSession(server.project, table, new PartitionSpec("ds='1'")));
    }

    /** With a region, which makes both endpoints' requests be signed by version 4. */
    private void checkSignatures(String table) throws Exception {
        server.partitions(server.odps.tables().get(table), "ds='a b'");
        checkLoad(new AliyunAccount(server.accessId, server.secret, "cn-shanghai"), table);
    }

    /** A server that knows a temporary access key takes it with its token only. */
    void checkToken(String token) throws Exception {
        StsAccount temporary = new StsAccount(server.accessId, server.secret, token);
        Odps odps = server.client(temporary);
        String table = Server.PREFIX + "temporary";
        TableSchema schema = Server.people("ds string");
        odps.tables().create(server.project, table, schema, false);
        odps.tables().get(table).createPartition(new PartitionSpec("ds='a b'"));
        checkLoad(temporary, table);
        checkLoad(new StsAccount(server.accessId, server.secret, token, "cn-shanghai"), table);
        Account lasting = new AliyunAccount(server.accessId, server.secret);
        for (Account other : List.of(lasting, new StsAccount(server.accessId, server.secret, token + "!"))) {
            code(OdpsException.class, "Unauthorized", () -> server.client(other).tables().get(table).reload());
        }
        odps.tables().delete(table);
    }

    private void checkLoad(Account account, String table) throws Exception {
        Odps odps = server.client(account);
        Checks.check("exists", odps.tables().exists(table));
        TableTunnel tunnel = new TableTunnel(odps);
        var session = tunnel.createUploadSession(server.project, table, new PartitionSpec("ds='a b'"), true);
        Server.write(session, session.openRecordWriter(0), Server.people(0, 3));
        session.commit(new Long[] {0L});
        var download = server.download(tunnel, table, "ds='a b'");
        Checks.equal("rows", 3L, download.getRecordCount());
    }
}
