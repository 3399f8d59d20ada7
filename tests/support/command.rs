//! A command that ends by itself, and what it printed.

use serde_json::Value;
use std::time::Duration;
use tokio::process::Command;

const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// What a command printed, and how it ended.
pub struct Printed {
    pub code: Option<i32>,
    pub out: String,
    pub error: String,
}

impl Printed {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.error))
    }
}

/// Runs a command to its end.
pub async fn run(mut command: Command) -> Printed {
    let output = tokio::time::timeout(ENDS_WITHIN, command.output())
        .await
        .unwrap()
        .unwrap();
    Printed {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}
