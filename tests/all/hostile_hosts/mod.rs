//! Hostile certificate hosts, issuers' hosts and subscription URLs: the receiver trusts nothing unverified, loses nothing, and
//! requests no URL that it should not.

mod certificates;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ipn_receiver::amazon::clock_skew::ClockWatch;
use ipn_receiver::amazon::signing_certs::{CertAuthorities, Error, SigningCerts};
use ipn_receiver::clock::Clock;
use ipn_receiver::config::Config;
use ipn_receiver::domain::sns::{BadSigningCert, CertFile, SigningCert, SigningCertUrl, TrustAnchors};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::sandbox::authority::{Authority, Validity};
use ipn_receiver::sandbox::environment::SandboxEnvironment;
use ipn_receiver::sandbox::sns::{CertificateAnswer, Draft};
use time::OffsetDateTime;

use self::certificates::{Extensions, imitated_intermediate, odd_extensions, odd_key, self_signed};
use crate::harness::{metric, run, until};
use crate::mock_stage::MockStage;
use crate::vectors::cases;

const DAY: i64 = 86_400;

fn certs(authorities: CertAuthorities, config: &Config) -> SigningCerts {
    let clock = Clock::system();
    SigningCerts::new(authorities, &config.sns, clock, ClockWatch::new(clock, Duration::from_mins(1)))
}

fn own_url(environment: &SandboxEnvironment, config: &Config) -> SigningCertUrl {
    let merchants = ipn_receiver::config::MerchantAccount::table(&config.merchants);
    SigningCertUrl::parse(&environment.sns.signing_cert_url(), &config.policy(&merchants)).unwrap()
}

/// Fetches the certificate and checks its validity period.
async fn fetched(certs: &SigningCerts, url: &SigningCertUrl) -> Result<Arc<SigningCert>, Error> {
    let cert = certs.get(url).await?;
    cert.check_validity(Clock::system().now())?;
    Ok(cert)
}

#[test]
fn each_bad_certificate_is_rejected_for_its_reason_with_503() {
    let Some(cases) = cases("certificate") else { return };
    run(async {
        let stage = MockStage::new("sns.certificate_failure_ms = 1").await;
        let config = stage.config();
        let url = own_url(&stage.environment, &config);
        for case in &cases {
            let (served, reason) = (case["served"].as_str().unwrap(), case["reason"].as_str().unwrap());
            for (answer, expected) in answers(&stage.environment, served) {
                stage.environment.sns.set_certificate_answer(answer);
                let verdict = fetched(&certs(stage.environment.cert_authorities().unwrap(), &config), &url).await;
                let found = verdict.as_ref().map_or_else(|error| format!("{error:?}"), |_| "accepted".to_owned());
                println!("{served} ({reason}): {found}");
                assert!(found.contains(expected), "{served}: {found}, expected {expected}");
                assert_eq!(verdict.is_ok(), case["expected"] == "accept", "{served}");
                if verdict.is_err() {
                    let answer = stage.post().await;
                    assert_eq!(answer.status, 503, "{served}: {}", answer.body);
                    assert!(answer.body.contains("certificate-un"), "{served}: {}", answer.body);
                }
            }
        }
        assert!(
            metric(&stage.app, "ipn_receiver_signing_certificate_hash_mismatches_total").await > 0.0,
            "a mismatch is counted"
        );
        println!("{} certificate cases checked", cases.len());
        assert_eq!(cases.len(), 11);
        stage.stop().await;
    });
}

