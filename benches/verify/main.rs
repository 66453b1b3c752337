//! What proving a message costs beside the one thing that cannot be saved: RSA.
//!
//! `cargo bench --bench verify`. Short rounds of each measure take turns, and the quiet ones count (the fastest tenth's last),
//! so that a noisy machine disturbs all of them alike or not at all. Ends with 1 if the ratio to bare RSA is above its limit,
//! or a forgery costs more than a message.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipn_receiver::domain::ipn::notification::Notification;
use ipn_receiver::domain::ipn::routing::Merchants;
use ipn_receiver::domain::sns::{
    CertFile, Envelope, Policy, SigningCert, SigningCertUrl, TopicArn, TopicPolicy, TopicRule, TrustAnchors,
    string_to_sign, verify,
};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::sandbox::authority::{Authority, Validity};
use ipn_receiver::sandbox::sns::{Draft, SignatureVersion, Sns};
use openssl::x509::X509;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use serde_json::json;
use time::OffsetDateTime;

type Error = Box<dyn std::error::Error + Send + Sync>;

const TOPIC: &str = "arn:aws:sns:eu-west-1:291180941288:A1G8446IYHA4MRA1O8CIV1A24A6X";
/// Proving a message may cost this much of bare RSA.
const RATIO_MAX: f64 = 1.35;
const ROUNDS: usize = 500;
const PER_ROUND: usize = 25;

/// Everything one SignatureVersion needs.
struct Bench {
    algorithm: &'static RsaParameters,
    key: Vec<u8>,
    signed: String,
    signature: Vec<u8>,
    genuine: Vec<u8>,
    forgeries: Vec<(&'static str, Vec<u8>)>,
    cert: SigningCert,
    policy: Policy,
    now: Timestamp,
}

impl Bench {
    async fn new(version: SignatureVersion) -> Result<Self, Error> {
        let (authority, now) = (Authority::new()?, OffsetDateTime::now_utc());
        let leaf = authority.signing_leaf("sns.amazonaws.com", Validity::in_days(now.unix_timestamp(), -1, 9))?;
        let at = Timestamp::from_unix_ms(now.unix_timestamp() * 1000);
        let anchors = TrustAnchors::from_der(&authority.certificate_der())?;
        let cert = CertFile::from_pem(leaf.certificate_pem().as_bytes())?.check("eu-west-1", &anchors, &[], at)?;
        let key = X509::from_der(&leaf.certificate_der())?.public_key()?.rsa()?.public_key_to_der_pkcs1()?;
        let sns = Sns::start_with_leaf(&authority, "eu-west-1", leaf).await?;
        let ipn = json!({
            "MerchantID": "A1O8CIV1A24A6X", "ObjectType": "CHARGE", "ObjectId": "S02-1234567-1234567-C000001",
            "ChargePermissionId": "S02-1234567-1234567", "NotificationType": "STATE_CHANGE",
            "NotificationId": "7c8a2f1e-3d4b-4a5c-8e6f-9a0b1c2d3e4f", "NotificationVersion": "V2",
        });
        let genuine = sns.notification(&Draft { version, ..Draft::new(TOPIC, &ipn.to_string(), now) });
        let envelope = Envelope::parse(genuine.as_bytes())?;
        let forgeries = vec![
            ("another Message", genuine.replace("STATE_CHANGE", "STATE_CHANGF")),
            ("another Signature", genuine.replace(&envelope.signature, &STANDARD.encode([7; 256]))),
            ("another TopicArn", genuine.replace("A1O8CIV1A24A6X\",\n", "A1O8CIV1A24A6Y\",\n")),
            ("another certificate's URL", genuine.replace("https://sns.", "https://sms.")),
            ("another Type", genuine.replace("\"Notification\"", "\"Notificatiom\"")),
        ];
        Ok(Self {
            algorithm: match version {
                SignatureVersion::V1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                SignatureVersion::V2 => &RSA_PKCS1_2048_8192_SHA256,
            },
            key,
            signed: string_to_sign(&envelope),
            signature: STANDARD.decode(&envelope.signature)?,
            forgeries: forgeries.into_iter().map(|(name, body)| (name, body.into_bytes())).collect(),
            genuine: genuine.into_bytes(),
            cert,
            policy: Policy::of(TopicPolicy::new(vec![TopicRule::Arn(TopicArn::parse(TOPIC).ok_or("a topic")?)])),
            now: at,
        })
    }

    fn bare_rsa(&self) -> bool {
        let key = UnparsedPublicKey::new(self.algorithm, &self.key);
        key.verify(black_box(self.signed.as_bytes()), &self.signature).is_ok()
    }

    /// From the bytes of a body to what may be made durable, or to the refusal.
    fn prove(&self, body: &[u8]) -> bool {
        let Ok(envelope) = Envelope::parse(black_box(body)) else { return false };
        let Ok(url) = SigningCertUrl::parse(&envelope.signing_cert_url, &self.policy) else { return false };
        black_box(url);
        verify(envelope, &self.cert, &self.policy, self.now)
            .is_ok_and(|verified| !Notification::new(verified, &Merchants::default(), &self.policy).key().is_empty())
    }
}

/// Time of one call, in a round of many.
fn round(call: impl Fn() -> bool, expected: bool) -> Duration {
    let started = Instant::now();
    for _ in 0..PER_ROUND {
        assert_eq!(call(), expected, "what is measured does what it is measured for");
    }
    started.elapsed() / u32::try_from(PER_ROUND).unwrap_or(u32::MAX)
}

fn quiet(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 10].as_secs_f64() * 1e6
}

/// Quiet rounds' times in µs: bare RSA, a genuine message, each forgery.
fn measure(bench: &Bench) -> Vec<(&'static str, f64)> {
    let mut times = vec![Vec::new(); bench.forgeries.len() + 2];
    for _ in 0..ROUNDS {
        times[0].push(round(|| bench.bare_rsa(), true));
        times[1].push(round(|| bench.prove(&bench.genuine), true));
        for (at, (_, forgery)) in bench.forgeries.iter().enumerate() {
            times[at + 2].push(round(|| bench.prove(forgery), false));
        }
    }
    let names = ["ring's RSA verification alone", "a genuine message"].into_iter();
    let names = names.chain(bench.forgeries.iter().map(|(name, _)| *name));
    names.zip(times.into_iter().map(quiet)).collect()
}

fn main() -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut within = true;
    for version in [SignatureVersion::V2, SignatureVersion::V1] {
        let bench = runtime.block_on(Bench::new(version))?;
        let measured = measure(&bench);
        let (rsa, genuine) = (measured[0].1, measured[1].1);
        println!("SignatureVersion {}, {ROUNDS} rounds of {PER_ROUND}:", version.as_str());
        for (name, us) in &measured {
            println!("  {name:32} {us:7.2} µs  {:5.3} × RSA  {:5.3} × genuine", us / rsa, us / genuine);
        }
        let dearest = measured[2..].iter().map(|(_, us)| *us).fold(0.0, f64::max);
        // Two measures of one and the same work differ by a few percent.
        within &= genuine / rsa <= RATIO_MAX && dearest / genuine <= 1.03;
    }
    println!(
        "limits: a genuine message {RATIO_MAX} × RSA, a forgery no more than a message (± 3 %): {}",
        if within { "kept" } else { "BROKEN" }
    );
    Ok(if within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
