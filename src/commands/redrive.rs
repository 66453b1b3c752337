//! `redrive`: dead letters go back into the inbox.
//!
//! First it only counts. What it appends it appends once: each chunk is one Kafka transaction with the records and with how
//! far the dead-letter topic was gone through, kept under a group of the filter's own. So it can be killed at any moment
//! and run again, and two runs at once fence each other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use super::confirm::Confirmation;
use super::topic_scan::{Offsets, Topic};
use super::{Error, about, counted};
use crate::commands::progress::{Medium, Progress};
use crate::config::{Config, MerchantAccount};
use crate::domain::dead_letter::redrive::{COUNT_HEADER, DeadLetterRecord, Filter, Redriven};
use crate::domain::ipn::routing::Merchants;
use crate::domain::sns::TopicPolicy;
use crate::domain::timestamp::Timestamp;
use crate::kafka::acls::{self, PrincipalRole};
use crate::kafka::inbox::InboxRecord;
use crate::kafka::outbox::{InDoubt, Outbox};

/// What is to be redriven, and how.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration (TOML). Environment variables IPN_RECEIVER__TABLE__SETTING override it.
    #[arg(long, value_name = "FILE", env = "IPN_RECEIVER_CONFIG")]
    pub config: PathBuf,
    /// Only letters with this reason, merchant, object, topic-arn or message-id. May be repeated: of one key any value will
    /// do, and all keys must agree. Without it: all letters.
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Only letters written at this time (2026-01-02T03:04:05Z) or later.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only letters written before this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Letters appended in a second, at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    per_second: u32,
    /// Start over: also letters that this filter has redriven before.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    consent: Confirmation,
}