/// The host's answers in a case, with the expected error. Panics for an unknown case.
fn answers(environment: &SandboxEnvironment, served: &str) -> Vec<(CertificateAnswer, &'static str)> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let year = Validity::in_days(now, -10, 187);
    let leaf = |name: &str, validity| environment.authority.signing_leaf(name, validity).unwrap().certificate_pem();
    let sns = "sns.amazonaws.com";
    let body = |pem: String| CertificateAnswer::Body(pem.into_bytes());
    match served {
        "HTTP 400/404/500" => {
            [400, 404, 500].map(|status| (CertificateAnswer::Status(status), "the host answered")).into()
        }
        "200 with empty body" => vec![(CertificateAnswer::Body(Vec::new()), "NotOnePem")],
        "PEM armour with truncated DER" => {
            use base64::Engine as _;
            let der = environment.authority.signing_leaf(sns, year).unwrap().certificate_der();
            let half = base64::engine::general_purpose::STANDARD.encode(&der[..der.len() / 2]);
            vec![(body(format!("-----BEGIN CERTIFICATE-----\n{half}\n-----END CERTIFICATE-----\n")), "Undecodable")]
        }
        r"<xml><value>\nPEM\n<value></xml>" => {
            let pem = leaf(sns, year);
            let two = format!("{pem}{pem}");
            vec![(body(format!("<xml><value>\n{pem}\n<value></xml>")), "NotOnePem"), (body(two), "NotOnePem")]
        }
        "leaf valid in the future" => vec![(body(leaf(sns, Validity::in_days(now, 10, 187))), "NotYetValid")],
        "leaf for another name" => vec![(body(leaf("sqs.amazonaws.com", year)), "Name")],
        "self-signed CN=sns.amazonaws.com" => vec![(body(self_signed(sns, year)), "Issuer")],
        "own CA whose issuer name imitates Amazon RSA 2048 M01" => {
            vec![(body(imitated_intermediate(sns, year)), "Amazon RSA 2048 M01")]
        }
        "RSA-1024 or EC or Ed25519 key" => ["RSA-1024", "EC", "Ed25519"]
            .map(|kind| (body(odd_key(&environment.authority, kind, sns, year)), "Key"))
            .into(),
        "302 to anywhere" => {
            vec![(CertificateAnswer::Redirect("https://elsewhere.example/".into()), "the host answered 302")]
        }
        "md5(DER) != hash in file name" => vec![(body(leaf(sns, year)), "accepted")],
        unknown => panic!("unknown case: {unknown}"),
    }
}

#[test]
fn certificate_needs_the_right_name_usage_and_key() {
    use base64::Engine as _;
    let authority = Authority::new().unwrap();
    let (now, anchors) = (Clock::system().now(), TrustAnchors::from_der(&authority.certificate_der()).unwrap());
    let validity = Validity::in_days(now.unix_ms() / 1000, -10, 187);
    let check = |der: &[u8]| {
        let base64 = base64::engine::general_purpose::STANDARD.encode(der);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----");
        CertFile::from_pem(pem.as_bytes())?.check("eu-west-1", &anchors, &[], now)
    };
    let (sns, server) = (Some("sns.amazonaws.com"), &["serverAuth"][..]);
    for (is_ca, dns_name, usage, expected) in [
        (false, sns, server, "Ok"),
        (false, sns, &["serverAuth", "clientAuth"], "Ok"),
        (false, sns, &[], "Err(Usage"),
        (false, sns, &["clientAuth"], "Err(Usage"),
        // The common name is used only without a subject alternative name.
        (false, Some("sqs.amazonaws.com"), server, "Err(Name"),
        (false, Some("*.amazonaws.com"), server, "Err(Name"),
        (false, None, server, "Ok"),
        (true, sns, server, "Err(Issuer"),
    ] {
        let extensions = Extensions { is_ca, dns_name, usage };
        let verdict = format!("{:?}", check(&odd_extensions(&authority, validity, &extensions)));
        assert!(verdict.starts_with(expected), "{extensions:?}: {verdict}");
    }
    let mut longer = authority.signing_leaf("sns.amazonaws.com", validity).unwrap().certificate_der();
    longer.push(0);
    assert_eq!(check(&longer), Err(BadSigningCert::Undecodable), "bytes follow the certificate");
    // The expected name depends on the region.
    let opt_in = authority.signing_leaf("sns-signing.af-south-1.amazonaws.com", validity).unwrap();
    let file = CertFile::from_pem(opt_in.certificate_pem().as_bytes()).unwrap();
    assert!(file.check("af-south-1", &anchors, &[], now).is_ok());
    assert!(matches!(file.check("eu-west-1", &anchors, &[], now), Err(BadSigningCert::Name { .. })));
}

