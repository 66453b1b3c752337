//! `redrive`: appends dead letters to the inbox again.
//!
//! It counts first, and asks. Each dead letter is appended once: one Kafka transaction holds a chunk of records and the offsets
//! up to which the dead-letter topic was processed, committed under a consumer group of this filter. So the command can be
//! killed at any time and run again, and if two runs overlap, the later one fences the earlier one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use super::config_file::ConfigFile;
use super::confirm::Confirmation;
use super::format::{about, counted, printable};
use super::progress::{Medium, Progress};
use super::terminal::{print, print_line};
use super::topic_scan::{Offsets, Topic};
use super::{Error, Exit};
use crate::config::{Config, MerchantAccount};
use crate::domain::dead_letter::redrive::{DeadLetterRecord, Filter, Redriven};
use crate::domain::ipn::routing::Merchants;
use crate::domain::record_headers;
use crate::domain::sns::TopicPolicy;
use crate::domain::timestamp::Timestamp;
use crate::kafka::acls::{self, PrincipalRole};
use crate::kafka::inbox::InboxRecord;
use crate::kafka::outbox::{InDoubt, Outbox};

/// The arguments of `redrive`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Only dead letters with this reason, merchant, object, topic-arn or message-id. Repeat it to allow several values of one
    /// key; different keys must all match. Without it: all dead letters.
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Only dead letters that were written at this time (2026-01-02T03:04:05Z) or later.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only dead letters that were written before this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// The maximum number of dead letters to append per second.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    per_second: u32,
    /// Start from the beginning: include dead letters that this filter has redriven before.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// Counts, asks, and appends.
pub fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let config = arguments.config.load()?;
    let filter = Filter::parse(&arguments.filter, arguments.since, arguments.until).map_err(Error::Usage)?;
    let redrive = Redrive::open(&config, filter)?;
    let found = redrive.count(arguments)?;
    print(found.text(&redrive, arguments.per_second))?;
    if found.to_append == 0 {
        return Ok(Exit::Success);
    }
    let inbox = config.kafka.topics().inbox;
    let question = format!("Append {} to {inbox}?", counted(found.to_append, "record"));
    if arguments.confirmation.is_given(&question)? {
        let n_appended = redrive.append(&config, arguments, found.to_append)?;
        print_line(format!("appended {} to {inbox}", counted(n_appended, "record")))?;
    }
    Ok(Exit::Success)
}

/// The dead-letter topic, and what decides about each record in it.
struct Redrive {
    filter: Filter,
    dead_letters: Topic,
    merchants: Merchants,
    topics: TopicPolicy,
}

/// What the count found.
#[derive(Debug, Default)]
struct Found {
    /// How many dead letters this run would append, by reason and merchant.
    by_reason: BTreeMap<(String, String), usize>,
    to_append: usize,
    redriven_before: usize,
    without_original: usize,
    in_charge_requests: usize,
    /// Part of `to_append`: these would become dead letters again.
    without_place: usize,
    /// Part of `to_append`: these were redriven before and became dead letters again.
    failed_before: usize,
}

impl Redrive {
    fn open(config: &Config, filter: Filter) -> Result<Self, Error> {
        let merchants = MerchantAccount::table(&config.merchants);
        let topic = config.kafka.topics().dead_letters;
        let dead_letters = Topic::open(&config.kafka, topic, PrincipalRole::Redrive, &purpose(&filter))?;
        Ok(Self { filter, dead_letters, topics: merchants.topic_policy(), merchants })
    }

    fn count(&self, arguments: &Arguments) -> Result<Found, Error> {
        let done = if arguments.again { Offsets::new() } else { self.dead_letters.committed()? };
        let mut found = Found::default();
        let mut scan = self.dead_letters.scan(&Offsets::new(), Some("counted"))?;
        while let Some(message) = scan.next()? {
            let record = parse(&message);
            if self.filter.accepts(&record) {
                let is_done = done.get(&message.partition()).is_some_and(|done| message.offset() < *done);
                found.add(&record, is_done, &self.merchants);
            }
        }
        Ok(found)
    }

