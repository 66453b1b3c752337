//! Makes the seeds of every fuzz target anew: `cargo run --manifest-path fuzz/Cargo.toml --bin corpus [TARGET…]`.
//!
//! All of it is made here, with the sandbox's SNS and authority; nothing of it was ever sent or signed by AWS. Every
//! run makes new keys and keeps none.

mod answers;
mod certificates;
mod messages;
mod records;
mod urls;

use std::fs;
use std::io;

use ipn_receiver_fuzz::authority::seeds;

/// A seed's file name and what is in it.
type Seed = (String, Vec<u8>);

fn main() -> io::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for (target, seeds) in [
        ("envelope", messages::envelopes()),
        ("message", messages::messages()),
        ("cert_url", urls::urls()),
        ("certificate", certificates::certificates()),
        ("api_answer", answers::answers()),
        ("event_record", answers::events()),
        ("state_record", records::states()),
        ("inbox_record", records::inbox()),
        ("dead_letter", records::dead_letters()),
        ("redrive_headers", records::redriven()),
    ] {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == target) {
            write(target, &seeds)?;
        }
    }
    Ok(())
}

fn write(target: &str, files: &[Seed]) -> io::Result<()> {
    let folder = seeds(target);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes)?;
    }
    let n_bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    println!("{target}: {} seeds, {n_bytes} bytes", files.len());
    Ok(())
}