/// Counts, asks, and appends.
pub fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Error> {
    let filter = Filter::parse(&arguments.filter, arguments.since, arguments.until)?;
    let redrive = Redrive::open(config, filter)?;
    let found = redrive.count(arguments)?;
    print!("{}", found.told(&redrive, arguments.per_second));
    if found.to_append == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let inbox = config.kafka.topics().inbox;
    if arguments.consent.is_given(&format!("Append {} to {inbox}?", counted(found.to_append, "record")))? {
        redrive.act(config, arguments, found.to_append)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a run works on.
struct Redrive {
    filter: Filter,
    letters: Topic,
    merchants: Merchants,
    topics: TopicPolicy,
}

/// What a dry run found.
#[derive(Debug, Default)]
struct Found {
    /// By reason and merchant, what this run would append.
    by_reason: BTreeMap<(String, String), usize>,
    to_append: usize,
    redriven_before: usize,
    without_original: usize,
    /// Of what would be appended: would become dead letters again.
    without_place: usize,
    /// Of what would be appended: came back once, in vain.
    in_vain_before: usize,
}

impl Redrive {
    fn open(config: &Config, filter: Filter) -> Result<Self, Error> {
        let merchants = MerchantAccount::table(&config.merchants);
        let topic = config.kafka.topics().dead_letters;
        let letters = Topic::open(&config.kafka, topic, PrincipalRole::Redrive, &purpose(&filter))?;
        Ok(Self { filter, letters, topics: merchants.topic_policy(), merchants })
    }

    fn count(&self, arguments: &Arguments) -> Result<Found, Error> {
        let done = if arguments.again { Offsets::new() } else { self.letters.committed()? };
        let mut found = Found::default();
        let mut scan = self.letters.scan(&Offsets::new(), Some("counted"))?;
        while let Some(message) = scan.next()? {
            let letter = letter(&message);
            if !self.filter.accepts(&letter) {
                continue;
            }
            if done.get(&message.partition()).is_some_and(|done| message.offset() < *done) {
                found.redriven_before += usize::from(letter.has_original());
            } else if letter.has_original() {
                found.to_append += 1;
                found.without_place += usize::from(letter.has_no_place(&self.merchants));
                found.in_vain_before += usize::from(letter.header(COUNT_HEADER).is_some());
                let merchant = letter.merchant().unwrap_or("no merchant");
                *found.by_reason.entry((letter.reason().to_owned(), merchant.to_owned())).or_default() += 1;
            } else {
                found.without_original += 1;
            }
        }
        Ok(found)
    }

    /// Goes on from where this filter's last run ended.
    fn act(&self, config: &Config, arguments: &Arguments, of: usize) -> Result<(), Error> {
        // Ends or completes what a killed run left open, and keeps any other run of this filter from going on.
        let id = format!("{}-{}", config.kafka.group(), purpose(&self.filter));
        let inbox = config.kafka.topics().inbox;
        let lacking =
            |doubt: &InDoubt| acls::missing_acl(&config.kafka, PrincipalRole::Redrive, &inbox, doubt.refused?);
        let outbox = Outbox::open(&config.kafka, &id, config.events.wire())
            .map_err(|doubt| lacking(&doubt).unwrap_or_else(|| doubt.to_string()))?;
        let group = self.letters.group()?;
        // Every partition has a position, so that the first commit of a run that starts over takes all of them back.
        let mut positions = self.letters.starts.clone();
        if !arguments.again {
            positions.extend(self.letters.committed()?);
        }
        let rate = Rate { started: Instant::now(), per_second: arguments.per_second };
        let progress = Progress::new(Medium::Stderr, "appended", of);
        let (mut chunk, mut n_appended) = (Chunk::default(), 0);
        let mut scan = self.letters.scan(&positions, None)?;
        loop {
            let message = scan.next()?;
            let is_end = message.is_none();
            if let Some(message) = message {
                positions.insert(message.partition(), message.offset() + 1);
                chunk.add(self.redriven(&message));
            }
            if !(is_end || chunk.is_full(arguments.per_second)) {
                continue;
            }
            outbox.redrive(&chunk.letters, &positions, &group).map_err(|doubt| {
                let what = lacking(&doubt).unwrap_or_else(|| doubt.to_string());
                format!("{what}; at least {n_appended} were appended, and the same command without --again goes on from there")
            })?;
            n_appended += std::mem::take(&mut chunk).letters.len();
            progress.at(n_appended, (!is_end).then(|| rate.time_for(of.saturating_sub(n_appended))));
            if is_end {
                break;
            }
            rate.keep(n_appended);
        }
        progress.end();
        println!("appended {} to {}", counted(n_appended, "record"), config.kafka.topics().inbox);
        Ok(())
    }

    fn redriven(&self, message: &BorrowedMessage<'_>) -> Option<Redriven> {
        let letter = Some(letter(message)).filter(|letter| self.filter.accepts(letter))?;
        let from = format!("{}/{}/{}", self.letters.name(), message.partition(), message.offset());
        Redriven::new(letter, &from, &self.merchants, &self.topics)
    }
}

impl Found {
    fn told(&self, redrive: &Redrive, per_second: u32) -> String {
        let Self { by_reason, to_append, redriven_before, without_original, without_place, in_vain_before } = self;
        let rate = Rate { started: Instant::now(), per_second };
        let mut lines = vec![format!(
            "to be redriven: {} of {} ({}), at {per_second} a second in about {}",
            counted(*to_append, "dead letter"),
            redrive.letters.name(),
            redrive.filter,
            about(rate.time_for(*to_append)),
        )];
        let counts = by_reason.iter().map(|((reason, merchant), n)| format!("  {reason:<18} {merchant:<24} {n:>8}"));
        lines.extend(counts);
        let notes = [
            (
                *without_place,
                "of these would become dead letters again: the settings still have no merchant, topic or environment for them, or this version does not understand them",
            ),
            (*in_vain_before, "of these were redriven before and became dead letters again"),
            (*redriven_before, "more were redriven by this filter before (--again takes them, too)"),
            (
                *without_original,
                "more cannot be redriven, since the inbox no longer held their originals; `recheck` reads their objects",
            ),
        ];
        lines.extend(notes.into_iter().filter(|(n, _)| *n > 0).map(|(n, note)| format!("{n} {note}")));
        lines.join("\n") + "\n"
    }
}

fn letter(message: &BorrowedMessage<'_>) -> DeadLetterRecord {
    let InboxRecord { key, value, headers, appended_at, .. } = InboxRecord::from_message(message);
    DeadLetterRecord::read(key, value, headers, appended_at)
}

/// Tells this filter's group and transactions from all others.
fn purpose(filter: &Filter) -> String {
    format!("redrive-{}", filter.id())
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse_written(text).ok_or("write a time in UTC as 2026-01-02T03:04:05Z")
}

/// What one transaction appends.
#[derive(Default)]
struct Chunk {
    letters: Vec<Redriven>,
    bytes: usize,
}

impl Chunk {
    fn add(&mut self, letter: Option<Redriven>) {
        self.bytes += letter.as_ref().map_or(0, |letter| letter.value().len());
        self.letters.extend(letter);
    }

    fn is_full(&self, per_second: u32) -> bool {
        let letters_max = (per_second as usize / CHUNKS_PER_SECOND).clamp(1, CHUNK_LETTERS_MAX);
        self.letters.len() >= letters_max || self.bytes >= CHUNK_BYTES_MAX
    }
}

/// So many a second from the start on.
struct Rate {
    started: Instant,
    per_second: u32,
}

impl Rate {
    fn time_for(&self, n: usize) -> Duration {
        Duration::from_secs_f64(n as f64 / f64::from(self.per_second))
    }

    /// Waits until `n` may have been done.
    fn keep(&self, n: usize) {
        std::thread::sleep(self.time_for(n).saturating_sub(self.started.elapsed()));
    }
}

/// So that the pace is even, and a transaction short.
const CHUNKS_PER_SECOND: usize = 5;
const CHUNK_LETTERS_MAX: usize = 500;
const CHUNK_BYTES_MAX: usize = 4 << 20;