    /// Continues where the last run of this filter ended. Returns how many records it appended.
    fn append(&self, config: &Config, arguments: &Arguments, of: usize) -> Result<usize, Error> {
        let outbox = self.open_outbox(config)?;
        let group = self.dead_letters.group()?;
        // Every partition has an offset, so the first commit of a run with --again resets all of them.
        let mut offsets = self.dead_letters.starts.clone();
        if !arguments.again {
            offsets.extend(self.dead_letters.committed()?);
        }
        let rate = Rate { started: Instant::now(), per_second: arguments.per_second };
        let progress = Progress::new(Medium::Stderr, "appended", of);
        let (mut chunk, mut n_appended) = (Chunk::default(), 0);
        let mut scan = self.dead_letters.scan(&offsets, None)?;
        loop {
            let message = scan.next()?;
            let is_end = message.is_none();
            if let Some(message) = message {
                offsets.insert(message.partition(), message.offset() + 1);
                chunk.add(self.redriven(&message));
            }
            if !(is_end || chunk.is_full(arguments.per_second)) {
                continue;
            }
            outbox
                .redrive(&chunk.records, &offsets, &group)
                .map_err(|in_doubt| commit_failed(config, &in_doubt, n_appended))?;
            n_appended += std::mem::take(&mut chunk).records.len();
            progress.at(n_appended, (!is_end).then(|| rate.time_for(of.saturating_sub(n_appended))));
            if is_end {
                break;
            }
            rate.wait_for(n_appended);
        }
        progress.end();
        Ok(n_appended)
    }

    /// Opening the transactional producer completes or aborts the transaction of a killed run, and fences a run of the same
    /// filter that is still active.
    fn open_outbox(&self, config: &Config) -> Result<Outbox, Error> {
        let id = format!("{}-{}", config.kafka.group(), purpose(&self.filter));
        Outbox::open(&config.kafka, &id, config.events.wire())
            .map_err(|in_doubt| Error::Failed(text_of(config, &in_doubt)))
    }

    fn redriven(&self, message: &BorrowedMessage<'_>) -> Option<Redriven> {
        let record = Some(parse(message)).filter(|record| self.filter.accepts(record))?;
        let from = format!("{}/{}/{}", self.dead_letters.name(), message.partition(), message.offset());
        Redriven::new(record, &from, &self.merchants, &self.topics)
    }
}

/// The text of an outbox error. If Kafka refused for a missing ACL, the text names the ACL.
fn text_of(config: &Config, in_doubt: &InDoubt) -> String {
    let inbox = config.kafka.topics().inbox;
    let lacking =
        in_doubt.refused.and_then(|code| acls::missing_acl(&config.kafka, PrincipalRole::Redrive, &inbox, code));
    lacking.unwrap_or_else(|| in_doubt.to_string())
}

fn commit_failed(config: &Config, in_doubt: &InDoubt, n_appended: usize) -> Error {
    Error::Failed(format!(
        "{}; at least {} appended. To continue, run the same command without --again",
        text_of(config, in_doubt),
        counted(n_appended, "record")
    ))
}

impl Found {
    fn add(&mut self, record: &DeadLetterRecord, is_done: bool, merchants: &Merchants) {
        if record.is_in_charge_request() {
            self.in_charge_requests += usize::from(!is_done);
        } else if !record.has_original() {
            self.without_original += usize::from(!is_done);
        } else if is_done {
            self.redriven_before += 1;
        } else {
            self.to_append += 1;
            self.without_place += usize::from(record.is_unroutable(merchants));
            self.failed_before += usize::from(record.header(record_headers::REDRIVE_COUNT).is_some());
            let merchant = record.merchant().unwrap_or("-");
            *self.by_reason.entry((record.reason().to_owned(), merchant.to_owned())).or_default() += 1;
        }
    }

