//! A stranger does not decide how long a log line is.

use ipn_receiver::sandbox::environment::SandboxEnvironment;
use serde_json::Value;

use crate::harness::{kafka, run, until};
use crate::mock_stage::envelope;
use crate::process::{Serve, config_file};

const LINE_BYTES_MAX: usize = 2048;

#[test]
fn no_message_makes_a_long_log_line() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
        let folder = tempfile::tempdir().unwrap();
        let serve = Serve::start(&config_file(&folder, &environment, &kafka(), ""));
        let url = format!("http://{}", serve.address("ingress"));
        let client = reqwest::Client::new();
        let post = async |path: &str, body: String| {
            client.post(format!("{url}{path}")).body(body).send().await.map(|answer| answer.status().as_u16())
        };
        let genuine: Value = serde_json::from_str(&envelope(&environment)).unwrap();
        let long = "x".repeat(400_000);
        for field in genuine.as_object().unwrap().keys() {
            for (at_front, at_end) in [(&long[..], ""), ("", &long[..])] {
                let mut message = genuine.clone();
                message[field] = format!("{at_front}{}{at_end}", genuine[field].as_str().unwrap()).into();
                let is_signed = field != "UnsubscribeURL";
                assert_eq!(post("/ipn", message.to_string()).await.unwrap() != 200, is_signed, "{field}");
            }
        }
        let mut message = genuine.clone();
        let certificate = genuine["SigningCertURL"].as_str().unwrap();
        let file = certificate.rsplit('/').next().unwrap();
        message["SigningCertURL"] = format!("https://sns.eu-{long}-1.amazonaws.com/{file}").into();
        assert_ne!(post("/ipn", message.to_string()).await.unwrap(), 200);
        assert_eq!(post("/ipn", long.clone()).await.unwrap(), 400);
        assert_eq!(post(&format!("/{}", &long[..8000]), String::new()).await.unwrap(), 404);
        let posing = client.post(format!("{url}/shop")).header("x-amz-sns-message-type", "Notification");
        let posing = posing.header("x-amz-sns-topic-arn", &long[..8000]).send().await.unwrap();
        assert_eq!(posing.status().as_u16(), 404);
        until("the last request is logged", || serve.said().matches("does not serve").count() > 0).await;
        let longest = serve.said().lines().map(str::len).max().unwrap();
        println!("the longest line has {longest} bytes");
        assert!(longest < LINE_BYTES_MAX, "{:.300}", serve.said().lines().max_by_key(|line| line.len()).unwrap());
        serve.stop();
    });
}
