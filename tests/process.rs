//! The process as an operator meets it: exit codes, refusals that say what to do, and help with examples.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail"
)]

mod support;

use std::process::Output;
use std::time::Duration;
use support::door::Verdict;
use support::service::{Service, lockstep, serve};
use support::traffic::{Traffic, prices};
use tokio::task::{JoinSet, LocalSet};

/// Long enough for a slow machine; a refusal that hangs is a failure.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

async fn output(mut command: tokio::process::Command) -> Output {
    let ended = tokio::time::timeout(ENDS_WITHIN, command.output()).await;
    ended.expect("it ends by itself").unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn sigterm_under_load_drains_and_keeps_what_was_acknowledged() {
    LocalSet::new().run_until(drain_under_load()).await;
}

async fn drain_under_load() {
    let mut service = Service::new("");
    service.start().await;
    let door = service.door();
    for price in prices() {
        door.deliver(&price).await;
    }
    let mut senders = JoinSet::new();
    for sender in 0..4_u64 {
        let door = door.clone();
        senders.spawn_local(async move {
            let mut traffic = Traffic::new(&format!("s{sender}"), sender);
            let mut acknowledged = Vec::new();
            // Until it refuses: from then on nothing is acknowledged any more.
            loop {
                let operation = traffic.next();
                match door.send(&operation).await {
                    Some(Verdict::Done { .. }) => acknowledged.push(operation),
                    Some(Verdict::Refused) => {}
                    None => return acknowledged,
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let status = service.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", service.log());
    let acknowledged: Vec<_> = senders.join_all().await.into_iter().flatten().collect();
    assert!(
        acknowledged.len() > 20,
        "only {} acknowledged",
        acknowledged.len()
    );

    service.start().await;
    for operation in &acknowledged {
        let verdict = door.deliver(operation).await;
        assert_eq!(verdict, Verdict::Done { repeated: true }, "{operation:?} is lost");
    }
    assert_eq!(service.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_key_value_and_what_is_allowed() {
    let cases: [(&str, &[&str]); 7] = [
        ("[node]\nshards = 0", &["node.shards", "0", "1 to 256"]),
        ("[node]\nshards = 'two'", &["node.shards", "two", "usize"]),
        ("[nodes]\nshards = 1", &["nodes", "node", "store"]),
        (
            "[store]\npartitions = 5000",
            &["store.partitions", "5000", "1 to 4096"],
        ),
        (
            "[http]\nlisten = '0.0.0.0:8480'\nanonymous_on_loopback = true",
            &["http.anonymous_on_loopback", "true", "loopback"],
        ),
        ("[erp]\nkind = 'sap'", &["erp.kind", "sap", "local", "http"]),
        (
            "[amqp]\nurl = 'amqp://localhost'\nprefetch = 0",
            &["amqp.prefetch", "0", "1 to 60000"],
        ),
    ];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("lockstep.toml");
    for (text_of_file, parts) in cases {
        std::fs::write(&file, text_of_file).unwrap();
        let refused = output(serve(&file)).await;
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{text_of_file}: {said}");
        for part in parts {
            assert!(said.contains(part), "{text_of_file}: {said} lacks {part}");
        }
    }
    let missing = output(serve(&directory.path().join("none.toml"))).await;
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("none.toml"));
}

#[tokio::test]
async fn a_store_in_use_or_of_a_newer_format_is_refused_and_left_alone() {
    let mut service = Service::new("");
    service.start().await;
    let second = output(serve(&service.config())).await;
    let said = text(&second.stderr);
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(said.contains(&service.store().display().to_string()), "{said}");
    assert_eq!(service.terminate().await.code(), Some(0));

    let identity = service.store().join("identity");
    let written = std::fs::read_to_string(&identity).unwrap();
    let newer = written.replacen("format ", "format 9", 1);
    assert_ne!(newer, written);
    std::fs::write(&identity, &newer).unwrap();
    let refused = output(serve(&service.config())).await;
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("newer") || said.contains("upgrade"), "{said}");
    assert_eq!(std::fs::read_to_string(&identity).unwrap(), newer);

    std::fs::write(&identity, written).unwrap();
    service.start().await;
    assert_eq!(service.terminate().await.code(), Some(0));
}

/// The commands below a command, as its help lists them.
fn commands_of(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn help_shows_an_example_at_every_level() {
    let mut paths = vec![Vec::<String>::new()];
    let mut seen = Vec::new();
    while let Some(path) = paths.pop() {
        let mut command = lockstep();
        command.args(&path).arg("--help");
        let help = output(command).await;
        assert!(help.status.success(), "{path:?}");
        let help = text(&help.stdout);
        assert!(
            help.contains("Example"),
            "lockstep {} --help has no example:\n{help}",
            path.join(" ")
        );
        for name in commands_of(&help) {
            paths.push([path.clone(), vec![name]].concat());
        }
        seen.push(path.join(" "));
    }
    for expected in ["serve", "inspect order", "key create", "check-config"] {
        assert!(
            seen.iter().any(|path| path == expected),
            "{expected} is not in {seen:?}"
        );
    }
}

#[tokio::test]
async fn another_table_of_owners_needs_a_higher_version_and_is_kept() {
    let mut service = Service::new("");
    service.start().await;
    assert_eq!(service.terminate().await.code(), Some(0));
    let mut configuration = std::fs::read_to_string(service.config()).unwrap();
    configuration.push_str("\n[ownership.channels]\nshop-eu = [\"web\"]\n[ownership]\nversion = 1\n");
    std::fs::write(service.config(), &configuration).unwrap();
    let refused = output(serve(&service.config())).await;
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("raise ownership.version"), "{said}");

    let second = configuration.replace("version = 1", "version = 2");
    std::fs::write(service.config(), &second).unwrap();
    service.start().await;
    assert_eq!(service.terminate().await.code(), Some(0), "{}", service.log());
    std::fs::write(
        service.config(),
        configuration
            .replace("version = 1", "version = 2")
            .replace("web", "edi"),
    )
    .unwrap();
    let refused = output(serve(&service.config())).await;
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));

    let mut inspect = lockstep();
    inspect.arg("inspect").arg("--store").arg(service.store());
    inspect.args(["--json", "ownership"]);
    let shown = output(inspect).await;
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["state"]["current"]["table"]["version"], 2);
    assert_eq!(
        shown["state"]["current"]["table"]["channels"]["shop-eu"][0],
        "web"
    );
    assert_eq!(shown["state"]["earlier"][0]["table"]["version"], 1);
}
