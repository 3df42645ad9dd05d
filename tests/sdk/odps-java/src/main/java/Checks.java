import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.Callable;

/** Assertions. */
final class Checks {
    private Checks() {}

    static void check(String what, boolean holds) {
        if (!holds) {
            throw new AssertionError(what + ": does not hold");
        }
    }

    static void equal(String what, Object expected, Object found) {
        if (!Objects.deepEquals(expected, found)) {
            throw new AssertionError(what + ": found " + show(found) + ", expected " + show(expected));
        }
    }

    /** Fails unless the call throws an exception that is, or was caused by, a {@code kind} with {@code part} in its text or code. */
    static <E extends Exception> E refused(Class<E> kind, String part, Callable<?> call) {
        try {
            call.call();
        } catch (Exception thrown) {
            for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
                if (kind.isInstance(cause) && (cause + " " + code(cause)).contains(part)) {
                    return kind.cast(cause);
                }
            }
            throw new AssertionError("expected a " + kind.getSimpleName() + " with " + part, thrown);
        }
        throw new AssertionError("nothing was refused; a " + kind.getSimpleName() + " with " + part + " was expected");
    }

    private static String code(Throwable thrown) {
        return thrown instanceof com.aliyun.odps.OdpsException failure ? failure.getErrorCode() : "";
    }

    private static String show(Object value) {
        return value instanceof Object[] values ? Arrays.deepToString(values) : String.valueOf(value);
    }
}
