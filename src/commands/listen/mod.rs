//! `listen`: prints events as they are published and, with `--forward-to`, sends them to an HTTP endpoint.
//!
//! It only reads: it assigns the partitions of the events topic itself, joins no consumer group and commits nothing. The cluster
//! is that of a configuration, or a broker without TLS and SASL, such as that of the sandbox.

mod source;

mod filter;
mod line;

mod forward;
mod http_binding;
mod queue;

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use reqwest::Url;
use uuid::Uuid;

use self::filter::Filter;
use self::forward::{Forwarder, Target};
use self::http_binding::ForwardMode;
use self::source::{Source, StartAt};
use super::format::counted;
use super::signals::Signals;
use super::terminal::{self, Text, note, print_line};
use super::topic_scan::Offsets;
use super::{Error, Exit};
use crate::kafka::event_stream::{EventRecord, EventStream};
use crate::kafka::inbox::InboxRecord;
use crate::kafka::topic_reader::{End, needs_no_stop};

/// The arguments of `listen`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    filter: Filter,
    /// Where to start: now, beginning, or a UTC time as 2026-01-02T03:04:05Z, by the time at which events were published. The
    /// default is now; with --resend, it is beginning.
    #[arg(long, value_name = "now|beginning|TIME", value_parser = StartAt::parse)]
    from: Option<StartAt>,
    /// Print amounts, reasons, the text of the next action and the position in the topic below each event.
    #[arg(long, conflicts_with = "json")]
    details: bool,
    /// Print each event as one JSON object per line.
    #[arg(long)]
    json: bool,
    /// POST each event to this URL. An event is sent again until the answer is 2xx; the events of a charge permission are sent
    /// one after another. Each answer is a line on standard error.
    #[arg(long, value_name = "URL", value_parser = url)]
    forward_to: Option<Url>,
    /// The CloudEvents form of the POST: the whole event as the body, or its attributes as headers.
    #[arg(long, value_name = "MODE", value_enum, default_value = "structured", requires = "forward_to")]
    forward_mode: ForwardMode,
    /// How long the target has for an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "forward_to", value_parser = clap::value_parser!(u64).range(1..=300))]
    forward_timeout_s: u64,
    /// Forward the event with this id once more, and exit.
    #[arg(long, value_name = "EVENT-ID", requires = "forward_to", conflicts_with_all = ["types", "merchant", "object"])]
    resend: Option<Uuid>,
}

/// Runs until a signal, or until the reader of its output has gone. Returns [`Exit::No`] if an event was not forwarded or, with
/// `--resend`, not found.
pub async fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let forwarder = arguments.target().map(Forwarder::new).transpose()?;
    let mut signals = Signals::new()?;
    match (arguments.resend, forwarder) {
        (Some(id), Some(forwarder)) => resend(arguments, id, forwarder, &mut signals).await,
        (_, forwarder) => listen(arguments, forwarder, &mut signals).await,
    }
}

async fn listen(arguments: &Arguments, mut forwarder: Option<Forwarder>, signals: &mut Signals) -> Result<Exit, Error> {
    let mut events = start(arguments).await?;
    let outcome = loop {
        let has_room = forwarder.as_ref().is_none_or(Forwarder::has_room);
        tokio::select! {
            record = events.stream.next(), if has_room => match record {
                Some(Ok(record)) => arguments.take(&record, forwarder.as_mut())?,
                Some(Err(error)) => break Err(events.source.read_error(&error)),
                None => break Err("reading the events ended unexpectedly".into()),
            },
            () = progress(&mut forwarder) => {}
            () = signals.next() => break Ok(()),
            () = terminal::closed() => break Ok(()),
        }
    };
    let all_forwarded = match forwarder {
        Some(forwarder) => forwarder.end().await,
        None => true,
    };
    outcome.map(|()| if all_forwarded { Exit::Success } else { Exit::No })
}

/// A stream of events, and its source for errors.
struct Events {
    stream: EventStream,
    source: source::Opened,
}

