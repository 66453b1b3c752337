//! Appends a record that no client library writes: with a header whose name is not text.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Appends one record by a Produce request (version 3) with one record batch (magic 2) to the only broker.
pub(super) fn append_with_header_name(servers: &str, topic: &str, partition: i32, header_name: &[u8]) {
    let batch = batch(b"key", b"value", header_name);
    let mut request = Vec::new();
    for number in [0_i16, 3] {
        request.extend(number.to_be_bytes());
    }
    request.extend(7_i32.to_be_bytes());
    text(&mut request, "raw-producer");
    request.extend((-1_i16).to_be_bytes());
    request.extend(1_i16.to_be_bytes());
    for number in [10_000_i32, 1] {
        request.extend(number.to_be_bytes());
    }
    text(&mut request, topic);
    for number in [1, partition, i32::try_from(batch.len()).unwrap()] {
        request.extend(number.to_be_bytes());
    }
    request.extend(batch);
    let mut stream = TcpStream::connect(servers).unwrap();
    stream.write_all(&i32::try_from(request.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&request).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut answer).unwrap();
    // Correlation id, one topic with its name, one partition with its number, then the error code.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer[at..at + 2], [0, 0], "Kafka took the record");
}

fn batch(key: &[u8], value: &[u8], header_name: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0, 0];
    for part in [key, value] {
        bytes(&mut record, part);
    }
    varint(&mut record, 1);
    bytes(&mut record, header_name);
    bytes(&mut record, b"header value");
    let mut checked = Vec::new();
    checked.extend(0_i16.to_be_bytes());
    checked.extend(0_i32.to_be_bytes());
    for _ in 0..2 {
        checked.extend(1_767_323_045_000_i64.to_be_bytes());
    }
    checked.extend((-1_i64).to_be_bytes());
    checked.extend((-1_i16).to_be_bytes());
    for number in [-1_i32, 1] {
        checked.extend(number.to_be_bytes());
    }
    bytes(&mut checked, &record);
    let mut batch = 0_i64.to_be_bytes().to_vec();
    batch.extend(i32::try_from(checked.len() + 9).unwrap().to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

fn text(to: &mut Vec<u8>, text: &str) {
    to.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
    to.extend(text.as_bytes());
}

fn bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    varint(to, bytes.len());
    to.extend(bytes);
}

/// Zigzag, so a length is doubled.
fn varint(to: &mut Vec<u8>, length: usize) {
    let mut left = length * 2;
    while left >= 0x80 {
        to.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    to.push(left as u8);
}

fn crc32c(bytes: &[u8]) -> u32 {
    let of_bit = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), of_bit))
}
