//! Makes the seeds of every fuzz target anew: `cargo run --manifest-path fuzz/Cargo.toml --bin corpus`.
//!
//! All of it is made here, with the sandbox's SNS and authority; nothing of it was ever sent or signed by AWS. Every
//! run makes new keys and keeps none.

mod certificates;
mod messages;
mod urls;

use std::fs;
use std::io;

use ipn_receiver_fuzz::authority::seeds;

/// A seed's file name and what is in it.
type Seed = (String, Vec<u8>);

fn main() -> io::Result<()> {
    for (target, seeds) in [
        ("envelope", messages::envelopes()),
        ("message", messages::messages()),
        ("cert_url", urls::urls()),
        ("certificate", certificates::certificates()),
    ] {
        write(target, &seeds)?;
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