/// Connects, says what it listens to, and starts to read.
async fn start(arguments: &Arguments) -> Result<Events, Error> {
    let (source, from) = (arguments.source.clone(), arguments.from.unwrap_or(StartAt::Now));
    let opened = blocking(move || {
        let (source, topic) = source.open(End::WhenClosed)?;
        let (is_empty, partitions) = (topic.is_empty(), topic.ends.len());
        let offsets = from.offsets(&topic)?;
        note(format!(
            "Listening to {} at {} ({}), from {from}{}. Ctrl-C ends it.",
            source.topic,
            source.kafka.bootstrap_servers,
            counted(partitions, "partition"),
            if is_empty { "; it holds no events yet" } else { "" }
        ));
        Ok(Events { stream: topic.follow(offsets, goes_on)?, source })
    });
    opened.await
}

async fn resend(
    arguments: &Arguments,
    id: Uuid,
    mut forwarder: Forwarder,
    signals: &mut Signals,
) -> Result<Exit, Error> {
    let (source, from) = (arguments.source.clone(), arguments.from.unwrap_or(StartAt::Beginning));
    let found = blocking(move || find(&source, from, id)).await?;
    let Some(record) = found else {
        note(format!("ipn-receiver: there is no event {id} in the topic from {from} on"));
        return Ok(Exit::No);
    };
    arguments.take(&record, Some(&mut forwarder))?;
    while !forwarder.is_done() {
        tokio::select! {
            () = forwarder.progress() => {}
            () = signals.next() => break,
        }
    }
    Ok(if forwarder.end().await { Exit::Success } else { Exit::No })
}

/// The event with this id. Blocks.
fn find(source: &Source, from: StartAt, id: Uuid) -> Result<Option<EventRecord>, Error> {
    let (_, topic) = source.open(End::OfLog)?;
    let offsets: Offsets = from.offsets(&topic)?;
    let id = id.to_string();
    let mut scan = topic.scan(&offsets, Some("events"))?;
    while let Some(message) = scan.next()? {
        let record = EventRecord::new(&InboxRecord::from_message(&message));
        if record.event["id"] == id.as_str() {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

impl Arguments {
    fn target(&self) -> Option<Target> {
        let timeout = Duration::from_secs(self.forward_timeout_s);
        Some(Target { url: self.forward_to.clone()?, mode: self.forward_mode, timeout })
    }

    /// Prints an event and queues it, if the filter takes it.
    fn take(&self, record: &EventRecord, forwarder: Option<&mut Forwarder>) -> Result<(), Error> {
        let EventRecord { event, partition, offset, published_at, .. } = record;
        if !event["id"].is_string() || !event["data"].is_object() {
            note(format!("partition {partition}, offset {offset} holds no event; it is left out"));
            return Ok(());
        }
        let is_early = matches!(self.from, Some(StartAt::Time(time)) if *published_at < time);
        if is_early || !self.filter.takes(event) {
            return Ok(());
        }
        if self.json {
            print_line(event.to_string())?;
        } else {
            print_line(line::of(event).wrapped("    ", terminal::width()))?;
            if self.details {
                print_line(line::details(record).wrapped("                      ", terminal::width()))?;
            }
        }
        if let Some(forwarder) = forwarder {
            forwarder.add(record);
        }
        Ok(())
    }
}

/// Sends what is due; waits for ever without a target.
async fn progress(forwarder: &mut Option<Forwarder>) {
    match forwarder {
        Some(forwarder) => forwarder.progress().await,
        None => std::future::pending().await,
    }
}

/// Whether reading goes on after this error. librdkafka connects again by itself.
fn goes_on(error: &KafkaError) -> bool {
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
        note(
            Text::default()
                .styled(terminal::YELLOW, "no Kafka broker can be reached; events are read when one is back"),
        );
    }
    needs_no_stop(error)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.expect("reading a topic does not panic")
}

fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write it as http://localhost:3000/hook"))?;
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return Err("only http and https URLs can be called; write it as http://localhost:3000/hook".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_can_be_forwarded_to() {
        for (text, is_right) in [
            ("http://localhost:3000/hook", true),
            ("https://shop.example", true),
            ("localhost:3000/hook", false),
            ("/hook", false),
            ("ftp://localhost/", false),
            ("http://", false),
        ] {
            assert_eq!(url(text).is_ok(), is_right, "{text}");
        }
    }
}
