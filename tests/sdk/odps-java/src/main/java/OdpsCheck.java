import java.nio.file.Path;

/**
 * Unmodified odps-sdk-core against a MaxCompute-compatible server that verifies signatures: {@code OdpsCheck ENDPOINT PROJECT
 * ACCESS_ID SECRET VALUES_JSON}. Tables it makes begin with {@code java_}. The first mismatch ends it with exit code 1.
 *
 * <p>With {@code fill} behind the arguments it only makes the table {@code java_filled} from the file; with {@code values:TABLE}
 * it only compares a table that another client made from it; with {@code token:TOKEN} it only checks a server whose access key is
 * temporary and has this token.
 */
public final class OdpsCheck {
    private OdpsCheck() {}

    private interface Part {
        void run() throws Exception;
    }

    public static void main(String[] arguments) {
        if (arguments.length < 5) {
            System.err.println("usage: OdpsCheck ENDPOINT PROJECT ACCESS_ID SECRET VALUES_JSON [fill | values:TABLE | token:TOKEN]");
            System.exit(2);
        }
        int status = 0;
        try {
            Server server = new Server(arguments[0], arguments[1], arguments[2], arguments[3]);
            Values values = new Values(Path.of(arguments[4]));
            ValueChecks valueChecks = new ValueChecks(server, values);
            if (arguments.length > 5) {
                String only = arguments[5];
                timed(only, () -> {
                    if (only.equals("fill")) {
                        valueChecks.fillArrow("filled");
                    } else if (only.startsWith("token:")) {
                        new ErrorChecks(server).checkToken(only.replaceFirst("^token:", ""));
                    } else {
                        valueChecks.read(only.replaceFirst("^values:", ""));
                    }
                });
            } else {
                timed("tables", new TableChecks(server, values)::checkAll);
                timed("values", valueChecks::checkAll);
                timed("tunnel", new TunnelChecks(server)::checkAll);
                timed("sql", new SqlChecks(server)::checkAll);
                timed("errors", new ErrorChecks(server)::checkAll);
                server.dropAll();
            }
            System.out.println("all checks passed");
        } catch (Exception | AssertionError failure) {
            failure.printStackTrace();
            status = 1;
        }
        // The client leaves threads behind.
        System.exit(status);
    }

    private static void timed(String name, Part part) throws Exception {
        long began = System.nanoTime();
        part.run();
        System.out.printf("%s: passed in %.1f s%n", name, (System.nanoTime() - began) / 1e9);
    }
}