#[test]
fn no_url_in_a_confirmation_is_requested() {
    let Some(cases) = cases("subscribe_url") else { return };
    run(async {
        let visited = Trap::set();
        let stage = MockStage::with_clients("", |environment, clients| {
            // Every client of the receiver uses the trap as its proxy, except for Amazon's host name.
            let (host, address) = (environment.sns.host().to_owned(), environment.sns.address());
            let proxy = visited.proxy_but_for(&host);
            let client =
                environment.authority.client_builder(&[(&host, address)]).unwrap().proxy(proxy).build().unwrap();
            clients.pay_api = client.clone();
            clients.cert_authorities.signing_certs = client.clone();
            clients.cert_authorities.issuers = client.clone();
            clients.cert_authorities.development = client;
        })
        .await;
        let sns = &stage.environment.sns;
        let topic = stage.environment.topic_arn(&stage.environment.merchants[0]);
        for case in &cases {
            let url = case["subscribe_url"].as_str().unwrap();
            assert_eq!(case["expected"], "never-fetch");
            for topic in [&topic, "arn:aws:sns:eu-west-1:666666666666:stranger"] {
                let draft = Draft::new(topic, "please confirm", OffsetDateTime::now_utc());
                let body = sns.subscription_confirmation_at(&draft, "00ff00ff", url);
                let answer = stage.post_body(&body).await;
                println!("{url} from {topic}: {} {}", answer.status, answer.body);
            }
        }
        assert_eq!(sns.confirmed(), vec![topic; cases.len()], "confirmed by the API, for the allowed topic only");
        let visits = sns.requests();
        let allowed = |visit: &String| {
            visit == "POST /" || visit == "HEAD /" || visit.starts_with("GET /SimpleNotificationService-")
        };
        assert!(visits.iter().all(allowed), "{visits:?}");
        // The trap works: it records this request, and no other to this address.
        reqwest::Client::builder()
            .proxy(visited.proxy_but_for("none.example"))
            .build()
            .unwrap()
            .get("http://169.254.169.254/latest/meta-data/")
            .send()
            .await
            .expect_err("the trap does not answer");
        until("the trap has recorded the request", || visited.asked_for("169.254.169.254") > 0).await;
        assert_eq!(visited.asked_for("169.254.169.254"), 1, "only the request of this test");
        println!("{} subscribe URLs posted", cases.len());
        assert_eq!(cases.len(), 3);
        stage.stop().await;
    });
}

#[test]
fn unanswered_confirmations_time_out_and_are_limited() {
    run(async {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let stage = MockStage::with_clients("sns.confirmation_timeout_ms = 1500", |environment, clients| {
            clients.sns_api = environment.sns_api(port).unwrap();
        })
        .await;
        let topic = stage.environment.topic_arn(&stage.environment.merchants[0]);
        let draft = Draft::new(&topic, "please confirm", OffsetDateTime::now_utc());
        let body = stage.environment.sns.subscription_confirmation(&draft, "00ff00ff");
        assert_eq!(stage.post().await.status, 200, "the certificate is cached from here on");
        let asked = std::time::Instant::now();
        let answers = futures_util::future::join_all((0..30).map(|_| stage.post_body(&body))).await;
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        assert!(answers.iter().all(|answer| answer.status == 503 && answer.body.contains("confirmation-failed")));
        silent.set_nonblocking(true).unwrap();
        let n_connections = std::iter::from_fn(|| silent.accept().ok()).count();
        assert!((1..=8).contains(&n_connections), "{n_connections} concurrent connections");
        stage.stop().await;
    });
}

/// A proxy that does not answer and records the requested hosts.
struct Trap {
    address: std::net::SocketAddr,
    asked: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Trap {
    fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let trap = Self { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let asked = trap.asked.clone();
        std::thread::spawn(move || {
            use std::io::BufRead as _;
            for stream in listener.incoming().map_while(Result::ok) {
                let mut line = String::new();
                let _ = std::io::BufReader::new(stream).read_line(&mut line);
                asked.lock().unwrap().push(line);
            }
        });
        trap
    }

    fn proxy_but_for(&self, host: &str) -> reqwest::Proxy {
        let (host, trap) = (host.to_owned(), format!("http://{}", self.address));
        reqwest::Proxy::custom(move |url| (url.host_str() != Some(host.as_str())).then(|| trap.clone()))
    }

    fn asked_for(&self, host: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|line| line.contains(host)).count()
    }
}

#[test]
fn failed_fetch_is_cached_briefly_and_certificate_for_its_life() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap();
        let config = environment.config_with("127.0.0.1:1", "sns.certificate_failure_ms = 400").unwrap();
        let (certs, url) = (certs(environment.cert_authorities().unwrap(), &config), own_url(&environment, &config));
        environment.sns.set_certificate_answer(CertificateAnswer::Status(500));
        for _ in 0..50 {
            assert!(matches!(certs.get(&url).await, Err(Error::Unavailable { .. })));
        }
        assert_eq!(environment.sns.certificate_fetches(), 1, "fifty messages, one fetch");
        environment.sns.set_certificate_answer(CertificateAnswer::Good);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while certs.get(&url).await.is_err() {
            assert!(std::time::Instant::now() < deadline, "the failure stays cached");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        environment.sns.stop().await;
        assert!(certs.get(&url).await.is_ok());
        assert_eq!(environment.sns.certificate_fetches(), 2);
    });
}

