import com.aliyun.odps.data.Binary;
import com.aliyun.odps.type.ArrayTypeInfo;
import com.aliyun.odps.type.DecimalTypeInfo;
import com.aliyun.odps.type.MapTypeInfo;
import com.aliyun.odps.type.StructTypeInfo;
import com.aliyun.odps.type.TypeInfo;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.BitVector;
import org.apache.arrow.vector.DateDayVector;
import org.apache.arrow.vector.DateMilliVector;
import org.apache.arrow.vector.DecimalVector;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.Float4Vector;
import org.apache.arrow.vector.Float8Vector;
import org.apache.arrow.vector.IntVector;
import org.apache.arrow.vector.SmallIntVector;
import org.apache.arrow.vector.TimeStampVector;
import org.apache.arrow.vector.TinyIntVector;
import org.apache.arrow.vector.VarBinaryVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.complex.ListVector;
import org.apache.arrow.vector.complex.StructVector;

/** The same values in Arrow vectors. */
final class ArrowValues {
    private ArrowValues() {}

    /** Fills all rows of the file into vectors of the session's schema. */
    static void fill(Values values, VectorSchemaRoot root) {
        for (Values.Expected column : values.columns) {
            FieldVector vector = root.getVector(column.name());
            vector.allocateNew();
            for (int row = 0; row < values.rows; row++) {
                put(vector, row, column.type(), column.texts().get(row));
            }
            vector.setValueCount(values.rows);
        }
        root.setRowCount(values.rows);
    }

    private static void put(FieldVector vector, int at, TypeInfo type, Object text) {
        if (text == null) {
            vector.setNull(at);
        } else if (text instanceof List<?> texts) {
            putNested(vector, at, type, texts);
        } else {
            putScalar(vector, at, (String) text);
        }
    }

    private static void putNested(FieldVector vector, int at, TypeInfo type, List<?> texts) {
        if (vector instanceof StructVector struct) {
            List<TypeInfo> fields = type instanceof MapTypeInfo map
                    ? List.of(map.getKeyTypeInfo(), map.getValueTypeInfo())
                    : ((StructTypeInfo) type).getFieldTypeInfos();
            struct.setIndexDefined(at);
            for (int field = 0; field < texts.size(); field++) {
                put((FieldVector) struct.getChildByOrdinal(field), at, fields.get(field), texts.get(field));
            }
            return;
        }
        ListVector list = (ListVector) vector;
        // The elements of a map are structs of key and value.
        TypeInfo element = type instanceof ArrayTypeInfo array ? array.getElementTypeInfo() : type;
        int start = list.startNewValue(at);
        for (int inner = 0; inner < texts.size(); inner++) {
            put(list.getDataVector(), start + inner, element, texts.get(inner));
        }
        list.endValue(at, texts.size());
    }

    private static void putScalar(FieldVector vector, int at, String text) {
        if (vector instanceof TinyIntVector ints) {
            ints.setSafe(at, Byte.parseByte(text));
        } else if (vector instanceof SmallIntVector ints) {
            ints.setSafe(at, Short.parseShort(text));
        } else if (vector instanceof IntVector ints) {
            ints.setSafe(at, Integer.parseInt(text));
        } else if (vector instanceof BigIntVector ints) {
            ints.setSafe(at, Long.parseLong(text));
        } else if (vector instanceof Float4Vector floats) {
            floats.setSafe(at, Float.parseFloat(text));
        } else if (vector instanceof Float8Vector doubles) {
            doubles.setSafe(at, Double.parseDouble(text));
        } else if (vector instanceof BitVector bits) {
            bits.setSafe(at, Boolean.parseBoolean(text) ? 1 : 0);
        } else if (vector instanceof DecimalVector decimals) {
            decimals.setSafe(at, new BigDecimal(text));
        } else if (vector instanceof VarCharVector texts) {
            texts.setSafe(at, text.getBytes(StandardCharsets.UTF_8));
        } else if (vector instanceof VarBinaryVector bytes) {
            bytes.setSafe(at, java.util.HexFormat.of().parseHex(text));
        } else if (vector instanceof DateDayVector days) {
            days.setSafe(at, Math.toIntExact(LocalDate.parse(text).toEpochDay()));
        } else if (vector instanceof DateMilliVector instants) {
            instants.setSafe(at, Long.parseLong(text));
        } else {
            ((TimeStampVector) vector).setSafe(at, Long.parseLong(text));
        }
    }

    /** The value of a column, as {@link Values#show} takes it. */
    static Object value(FieldVector vector, int at, TypeInfo type) {
        if (vector.isNull(at)) {
            return null;
        }
        return switch (type.getOdpsType()) {
            case BOOLEAN -> ((BitVector) vector).get(at) == 1;
            case STRING, VARCHAR, CHAR, JSON -> new String(((VarCharVector) vector).get(at), StandardCharsets.UTF_8);
            case BINARY -> new Binary(((VarBinaryVector) vector).get(at));
            case DECIMAL -> ((DecimalVector) vector).getObject(at).setScale(((DecimalTypeInfo) type).getScale());
            case DATE -> LocalDate.ofEpochDay(((DateDayVector) vector).get(at));
            case DATETIME -> ZonedDateTime.ofInstant(Instant.ofEpochMilli(number(vector, at)), ZoneOffset.UTC);
            case TIMESTAMP -> Values.instant(number(vector, at));
            case TIMESTAMP_NTZ -> LocalDateTime.ofInstant(Values.instant(number(vector, at)), ZoneOffset.UTC);
            case ARRAY, MAP, STRUCT -> nested(vector, at, type);
            default -> vector.getObject(at);
        };
    }

    private static long number(FieldVector vector, int at) {
        return vector instanceof DateMilliVector millis ? millis.get(at) : ((TimeStampVector) vector).get(at);
    }

    private static Object nested(FieldVector vector, int at, TypeInfo type) {
        if (type instanceof StructTypeInfo struct) {
            List<Object> fields = new ArrayList<>();
            for (int field = 0; field < struct.getFieldCount(); field++) {
                FieldVector child = (FieldVector) ((StructVector) vector).getChildByOrdinal(field);
                fields.add(value(child, at, struct.getFieldTypeInfos().get(field)));
            }
            return fields;
        }
        ListVector list = (ListVector) vector;
        int start = list.getElementStartIndex(at);
        int end = list.getElementEndIndex(at);
        if (type instanceof ArrayTypeInfo array) {
            List<Object> elements = new ArrayList<>();
            for (int inner = start; inner < end; inner++) {
                elements.add(value(list.getDataVector(), inner, array.getElementTypeInfo()));
            }
            return elements;
        }
        MapTypeInfo map = (MapTypeInfo) type;
        StructVector pairs = (StructVector) list.getDataVector();
        Map<Object, Object> entries = new LinkedHashMap<>();
        for (int inner = start; inner < end; inner++) {
            Object key = value((FieldVector) pairs.getChildByOrdinal(0), inner, map.getKeyTypeInfo());
            entries.put(key, value((FieldVector) pairs.getChildByOrdinal(1), inner, map.getValueTypeInfo()));
        }
        return entries;
    }
}
