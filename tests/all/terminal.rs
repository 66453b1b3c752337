//! Terminal manners of every command: closed pipes, completions and manual pages. `commands::listen` tests styles and width.

use std::process::{Command, Stdio};

use crate::harness::kafka;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
    command.env_remove("IPN_RECEIVER_CONFIG").args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command whose standard output nobody reads. Gives the exit code and standard error.
fn unread(arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = program(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn no_command_panics_on_a_closed_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("receiver.toml");
    let merchant = "id = \"A1O8CIV1A24A6X\"\nregion = \"eu\"\nenvironment = \"live\"\npublic_key_id = \"LIVE-A\"";
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/merchant-key-pkcs8.pem");
    let prefix = format!("unread-{}", uuid::Uuid::new_v4().simple());
    let text = format!(
        "kafka = {{ bootstrap_servers = \"{}\", topic_prefix = \"{prefix}\", replication_factor = 1 }}\n[[merchants]]\n{merchant}\nprivate_key_file = \"{key}\"\n",
        kafka()
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let charge = "P02-0000001-2222222-C000001";
    for (arguments, code) in [
        (vec!["schema"], 0),
        (vec!["man"], 0),
        (vec!["man", "--out", folder.path().to_str().unwrap()], 0),
        (vec!["completions", "zsh"], 0),
        (vec!["--help"], 0),
        (vec!["verify", "/absent.json"], 3),
        (vec!["check", "--offline", "--config", config], 0),
        (vec!["topics", "--dry-run", "--config", config], 1),
        (vec!["topics", "--config", config], 0),
        (vec!["inspect", "--config", config, charge], 1),
        (vec!["in-charge-since", "--config", config], 1),
        (vec!["redrive", "--config", config], 0),
        (vec!["recheck", "--config", config, "--merchant", "A1O8CIV1A24A6X", charge], 0),
        (vec!["healthcheck", "--url", "http://127.0.0.1:1/"], 1),
        // It ends before its story does, so it cannot say that every event came.
        (vec!["sandbox", "--control", "127.0.0.1:0"], 1),
        (vec!["sandbox", "--json", "--control", "127.0.0.1:0"], 1),
    ] {
        let (ended_with, said) = unread(&arguments);
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        assert_eq!(ended_with, Some(code), "{arguments:?}: {said}");
    }
}

#[test]
fn closed_standard_error_is_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let both = program(&["healthcheck", "--url", "http://127.0.0.1:1/"])
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(both.code(), Some(1));
}

#[test]
fn unreachable_broker_of_the_sandbox_names_the_flag() {
    let output = program(&["sandbox", "--once", "--kafka", "127.0.0.1:1"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("--kafka 127.0.0.1:1") && said.contains("Connection refused"), "{said}");
    assert!(!said.contains("kafka.bootstrap_servers"), "{said}");
}

/// Every command, as `--help` lists them.
fn commands() -> Vec<String> {
    let help = String::from_utf8(program(&["--help"]).output().unwrap().stdout).unwrap();
    let listed = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let first =
        |line: &str| Some(line.strip_prefix("  ")?.split(' ').next()?.to_owned()).filter(|name| !name.is_empty());
    let found: Vec<String> = listed.lines().filter_map(first).filter(|name| name != "help").collect();
    assert!(found.len() >= 12 && found.contains(&"listen".to_owned()), "{found:?}");
    found
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = program(&["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &script).unwrap();
        match Command::new(shell).arg("-n").arg(file.path()).output() {
            Ok(checked) => assert!(checked.status.success(), "{shell}: {checked:?}"),
            Err(error) => println!("skipped: {shell} did not check its script: {error}"),
        }
    }
    assert_eq!(offered_by_bash("listen", "--forward-"), "--forward-to --forward-mode --forward-timeout-s");
    assert_eq!(offered_by_bash("in-charge-since", "--se"), "--set");
}

/// What bash offers for the beginning of an option of a command.
fn offered_by_bash(command: &str, option: &str) -> String {
    let ask = "source <(\"$1\" completions bash); COMP_WORDS=(ipn-receiver \"$2\" \"$3\"); COMP_CWORD=2; \
               $(complete -p ipn-receiver | sed 's/.* -F \\([^ ]*\\).*/\\1/') ipn-receiver \"$3\" \"$2\"; echo \"${COMPREPLY[*]}\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", ask, "bash", env!("CARGO_BIN_EXE_ipn-receiver"), command, option]);
    String::from_utf8(bash.output().unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(&["man", "--out", folder.path().to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let page = |name: &str| {
        std::fs::read_to_string(folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let own = program(&["man"]).output().unwrap().stdout;
    assert_eq!(page("ipn-receiver.1").as_bytes(), own);
    for command in commands() {
        let page = page(&format!("ipn-receiver-{command}.1"));
        assert!(page.contains(".SH SYNOPSIS") && page.contains("Exit codes:"), "{command}: {page}");
    }
    let absent = program(&["man", "--out", "/absent"]).output().unwrap();
    let said = String::from_utf8(absent.stderr).unwrap();
    assert!(absent.status.code() == Some(3) && said.contains("/absent (--out)"), "{said}");
}
