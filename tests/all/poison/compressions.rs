//! Topics whose batches are compressed in any way that Kafka knows, by a broker or by another producer.

use super::{CHARGE, OTHER, captures, publish_first};
use crate::harness::{Stage, alter_topic, run};

#[test]
fn each_compression_of_kafka_is_read() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_reads_after_ms = [100]").await;
        let (kafka, mut reader) = (stage.kafka(), stage.reader());
        let compress = async |codec: &str| {
            for topic in [&kafka.topics().inbox, &kafka.topics().state, &kafka.topics().events] {
                alter_topic(&kafka, topic, &[("compression.type", codec)]).await;
            }
        };
        compress("zstd").await;
        let app = stage.receiver().await;
        publish_first(&stage, &app, &mut reader).await;
        app.stop().await;
        compress("gzip").await;
        // It restores what was written with zstd.
        let app = stage.receiver().await;
        captures(&stage, &app, &mut reader, CHARGE).await;
        compress("snappy").await;
        captures(&stage, &app, &mut reader, OTHER).await;
        app.stop().await;
    });
}
