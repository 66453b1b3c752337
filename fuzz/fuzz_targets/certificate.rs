//! The file behind a certificate's URL, and the one behind its issuer's.
//!
//! Shown: no file passes but those that an authority really signed, whatever stands between; nothing ever leads to
//! Amazon's roots. An input is read as the file itself and as the DER in it, so that mutations reach ASN.1.
#![cfg_attr(fuzzing, no_main)]

use std::collections::HashSet;
use std::sync::LazyLock;

use ipn_receiver::domain::sns::{BadSigningCert, CertFile, Intermediate, SigningCert, TrustAnchors};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver_fuzz::Corpus;
use ipn_receiver_fuzz::authority::{Signed, pem};
use openssl::hash::{MessageDigest, hash};

ipn_receiver_fuzz::target!(run);

fn run(input: &[u8]) -> Corpus {
    let as_file = CertFile::from_pem(input);
    if as_file.is_ok() {
        let dashes = String::from_utf8_lossy(input).matches("-----").count();
        assert_eq!(dashes, 4, "one block and nothing beside it");
    }
    let _ = as_file.map(|file| passes_only_if_signed(&file));

    let as_der = CertFile::from_pem(pem(input, "\n").as_bytes());
    assert_eq!(as_der, CertFile::from_pem(pem(input, "\r\n").as_bytes()));
    if let Ok(file) = &as_der {
        assert_eq!(file.hash(), md5(input));
        let and_more = pem(&[input, &[0]].concat(), "\n");
        assert_eq!(CertFile::from_pem(and_more.as_bytes()), Err(BadSigningCert::Undecodable));
        passes_only_if_signed(file);
    }
    as_an_issuer_helps_only_its_own(input);
    as_an_anchor_is_read_without_harm(input);
    Corpus::Keep
}

fn passes_only_if_signed(file: &CertFile) {
    assert!(file.issuer_urls().len() <= 2);
    let alone = file.check_key_alone();
    if let Ok(cert) = &alone {
        for at in [Timestamp::from_unix_ms(i64::MIN), now(), Timestamp::from_unix_ms(i64::MAX)] {
            let _ = cert.check_validity(at).map_err(|error| error.to_string());
        }
    }
    for region in REGIONS {
        let amazon = file.check(region, &KNOWN.amazon, &KNOWN.bundled, now());
        assert!(amazon.is_err(), "Amazon signed nothing here");
        let passed = assert_error_prints(file.check(region, &KNOWN.roots, &KNOWN.issuers, now()));
        let Some(cert) = passed else { continue };
        assert!(KNOWN.leaves.contains(&file.hash()), "no known issuer signed this");
        let (alone, whole) = (alone.as_ref().expect("its key was good").validity(), cert.validity());
        assert!(alone.0 <= whole.0 && whole.1 <= alone.1, "a path lives no longer than its leaf");
    }
    for at in [Timestamp::from_unix_ms(i64::MIN), Timestamp::from_unix_ms(i64::MAX)] {
        let passed = assert_error_prints(file.check(REGIONS[0], &KNOWN.roots, &KNOWN.issuers, at));
        assert!(passed.is_none() || KNOWN.leaves.contains(&file.hash()), "no known issuer signed this at {at}");
    }
}

/// A fetched intermediate is a stranger's file too.
fn as_an_issuer_helps_only_its_own(input: &[u8]) {
    let Ok(fetched) = Intermediate::from_der(input) else { return };
    let is_signed = KNOWN.signed.issuers.iter().any(|issuer| issuer == input);
    let fetched = [fetched];
    for leaf in &KNOWN.files {
        for region in REGIONS {
            assert!(leaf.check(region, &KNOWN.amazon, &fetched, now()).is_err(), "nothing leads to Amazon");
            let without = leaf.check(region, &KNOWN.roots, &[], now());
            let with = leaf.check(region, &KNOWN.roots, &fetched, now());
            assert!(with.is_err() || without.is_ok() || is_signed, "no known issuer signed this issuer");
        }
    }
}

fn as_an_anchor_is_read_without_harm(input: &[u8]) {
    let anchors = [TrustAnchors::from_der(input).ok(), TrustAnchors::from_pem(&String::from_utf8_lossy(input)).ok()];
    for anchors in anchors.into_iter().flatten() {
        let _ = assert_error_prints(KNOWN.files[0].check(REGIONS[0], &anchors, &KNOWN.issuers, now()));
    }
}

/// Every error can be printed.
fn assert_error_prints(verdict: Result<SigningCert, BadSigningCert>) -> Option<SigningCert> {
    verdict.inspect_err(|bad| drop(bad.to_string())).ok()
}

struct Known {
    signed: Signed,
    /// The good leaves, read.
    files: Vec<CertFile>,
    /// Their hashes.
    leaves: HashSet<String>,
    roots: TrustAnchors,
    issuers: Vec<Intermediate>,
    amazon: TrustAnchors,
    bundled: Vec<Intermediate>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let signed = Signed::read();
    let roots = signed.roots.iter().map(|der| TrustAnchors::from_der(der).unwrap());
    let roots = roots.reduce(TrustAnchors::and).unwrap();
    let issuers: Vec<_> = signed.issuers.iter().map(|der| Intermediate::from_der(der).unwrap()).collect();
    let files: Vec<_> =
        signed.leaves.iter().map(|der| CertFile::from_pem(pem(der, "\n").as_bytes()).unwrap()).collect();
    for file in &files {
        let passes = REGIONS.iter().any(|region| file.check(region, &roots, &issuers, now()).is_ok());
        assert!(passes, "a good leaf is bad: {:?}", file.check(REGIONS[0], &roots, &issuers, now()));
    }
    let leaves = signed.leaves.iter().map(|der| md5(der)).collect();
    Known { signed, files, leaves, roots, issuers, amazon: TrustAnchors::amazon(), bundled: Intermediate::bundled() }
});

fn md5(bytes: &[u8]) -> String {
    let digest = hash(MessageDigest::md5(), bytes).unwrap();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> Timestamp {
    Timestamp::from_unix_ms(1_780_000_000_000)
}

/// One whose SNS signs as `sns.amazonaws.com`, and one with a name of its own.
const REGIONS: [&str; 2] = ["eu-west-1", "af-south-1"];
