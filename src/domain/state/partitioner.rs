//! The owning partition of a merchant: the one that Kafka's default partitioner assigns to the merchant id, which is the
//! key of inbox records.

use crate::domain::pay::MerchantId;

/// The partition that holds the merchant's inbox records and state, out of `partitions`.
///
/// Equal to `partitioner=murmur2_random` of the inbox producer, which is the default of Java clients.
pub fn owning_partition(merchant: &MerchantId, partitions: i32) -> i32 {
    partition_of(merchant.as_str(), partitions)
}

/// The partition of a record with this key, out of `partitions`.
pub fn partition_of(key: &str, partitions: i32) -> i32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) as i32 % partitions.max(1)
}

/// MurmurHash 2 with Kafka's seed.
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = words.iter().fold(0x9747_b28c ^ bytes.len() as u32, |hash, word| {
        let word = u32::from_le_bytes(*word).wrapping_mul(M);
        hash.wrapping_mul(M) ^ (word ^ (word >> 24)).wrapping_mul(M)
    });
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Kafka's `UtilsTest.testMurmur2`.
    #[test]
    fn hash_equals_kafkas_murmur2() {
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn merchant_has_one_owning_partition() {
        let merchant = MerchantId::parse("abc").unwrap();
        assert_eq!((owning_partition(&merchant, 12), owning_partition(&merchant, 1)), (479_470_107 % 12, 0));
    }
}
