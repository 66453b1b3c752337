//! A real Prometheus scrapes a real process, evaluates the alerts and answers the dashboard's queries.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::promql::{of_dashboard, without_variables};
use super::{NOT_SEEN, alerts, root};
use crate::buyer_data::Busy;
use crate::harness::run;

struct Prometheus {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes `target` every half second. `programs` is the folder of `prometheus`.
    fn start(programs: &Path, target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let rules = root().join("charts/ipn-receiver/files/alerts.yaml");
        std::fs::write(
            &config,
            format!(
                "global: {{scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 1s}}\nrule_files: ['{}']\n\
                 scrape_configs: [{{job_name: ipn-receiver, static_configs: [{{targets: ['{target}']}}]}}]\n",
                rules.display()
            ),
        )
        .unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let child = Command::new(programs.join("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { child, address, _folder: folder }
    }

    /// `data` of an API answer; an error while Prometheus starts.
    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let url = reqwest::Url::parse_with_params(&url, parameters).unwrap();
        let answer = reqwest::get(url).await.map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        let mut answer: Value = serde_json::from_str(&text).map_err(|_| text)?;
        if answer["status"] == "success" { Ok(answer["data"].take()) } else { Err(answer["error"].to_string()) }
    }

    /// The series that an expression returns now.
    async fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let data = self.get("query", &[("query", expression)]).await?;
        data["result"].as_array().cloned().ok_or_else(|| data.to_string())
    }

    async fn wait_for(&self, expression: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let found = self.query(expression).await;
            if found.as_ref().is_ok_and(|series| !series.is_empty()) {
                return;
            }
            assert!(Instant::now() < deadline, "{expression}: {found:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn prometheus_answers_every_query_of_dashboard_and_alerts() {
    let Some(programs) = std::env::var_os("IPN_RECEIVER_PROMETHEUS") else {
        println!("skipped: dashboard and alerts were not queried; set IPN_RECEIVER_PROMETHEUS=$(scripts/prometheus)");
        return;
    };
    run(async {
        let busy = Busy::start().await;
        let serve = &busy.serve;
        let prometheus = Prometheus::start(Path::new(&programs), &serve.address("admin"));
        prometheus.wait_for("count_over_time(ipn_receiver_build_info[1m]) > 2").await;
        busy.everything().await;
        // Metrics of operations are updated every five seconds; by then all others are scraped, too.
        prometheus.wait_for("ipn_receiver_backlog_objects").await;
        prometheus.wait_for("ipn_receiver_reconciliation_objects").await;
        prometheus.wait_for("ipn_receiver_pay_api_breaker_open").await;
        prometheus.wait_for("increase(ipn_receiver_event_processing_seconds_count[1m]) > 2").await;

        let (mut silent, mut n_answered) = (Vec::new(), 0);
        for expression in of_dashboard() {
            let query = without_variables(&expression);
            match prometheus.query(&query).await {
                Err(error) => panic!("{expression}: {error}"),
                Ok(series) if !series.is_empty() => n_answered += 1,
                Ok(_) if NOT_SEEN.iter().any(|name| expression.contains(name)) => {}
                Ok(_) => silent.push(expression),
            }
        }
        assert!(silent.is_empty(), "these dashboard queries return nothing: {silent:#?}");
        println!("{n_answered} queries of the dashboard have an answer");
        assert_eq!(evaluated(&prometheus).await, alerts().into_keys().collect::<BTreeSet<_>>());
    });
}

/// The alerts that Prometheus has evaluated without an error. None may fire for a healthy process.
async fn evaluated(prometheus: &Prometheus) -> BTreeSet<String> {
    let data = prometheus.get("rules", &[]).await.unwrap();
    let groups = data["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    for rule in &rules {
        assert_eq!((&rule["health"], &rule["state"]), (&Value::from("ok"), &Value::from("inactive")), "{rule:#}");
    }
    rules.iter().map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
}
