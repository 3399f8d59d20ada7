//! A process that is killed while it commits.

use super::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const CHILD: &str = "LOCKSTEP_STORE_TEST_CHILD";
const THIS: &str = "store::embedded::tests::crash::what_was_acknowledged_outlives_a_killed_process";

/// Commits for ever and says what was acknowledged.
fn commit_for_ever(directory: &Path) -> ! {
    let mut busy = Busy::open(&opener(directory)).unwrap();
    loop {
        let sequence = busy.next;
        let trim = sequence.checked_sub(300);
        busy.commit_and_trim(20_000, trim).unwrap();
        println!("acknowledged {sequence}");
    }
}

#[test]
fn what_was_acknowledged_outlives_a_killed_process() {
    if let Some(directory) = std::env::var_os(CHILD) {
        commit_for_ever(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let opener = opener(directory.path());
    let mut so_far = 0;
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", THIS, "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = so_far;
        let mut killed = false;
        while let Some(Ok(line)) = lines.next() {
            let Some((_, number)) = line.split_once("acknowledged ") else {
                continue;
            };
            acknowledged = number.parse().unwrap();
            if !killed && acknowledged > so_far + 150 * round {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(killed, "the child ended by itself");
        let store = opener.open().unwrap();
        let found = sequences(&*store.reader());
        let last = *found.last().unwrap();
        assert!(
            last == acknowledged || last == acknowledged + 1,
            "{acknowledged} was acknowledged, {last} is there"
        );
        let expected: Vec<u64> = (found[0]..=last).collect();
        assert_eq!(found, expected);
        assert!(found[0] <= 1.max(last.saturating_sub(299)));
        so_far = last;
    }
}