#[test]
fn expired_cached_certificate_is_not_used() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap();
        let config = environment.config_with("127.0.0.1:1", "").unwrap();
        let (certs, url) = (certs(environment.cert_authorities().unwrap(), &config), own_url(&environment, &config));
        let cert = certs.get(&url).await.unwrap();
        let (not_before, not_after) = cert.validity();
        for (moment, verdict) in [
            (not_before, Ok(())),
            (not_after, Ok(())),
            (Timestamp::from_unix_ms(not_after.unix_ms() + 1), Err(BadSigningCert::Expired(not_after))),
            (Timestamp::from_unix_ms(not_before.unix_ms() - 1), Err(BadSigningCert::NotYetValid(not_before))),
        ] {
            assert_eq!(certs.get(&url).await.unwrap().check_validity(moment), verdict);
        }
        assert_eq!(
            environment.sns.certificate_fetches(),
            1,
            "never fetched again: a renewed certificate has another URL"
        );
    });
}

#[test]
fn unknown_issuer_is_fetched_and_cached_if_it_completes_a_chain() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap();
        let config = environment.config_with("127.0.0.1:1", "sns.certificate_failure_ms = 1").unwrap();
        let url = own_url(&environment, &config);
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let issuer =
            environment.authority.intermediate("Amazon RSA 2048 M09", Validity::in_days(now, -100, 3)).unwrap();
        let issued = |aia: &str| {
            let validity = Validity::in_days(now, -10, 187);
            issuer.signing_leaf_with_issuer_url("sns.amazonaws.com", validity, aia).unwrap().certificate_pem()
        };
        let host = certificates::IssuerHost::start();
        let authorities = || CertAuthorities { issuers: host.client(), ..environment.cert_authorities().unwrap() };
        let serve = |pem: String| environment.sns.set_certificate_answer(CertificateAnswer::Body(pem.into_bytes()));

        // An issuer URL at another host is not requested.
        for aia in ["http://evil.example/m09.cer", "https://crt.m09.amazontrust.com/m09.cer", "ldap://x"] {
            serve(issued(aia));
            let verdict = certs(authorities(), &config).get(&url).await.unwrap_err();
            assert!(matches!(verdict, Error::Unusable(BadSigningCert::Issuer { .. })), "{aia}: {verdict:?}");
        }
        assert_eq!(host.n_visits(), 0);

        serve(issued(certificates::ISSUER_URL));
        for (answer, reason) in [
            (CertificateAnswer::Status(503), "the host answered 503"),
            (CertificateAnswer::Redirect("http://evil.example/".into()), "the host answered 302"),
            (CertificateAnswer::Body(vec![0; 70_000]), "longer than 65536 bytes"),
            (CertificateAnswer::Body(b"<html>".to_vec()), "not an X.509 certificate"),
        ] {
            host.set(answer);
            let verdict = certs(authorities(), &config).get(&url).await.unwrap_err();
            assert!(matches!(verdict, Error::IssuerUnavailable { .. }), "{verdict:?}");
            assert!(verdict.to_string().contains(reason) && verdict.to_string().contains("M09"), "{verdict}");
        }
        // An attacker on the network path serves other certificates: they complete no chain, and none of them fills the
        // cache in place of the right one.
        let kept = certs(authorities(), &config);
        for _ in 0..16 {
            let impostor = environment.authority.signing_leaf("impostor", Validity::in_days(now, -1, 1)).unwrap();
            host.set(CertificateAnswer::Body(impostor.certificate_der()));
            tokio::time::sleep(Duration::from_millis(20)).await; // the failure is cached for 1 ms
            assert!(matches!(kept.get(&url).await, Err(Error::Unusable(BadSigningCert::Issuer { .. }))));
        }
        host.set(CertificateAnswer::Body(issuer.certificate_der()));
        tokio::time::sleep(Duration::from_millis(20)).await; // the failure is cached for 1 ms
        let cert = kept.get(&url).await.unwrap();
        let ends = cert.validity().1.unix_ms() / 1000;
        assert!((now + 3 * DAY - ends).abs() <= 1, "the chain expires with its first certificate");

        // Another certificate of the same issuer does not need the issuer's host.
        let n_visits = host.n_visits();
        host.set(CertificateAnswer::Status(500));
        serve(issued(certificates::ISSUER_URL));
        let other = environment.sns.signing_cert_url().replace(url.hash(), "00000000000000000000000000000000");
        let policy = config.policy(&ipn_receiver::config::MerchantAccount::table(&config.merchants));
        let other = SigningCertUrl::parse(&other, &policy).unwrap();
        environment.sns.serve_certificate_at_any_path();
        kept.get(&other).await.unwrap();
        assert_eq!(host.n_visits(), n_visits);
    });
}
