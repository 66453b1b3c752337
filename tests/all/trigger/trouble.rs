//! What `trigger` and `sandbox` say when something is wrong.

use std::net::TcpListener;
use std::process::Stdio;

use super::{Output, Sandbox, trigger_at};
use crate::development::program;
use crate::harness::{http_server, run};

#[test]
fn control_port_in_use_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = program().args(["sandbox", "--control", &address]).stdout(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(said.contains(&format!("the control port {address} is in use")) && said.contains("--control"), "{said}");
}

#[test]
fn trigger_without_a_sandbox_says_how_to_start_one() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let Output { code, events, err } = trigger_at(&free, &["ChargeDeclined"]);
    assert_eq!((code, events.len()), (Some(3), 0));
    assert!(err.contains(&format!("no sandbox runs at {free} (--control); start one")), "{err}");
    assert!(err.contains("ipn-receiver sandbox"), "{err}");
}

#[test]
fn trigger_recognizes_another_server() {
    run(async {
        let address = http_server(|_| ()).to_string();
        let Output { code, err, .. } = tokio::task::spawn_blocking({
            let address = address.clone();
            move || trigger_at(&address, &["ChargeDeclined"])
        })
        .await
        .unwrap();
        assert_eq!(code, Some(3));
        assert!(
            err.contains(&format!("{address} (--control) is not the control port of a sandbox: it answered 404")),
            "{err}"
        );
    });
}

#[test]
fn wrong_names_need_no_sandbox() {
    for (arguments, expected) in [
        (&["Nothing"][..], "there is no event type Nothing; the event types are: "),
        (&["ChargeDeclined", "--reason", "X"], "its reasons are: SoftDeclined"),
        (&["ChargeDeclined", "--permission-type", "X"], "its permission types are: Recurring"),
        (&["ChargeDeclined", "HardDeclined"], "for example --reason HardDeclined"),
        (&["create-charge", "X"], "its codes are: SoftDeclined"),
        (&["create-charge"], "needs a simulation code"),
        (&["ChargeDeclined", "--set", "x"], "--set x is not of the form path=value"),
        (&["ChargeDeclined", "--interval", "2h", "--count", "2"], "--interval"),
        (&["ChargeDeclined", "--count", "0"], "--count"),
        (&["ChargeDeclined", "--id", "S01-1-2-C3", "--count", "2"], "--count"),
        (&[], "<EVENT>"),
    ] {
        let Output { code, events, err } = trigger_at("127.0.0.1:9", arguments);
        assert_eq!((code, events.len()), (Some(2), 0), "{arguments:?}: {err}");
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
}

#[test]
fn sandbox_refuses_what_cannot_happen() {
    let sandbox = Sandbox::start(&[]);
    let id = "C01-1111111-2222222";
    sandbox.event(&["PermissionChargeable", "--id", id]);
    for (arguments, expected) in [
        (&["ChargeDeclined", "--id", id][..], "is not an id of a charge in Amazon's sandbox; an example is S01-"),
        (&["ChargeDeclined", "--id", "P01-1-2-C000001"], "is not an id of a charge in Amazon's sandbox"),
        (&["ChargeDeclined", "--set", "chargeAmount.sum=1"], "the fields are: amount, currencyCode"),
        (&["PermissionClosed", "--id", id, "--permission-type", "OneTime"], "is Recurring"),
        (&["PermissionExpiring", "--id", id], "leave out --id"),
    ] {
        let Output { code, events, err } = sandbox.trigger(arguments);
        assert_eq!((code, events.len()), (Some(2), 0), "{arguments:?}: {err}");
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
}

#[test]
fn missing_event_is_reported_with_what_happened() {
    let sandbox = Sandbox::start(&[]);
    run(async {
        let fault = format!("http://{}/fault/status-404", sandbox.control());
        assert!(reqwest::Client::new().post(fault).send().await.unwrap().status().is_success());
    });
    let id = "C01-1111111-2222222";
    let Output { code, events, err } = sandbox.trigger(&["PermissionChargeable", "--id", id, "--timeout", "2s"]);
    assert_eq!((code, events.len()), (Some(1), 0), "{err}");
    for expected in [
        "was not published within 2s (--timeout)",
        "posted     STATE_CHANGE of charge permission C01-1111111-2222222: 200",
        "/chargePermissions/C01-1111111-2222222: 404",
        "published  nothing",
    ] {
        assert!(err.contains(expected), "{expected}: {err}");
    }
}
