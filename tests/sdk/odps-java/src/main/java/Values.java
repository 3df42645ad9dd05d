import com.aliyun.odps.Column;
import com.aliyun.odps.TableSchema;
import com.aliyun.odps.data.Binary;
import com.aliyun.odps.data.Char;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.SimpleJsonValue;
import com.aliyun.odps.data.SimpleStruct;
import com.aliyun.odps.data.Struct;
import com.aliyun.odps.data.Varchar;
import com.aliyun.odps.type.ArrayTypeInfo;
import com.aliyun.odps.type.DecimalTypeInfo;
import com.aliyun.odps.type.MapTypeInfo;
import com.aliyun.odps.type.StructTypeInfo;
import com.aliyun.odps.type.TypeInfo;
import com.aliyun.odps.type.TypeInfoParser;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Values of every MaxCompute type, from {@code values.json}, as the Java client takes and gives them.
 *
 * <p>The file writes a scalar as text, NULL as null, an array as a list, a map as a list of pairs and a struct as the list of
 * its fields. Instants count from the epoch: milliseconds in a DATETIME, nanoseconds in a TIMESTAMP.
 */
final class Values {
    /** A column of the file, and the texts of all rows. */
    record Expected(String name, TypeInfo type, List<Object> texts) {
        /** What {@link Values#show} must give for each row. */
        List<Object> shown() {
            List<Object> shown = new ArrayList<>();
            texts.forEach(text -> shown.add(show(type, value(type, text))));
            return shown;
        }
    }

    final List<Expected> columns = new ArrayList<>();
    final int rows;

    Values(Path file) throws Exception {
        JsonObject root = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
        int longest = 0;
        for (JsonElement entry : root.getAsJsonArray("columns")) {
            JsonObject column = entry.getAsJsonObject();
            List<Object> texts = new ArrayList<>();
            column.getAsJsonArray("values").forEach(value -> texts.add(text(value)));
            TypeInfo type = TypeInfoParser.getTypeInfoFromTypeString(column.get("type").getAsString());
            columns.add(new Expected(column.get("name").getAsString(), type, texts));
            longest = Math.max(longest, texts.size());
        }
        rows = longest;
        for (Expected column : columns) {
            while (column.texts.size() < rows) {
                column.texts.add(null);
            }
        }
    }

    private static Object text(JsonElement element) {
        if (element.isJsonNull()) {
            return null;
        }
        if (!element.isJsonArray()) {
            return element.getAsString();
        }
        List<Object> texts = new ArrayList<>();
        element.getAsJsonArray().forEach(inner -> texts.add(text(inner)));
        return texts;
    }

    TableSchema schema() {
        TableSchema schema = new TableSchema();
        columns.forEach(column -> schema.addColumn(new Column(column.name, column.type)));
        return schema;
    }

    /** Puts a row into a record. */
    void fill(Record record, int row) {
        for (int at = 0; at < columns.size(); at++) {
            record.set(at, value(columns.get(at).type, columns.get(at).texts.get(row)));
        }
    }

    /** Compares records with the file. */
    void compare(String what, List<Record> records) {
        Checks.equal(what + ": rows", rows, records.size());
        for (Expected column : columns) {
            List<Object> found = new ArrayList<>();
            records.forEach(record -> found.add(show(column.type, record.get(column.name))));
            Checks.equal(what + ": column " + column.name, column.shown(), found);
        }
    }

    /** The value that the client takes in a record. */
    static Object value(TypeInfo type, Object text) {
        if (text == null) {
            return null;
        }
        if (text instanceof List<?> texts) {
            return nested(type, texts);
        }
        String scalar = (String) text;
        return switch (type.getOdpsType()) {
            case TINYINT -> Byte.valueOf(scalar);
            case SMALLINT -> Short.valueOf(scalar);
            case INT -> Integer.valueOf(scalar);
            case BIGINT -> Long.valueOf(scalar);
            case FLOAT -> Float.valueOf(scalar);
            case DOUBLE -> Double.valueOf(scalar);
            case BOOLEAN -> Boolean.valueOf(scalar);
            case DECIMAL -> new BigDecimal(scalar);
            case VARCHAR -> new Varchar(scalar);
            case CHAR -> new Char(scalar);
            case BINARY -> new Binary(HexFormat.of().parseHex(scalar));
            case DATE -> LocalDate.parse(scalar);
            case DATETIME -> ZonedDateTime.ofInstant(Instant.ofEpochMilli(Long.parseLong(scalar)), ZoneOffset.UTC);
            case TIMESTAMP -> instant(Long.parseLong(scalar));
            case TIMESTAMP_NTZ -> LocalDateTime.ofInstant(instant(Long.parseLong(scalar)), ZoneOffset.UTC);
            case JSON -> new SimpleJsonValue(scalar);
            default -> scalar;
        };
    }

