//! Another system, as it answers: a server on a port of this machine that says what the bytes say.
//!
//! An input is a line of who is asked for what, and answers between lines of `---`: a status, headers, an empty line, a body. The last
//! answer is given again for as long as there are questions. `{here}` is the server's own address; no other is ever asked, as an input
//! that speaks of one is passed over.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How many questions one thing may take that is asked of it.
const MOST_QUESTIONS: usize = 1_000;
/// How long it may take, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer as it is told.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What is still to be answered, and how much was.
#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<Answer>,
    questions: usize,
}

/// The server, and what runs its clients.
pub struct StandIn {
    runtime: Runtime,
    address: String,
    script: Arc<Mutex<Script>>,
}

impl StandIn {
    /// A server that lives as long as the process.
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
        let address = listener.local_addr().expect("it has one");
        let script = Arc::new(Mutex::new(Script::default()));
        let served = Arc::clone(&script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that has gone does without.
                drop(serve(&stream, &served));
            }
        });
        Self {
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            address: format!("http://{address}"),
            script,
        }
    }

    /// Where it is asked.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Learns the answers of an input; who is asked for what, if the input is one.
    pub fn learn<'b>(&self, bytes: &'b [u8]) -> Option<(&'b str, &'b str)> {
        let end = bytes.iter().position(|&byte| byte == b'\n')?;
        let (who, what) = str::from_utf8(&bytes[..end]).ok()?.split_once(' ')?;
        let text = &bytes[end + 1..];
        let mut words = text.windows(4);
        if words.any(|word| word.eq_ignore_ascii_case(b"http")) {
            return None;
        }
        let mut answers = VecDeque::from([Vec::new()]);
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            match answers.back_mut() {
                Some(answer) if line.trim_ascii() != b"---" => answer.extend_from_slice(line),
                _ => answers.push_back(Vec::new()),
            }
        }
        let answers = answers.iter().map(|answer| self.read(answer)).collect();
        *self.script() = Script {
            answers,
            questions: 0,
        };
        Some((who, what))
    }

    fn read(&self, text: &[u8]) -> Answer {
        let mut lines = text.split_inclusive(|&byte| byte == b'\n');
        let mut line = || {
            lines
                .next()
                .map(|line| String::from_utf8_lossy(line).trim().to_owned())
        };
        let status = line().and_then(|line| line.parse().ok());
        let mut headers = Vec::new();
        while let Some(line) = line().filter(|line| !line.is_empty()) {
            headers.extend(header(&line));
        }
        let body = lines.collect::<Vec<_>>().concat();
        Answer {
            status: status.filter(|status| (200..600).contains(status)).unwrap_or(200),
            headers,
            body: with_address(body.trim_ascii_end(), &self.address),
        }
    }

    /// What comes of something that asks the server, which it does within bounds.
    pub fn run<T>(&self, asking: impl Future<Output = T>) -> T {
        let done = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, asking).await });
        let questions = self.script().questions;
        assert!(questions <= MOST_QUESTIONS, "{questions} questions");
        done.expect("it ends")
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A header, unless it is none or says how the answer is framed, which the server does itself.
fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim().to_ascii_lowercase();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let frames = matches!(
        name.as_str(),
        "content-length" | "transfer-encoding" | "connection"
    );
    let value: String = value.chars().filter(|letter| !letter.is_control()).collect();
    (is_name && !frames).then_some((name, value))
}

fn with_address(body: &[u8], address: &str) -> Vec<u8> {
    const HERE: &[u8] = b"{here}";
    let mut written = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.windows(HERE.len()).position(|window| window == HERE) {
        written.extend_from_slice(&rest[..at]);
        written.extend_from_slice(address.as_bytes());
        rest = &rest[at + HERE.len()..];
    }
    written.extend_from_slice(rest);
    written
}

/// Takes one question, whatever it is, and gives the next answer.
fn serve(stream: &TcpStream, script: &Mutex<Script>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(("content-length", value)) = line.to_ascii_lowercase().split_once(':') {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let answer = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        script.questions += 1;
        let is_last = script.answers.len() <= 1;
        let next = if is_last {
            script.answers.front().cloned()
        } else {
            script.answers.pop_front()
        };
        next.expect("an input has an answer")
    };
    let mut head = format!("HTTP/1.1 {} as told\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", answer.body.len()));
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(&answer.body)
}