    fn text(&self, redrive: &Redrive, per_second: u32) -> String {
        let Self { by_reason, to_append, redriven_before, without_place, failed_before, .. } = self;
        let rate = Rate { started: Instant::now(), per_second };
        let mut lines = vec![format!(
            "to be redriven: {} of {} ({}), about {} at {per_second} per second",
            counted(*to_append, "dead letter"),
            redrive.dead_letters.name(),
            redrive.filter,
            about(rate.time_for(*to_append)),
        )];
        if !by_reason.is_empty() {
            lines.push(format!("  {:<18}  {:<24}  {:>12}", "reason", "merchant", "dead letters"));
        }
        let counts = by_reason.iter().map(|((reason, merchant), n)| {
            let [reason, merchant] = [reason, merchant].map(|name| printable(name));
            format!("  {reason:<18}  {merchant:<24}  {n:>12}")
        });
        lines.extend(counts);
        let notes = [
            (*without_place, WITHOUT_PLACE),
            (*failed_before, "of these were redriven before and became dead letters again"),
            (*redriven_before, "more were redriven by this filter before; to include them, add --again"),
            (self.without_original, WITHOUT_ORIGINAL),
            (self.in_charge_requests, IN_CHARGE_REQUESTS),
        ];
        lines.extend(notes.into_iter().filter(|(n, _)| *n > 0).map(|(n, note)| format!("{n} {note}")));
        lines.join("\n") + "\n"
    }
}

const WITHOUT_PLACE: &str = "of these would become dead letters again: the configuration has no merchant, topic or environment \
                             for them, or this version cannot parse them";
const WITHOUT_ORIGINAL: &str = "more cannot be redriven: their originals were deleted from the inbox before, or are too large; use recheck to have their objects read";

const IN_CHARGE_REQUESTS: &str = "more are not redriven: they were requests of in-charge-since, and an old one could replace a newer one; run \
                                  in-charge-since again";

fn parse(message: &BorrowedMessage<'_>) -> DeadLetterRecord {
    let InboxRecord { key, value, headers, appended_at, .. } = InboxRecord::from_message(message);
    DeadLetterRecord::read(key, value, headers, appended_at)
}

/// The part of the group id and the transactional id that belongs to this filter.
fn purpose(filter: &Filter) -> String {
    format!("redrive-{}", filter.id())
}

pub(super) fn moment(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse_written(text).ok_or("write a UTC time as 2026-01-02T03:04:05Z")
}

/// The records of one transaction.
#[derive(Default)]
struct Chunk {
    records: Vec<Redriven>,
    bytes: usize,
}

impl Chunk {
    fn add(&mut self, record: Option<Redriven>) {
        self.bytes += record.as_ref().map_or(0, |record| record.value().len());
        self.records.extend(record);
    }

    fn is_full(&self, per_second: u32) -> bool {
        let records_max = (per_second as usize / CHUNKS_PER_SECOND).clamp(1, CHUNK_RECORDS_MAX);
        self.records.len() >= records_max || self.bytes >= CHUNK_BYTES_MAX
    }
}

/// A constant rate since `started`.
struct Rate {
    started: Instant,
    per_second: u32,
}

impl Rate {
    fn time_for(&self, n: usize) -> Duration {
        Duration::from_secs_f64(n as f64 / f64::from(self.per_second))
    }

    /// Sleeps until the rate allows more than `n`.
    fn wait_for(&self, n: usize) {
        std::thread::sleep(self.time_for(n).saturating_sub(self.started.elapsed()));
    }
}

/// Small chunks keep the rate even and the transactions short.
const CHUNKS_PER_SECOND: usize = 5;
const CHUNK_RECORDS_MAX: usize = 500;
const CHUNK_BYTES_MAX: usize = 4 << 20;