    private static Object nested(TypeInfo type, List<?> texts) {
        List<Object> values = new ArrayList<>();
        switch (type.getOdpsType()) {
            case ARRAY -> texts.forEach(text -> values.add(value(((ArrayTypeInfo) type).getElementTypeInfo(), text)));
            case STRUCT -> {
                StructTypeInfo struct = (StructTypeInfo) type;
                for (int at = 0; at < texts.size(); at++) {
                    values.add(value(struct.getFieldTypeInfos().get(at), texts.get(at)));
                }
                return new SimpleStruct(struct, values);
            }
            case MAP -> {
                MapTypeInfo map = (MapTypeInfo) type;
                Map<Object, Object> entries = new LinkedHashMap<>();
                for (Object pair : texts) {
                    List<?> entry = (List<?>) pair;
                    Object key = value(map.getKeyTypeInfo(), entry.get(0));
                    entries.put(key, value(map.getValueTypeInfo(), entry.get(1)));
                }
                return entries;
            }
            default -> throw new AssertionError(type.getTypeName() + " has no parts");
        }
        return values;
    }

    static Instant instant(long nanoseconds) {
        return Instant.ofEpochSecond(Math.floorDiv(nanoseconds, 1_000_000_000L), Math.floorMod(nanoseconds, 1_000_000_000L));
    }

    /** Nanoseconds since the epoch. */
    static String nanoseconds(Instant instant) {
        return BigDecimal.valueOf(instant.getEpochSecond()).movePointRight(9).add(BigDecimal.valueOf(instant.getNano())).toPlainString();
    }

    /** Texts, or lists of texts, that are equal where the values are equal in every bit that counts. */
    static Object show(TypeInfo type, Object value) {
        if (value == null) {
            return null;
        }
        return switch (type.getOdpsType()) {
            case FLOAT -> "%08x".formatted(Float.floatToIntBits((Float) value));
            case DOUBLE -> "%016x".formatted(Double.doubleToLongBits((Double) value));
            case DECIMAL -> ((BigDecimal) value).setScale(((DecimalTypeInfo) type).getScale(), RoundingMode.UNNECESSARY).toPlainString();
            case STRING -> value instanceof byte[] bytes ? new String(bytes, StandardCharsets.UTF_8) : value;
            case BINARY -> HexFormat.of().formatHex(((Binary) value).data());
            case DATETIME -> String.valueOf(((ZonedDateTime) value).toInstant().toEpochMilli());
            case TIMESTAMP -> nanoseconds((Instant) value);
            case TIMESTAMP_NTZ -> nanoseconds(((LocalDateTime) value).toInstant(ZoneOffset.UTC));
            case JSON -> JsonParser.parseString(value.toString()).toString();
            case ARRAY, MAP, STRUCT -> showNested(type, value);
            default -> value.toString();
        };
    }

    private static Object showNested(TypeInfo type, Object value) {
        List<Object> shown = new ArrayList<>();
        if (type instanceof ArrayTypeInfo array) {
            ((List<?>) value).forEach(element -> shown.add(show(array.getElementTypeInfo(), element)));
        } else if (type instanceof MapTypeInfo map) {
            List<List<Object>> entries = new ArrayList<>();
            ((Map<?, ?>) value).forEach((key, element) -> {
                List<Object> entry = new ArrayList<>();
                entry.add(show(map.getKeyTypeInfo(), key));
                entry.add(show(map.getValueTypeInfo(), element));
                entries.add(entry);
            });
            entries.sort(Comparator.comparing(entry -> (String) entry.get(0)));
            shown.addAll(entries);
        } else {
            StructTypeInfo struct = (StructTypeInfo) type;
            List<Object> fields = value instanceof Struct inner ? inner.getFieldValues() : new ArrayList<>((List<?>) value);
            for (int at = 0; at < fields.size(); at++) {
                shown.add(show(struct.getFieldTypeInfos().get(at), fields.get(at)));
            }
        }
        return shown;
    }
}
