"""Reads a window of a topic of orders with Spark's batch source for Kafka and writes it as Parquet; to be run by spark-submit."""

import argparse

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

ORDER = """
    `order` STRUCT<id: BIGINT, number: STRING, status: STRING, created_at: STRING, total: DOUBLE, gift: BOOLEAN>,
    `user` STRUCT<id: BIGINT, name: STRING, address: STRUCT<city: STRING>>,
    items ARRAY<STRUCT<sku: STRING>>,
    payment STRUCT<method: STRING, time: BIGINT>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ["brokers", "topic", "output"]:
        parser.add_argument(f"--{name}", required=True)
    for name in ["start-ms", "end-ms"]:
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args()

    spark = SparkSession.builder.appName("orders").getOrCreate()
    messages = (
        spark.read.format("kafka")
        .option("kafka.bootstrap.servers", args.brokers)
        .option("subscribe", args.topic)
        .option("startingTimestamp", args.start_ms)
        .option("endingTimestamp", args.end_ms)
        .option("includeHeaders", True)
        .load()
    )
    timestamp_ms = f.unix_millis("timestamp")
    header = f.transform("headers", lambda header: f.struct(header.key, header.value.cast("string").alias("value")))
    text = f.col("value").cast("string")
    rows = messages.where((timestamp_ms >= args.start_ms) & (timestamp_ms < args.end_ms)).select(
        f.from_json(text, ORDER).alias("json"),
        f.col("key").cast("string").alias("message_key"),
        text.alias("message_value"),
        f.col("partition").cast("bigint").alias("kafka_partition"),
        f.col("offset").alias("kafka_offset"),
        timestamp_ms.alias("kafka_timestamp"),
        f.to_json(header).alias("headers"),
    )
    rows.select(
        f.col("json.order.id").alias("order_id"),
        f.col("json.order.number").alias("order_number"),
        f.col("json.order.status").alias("order_status"),
        "json.order.created_at",
        "json.order.total",
        "json.order.gift",
        f.col("json.user.id").alias("user_id"),
        f.col("json.user.name").alias("user_name"),
        "json.user.address.city",
        f.col("json.items")[0]["sku"].alias("first_sku"),
        f.col("json.payment.method").alias("payment_method"),
        f.col("json.payment.time").alias("payment_time"),
        "message_key",
        "message_value",
        "kafka_partition",
        "kafka_offset",
        "kafka_timestamp",
        "headers",
    ).write.mode("overwrite").parquet(args.output)
    spark.stop()


if __name__ == "__main__":
    main()
