//! A store behind TLS: a PostgreSQL of the test's own that takes nothing else, with a certificate of an authority of the test's own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::command::run;
use support::door::Verdict;
use support::port::Port;
use support::service::{Service, lockstep, serve};
use support::traffic::{Act, Operation, SKUS};
use tempfile::TempDir;

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn openssl(directory: &Path, arguments: &str) {
    let arguments = arguments.split(' ').map(|argument| argument.replace('+', " "));
    done(Command::new("openssl").current_dir(directory).args(arguments));
}

/// A certificate authority of this name, and a server's certificate for `localhost` that it has signed.
fn certify(directory: &Path, authority: &str) {
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        directory,
        &format!(
            "req -x509 {curve} -days 2 -subj /CN={authority} -keyout {authority}.key -out {authority}.pem"
        ),
    );
    openssl(
        directory,
        &format!("req -new {curve} -subj /CN=localhost -keyout server.key -out server.csr"),
    );
    std::fs::write(directory.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        directory,
        &format!(
            "x509 -req -in server.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -days 2 -extfile names \
             -out server.pem"
        ),
    );
}

/// A server that ends with the test.
struct Server {
    directory: TempDir,
    port: Port,
}

/// Where the newest PostgreSQL of this machine has its programs.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").unwrap();
    let versions = versions.map(|version| version.unwrap().path());
    versions.max().unwrap().join("bin")
}

impl Server {
    fn start() -> Self {
        let server = Self {
            directory: tempfile::tempdir().unwrap(),
            port: Port::reserve(),
        };
        let path = server.directory.path();
        certify(path, "ours");
        if rustix::process::getuid().is_root() {
            done(Command::new("chown").args(["-R", "postgres"]).arg(path));
        }
        let data = path.join("data");
        done(
            server
                .program("initdb")
                .args(["-U", "postgres", "-A", "trust", "-N", "-D"])
                .arg(&data),
        );
        // Without TLS nobody is let in.
        std::fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").unwrap();
        let (at, number) = (path.display(), server.port.number);
        let options = format!(
            "-p {number} -c listen_addresses=127.0.0.1 -c unix_socket_directories={at} -c ssl=on -c ssl_cert_file={at}/server.pem \
             -c ssl_key_file={at}/server.key"
        );
        let log = path.join("log");
        let starting = &mut server.program("pg_ctl");
        done(
            starting
                .args(["-w", "-o", &options, "-l"])
                .arg(log)
                .arg("-D")
                .arg(&data)
                .arg("start"),
        );
        server
    }

    /// One of its programs, run by whoever may: PostgreSQL does not run as root.
    fn program(&self, name: &str) -> Command {
        let program = programs().join(name);
        let mut command = if rustix::process::getuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.directory.path());
        command
    }

    fn table(&self, mode: &str, host: &str, roots: &str) -> String {
        let roots = self.directory.path().join(roots);
        format!(
            "kind = \"postgres\"\npartitions = 16\n[store.postgres]\n\
             url = \"postgres://postgres@{host}:{}/postgres?sslmode={mode}\"\ntls_roots = {roots:?}\n",
            self.port.number
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.directory.path().join("data");
        let stopped = self
            .program("pg_ctl")
            .args(["-m", "immediate", "-D"])
            .arg(data)
            .arg("stop")
            .output();
        // A failing test has said enough.
        assert!(stopped.is_ok() || std::thread::panicking());
    }
}

#[tokio::test]
async fn a_store_behind_tls_is_served_and_one_that_is_not_who_it_should_be_is_not() {
    let server = Server::start();
    // An authority that has not signed the server's certificate.
    let others = tempfile::tempdir().unwrap();
    certify(others.path(), "theirs");
    let theirs = others.path().join("theirs.pem");
    let mut service = Service::new("");
    let text = std::fs::read_to_string(service.config()).unwrap();
    let embedded = format!("directory = {:?}\npartitions = 16\n", service.store());
    let configure = |table: &str| {
        assert!(text.contains(&embedded), "{text}");
        std::fs::write(service.config(), text.replace(&embedded, table)).unwrap();
    };
    let wrong = [
        (
            "another authority",
            server.table("require", "localhost", theirs.to_str().unwrap()),
        ),
        ("another name", server.table("require", "127.0.0.1", "ours.pem")),
        ("no TLS", server.table("disable", "localhost", "ours.pem")),
    ];
    for (what, table) in wrong {
        configure(&table);
        let ended = run(serve(&service.config())).await;
        assert_eq!(ended.code, Some(3), "{what}: {}", ended.error);
    }
    configure(&server.table("require", "localhost", "ours.pem"));
    service.start().await;
    let receipt = Operation {
        id: "r-1".to_owned(),
        act: Act::Receipt {
            sku: SKUS[0],
            warehouse: "W1",
            quantity: 7,
        },
    };
    for repeated in [false, true] {
        assert_eq!(service.door().deliver(&receipt).await, Verdict::Done { repeated });
    }
    assert!(service.terminate().await.success(), "{}", service.log());
    let mut verifying = lockstep();
    verifying
        .args(["store", "verify", "--config"])
        .arg(service.config());
    let verified = run(verifying).await;
    assert_eq!(verified.code, Some(0), "{}", verified.error);
}
