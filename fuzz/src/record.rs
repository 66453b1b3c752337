//! A Kafka record as an input of the fuzzer, so that a mutation reaches a key, a header and a value without knowing Kafka.
//!
//! An input is one or more records with [`NEXT`] between them. A record is its key, its value, and a name and a value for each
//! header, with [`MARK`] between them. A record without a mark is a value without a key. No UTF-8 text holds these bytes.

/// Stands between the parts of a record.
pub const MARK: u8 = 0xff;
/// Stands between two records.
pub const NEXT: u8 = 0xfe;

/// A record as a consumer sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The records that an input stands for, at most [`RECORDS_MAX`].
    pub fn all_of(input: &[u8]) -> Vec<Self> {
        input.split(|byte| *byte == NEXT).take(RECORDS_MAX).map(Self::of).collect()
    }

    /// The record that an input without [`NEXT`] stands for.
    pub fn of(input: &[u8]) -> Self {
        let mut parts = input.split(|byte| *byte == MARK).map(<[u8]>::to_vec);
        let first = parts.next().unwrap_or_default();
        let Some(value) = parts.next() else { return Self { value: first, ..Self::default() } };
        let mut headers = Vec::new();
        while let Some(name) = parts.next() {
            // Kafka's client hands over no header whose name is not UTF-8.
            headers.push((String::from_utf8_lossy(&name).into_owned(), parts.next().unwrap_or_default()));
        }
        Self { key: first, value, headers }
    }

    /// The input that stands for this record, unless one of its parts holds a mark.
    pub fn to_input(&self) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = vec![&self.key, &self.value];
        parts.extend(self.headers.iter().flat_map(|(name, value)| [name.as_bytes(), value]));
        parts.join(&MARK)
    }

    /// The value of the first header with this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

/// More records show nothing new.
const RECORDS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_the_record_it_was_made_of() {
        let headers = vec![("a".to_owned(), b"1".to_vec()), ("a".to_owned(), vec![])];
        let record = Record { key: b"k".to_vec(), value: b"{}".to_vec(), headers };
        assert_eq!(Record::of(&record.to_input()), record);
        assert_eq!(Record::of(b"{}"), Record { value: b"{}".to_vec(), ..Record::default() });
        let two = [record.to_input(), vec![NEXT], record.to_input()].concat();
        assert_eq!(Record::all_of(&two), [record.clone(), record]);
    }
}
