//! A temporary PostgreSQL server for tests. It is a real server with its usual settings, in a
//! folder of its own.
//!
//! This crate knows nothing of ironstar. It is for tests, and not part of any server.
//!
//! A guard process removes the server and its folder when the test program ends, even if it is
//! killed: then the pipe between them closes.

mod programs;

use std::io::Write;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use anyhow::{Context, bail, ensure};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use self::programs::Programs;

/// The superuser, who needs no password.
const USER: &str = "postgres";

/// The lines of `pg_hba.conf`, which says how users sign in. The user `locked` needs a password.
const SIGN_IN: &str = "\
local all all trust
host all locked 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
";

/// The ports to choose from: fewer than those that systems give to other programs.
const PORTS: Range<u16> = 10_000..30_000;

/// A prime number, so that programs that run at the same time begin with different ports.
const STRIDE: u32 = 7_919;

/// The number of attempts to start a server.
const ATTEMPTS: u32 = 3;

/// Stops the server and removes the folder, once its standard input ends. Signals for the whole
/// process group, such as that of Ctrl-C, do not concern it.
const GUARD: &str = r#"
    trap '' INT TERM HUP
    cat >/dev/null
    "$1" stop -D "$2/data" -m immediate >/dev/null 2>&1
    rm -rf "$2"
"#;

/// A PostgreSQL server.
#[derive(Debug)]
pub struct Cluster {
    programs: Programs,
    folder: PathBuf,
    port: u16,
    /// The guard, which ends once this end of its pipe is closed.
    _guard: Child,
    databases: AtomicU32,
}

impl Cluster {
    /// Returns the server that all tests of a program share, and starts it before its first use.
    /// Returns `None` if PostgreSQL is not installed, and writes that to
    /// standard error.
    ///
    /// # Panics
    ///
    /// If the server does not start. If PostgreSQL is not installed and the variable `CI` is set.
    pub fn shared(test: &str) -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let programs = Programs::find()?;
            Some(Self::start_with(programs).expect("PostgreSQL starts"))
        });
        if shared.is_none() {
            assert!(env::var_os("CI").is_none(), "{test} needs PostgreSQL");
            // Past the test harness, which would hide the message.
            writeln!(
                std::io::stderr(),
                "SKIPPED {test}: PostgreSQL is not installed"
            )
            .expect("standard error is writable");
        }
        shared.as_ref()
    }

    /// Starts a server for one test, which may stop it.
    ///
    /// # Errors
    ///
    /// If PostgreSQL is not installed, or does not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(Programs::find().context("PostgreSQL is not installed")?)
    }

    fn start_with(programs: Programs) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("ironstar-cluster-")
            .tempdir()?
            .keep();
        programs.give(&folder)?;
        let mut guard = Command::new("sh");
        guard
            .args(["-c", GUARD, "guard"])
            .arg(programs.path("pg_ctl"))
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let guard = programs
            .as_user(&mut guard)
            .spawn()
            .context("cannot start sh")?;
        let mut cluster = Self {
            port: 0,
            programs,
            folder,
            _guard: guard,
            databases: AtomicU32::new(0),
        };
        let data = cluster.data();
        cluster.run(
            "initdb",
            &[
                "-D",
                &data,
                "-U",
                USER,
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
        )?;
        fs::write(Path::new(&data).join("pg_hba.conf"), SIGN_IN)?;
        let mut started = Ok(());
        // Another program may take a port between the look at it and the start.
        for _ in 0..ATTEMPTS {
            cluster.port = free_port()?;
            started = cluster.start_again();
            if started.is_ok() {
                break;
            }
        }
        started?;
        Ok(cluster)
    }

    /// Starts the server after it was stopped.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start_again(&self) -> anyhow::Result<()> {
        let settings = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories='' \
             -c max_connections=300 -c shared_buffers=64MB",
            self.port
        );
        let log = self.folder.join("log");
        let (data, log) = (self.data(), log.display().to_string());
        self.run(
            "pg_ctl",
            &["start", "-w", "-D", &data, "-l", &log, "-o", &settings],
        )
    }

    /// Stops the server as a crash does: without a checkpoint, and without a word to its clients.
    ///
    /// # Errors
    ///
    /// If it does not stop.
    pub fn crash(&self) -> anyhow::Result<()> {
        self.run(
            "pg_ctl",
            &["stop", "-w", "-m", "immediate", "-D", &self.data()],
        )
    }

    /// Copies this server. The copy is a standby, which follows this server once it is started.
    ///
    /// # Errors
    ///
    /// If the copy cannot be made.
    pub fn standby(&self) -> anyhow::Result<Standby<'_>> {
        let data = self.folder.join("standby").display().to_string();
        let primary = format!("host=127.0.0.1 port={} user={USER}", self.port);
        self.run(
            "pg_basebackup",
            &["-d", &primary, "-D", &data, "-R", "-c", "fast"],
        )?;
        Ok(Standby(self))
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Creates an empty database, and returns its URL.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub async fn database(&self) -> anyhow::Result<String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.execute("postgres", &format!("CREATE DATABASE {name}"))
            .await?;
        Ok(self.url(&name))
    }

    /// The URL of a database for the superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Executes statements in a database as the superuser.
    ///
    /// # Errors
    ///
    /// If a statement fails.
    pub async fn execute(&self, database: &str, statements: &str) -> anyhow::Result<()> {
        let options: PgConnectOptions = self.url(database).parse()?;
        let mut connection = options.connect().await?;
        let executed = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
            .execute(&mut connection)
            .await;
        connection.close().await?;
        executed?;
        Ok(())
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(self.programs.path(program));
        command.args(arguments).stdin(Stdio::null());
        // Otherwise the caller of the tests would wait until the server ends.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let status = self.programs.as_user(&mut command).status()?;
        ensure!(
            status.success(),
            "{program} has failed: {status}; {}",
            fs::read_to_string(self.folder.join("log")).unwrap_or_default()
        );
        Ok(())
    }
}

/// A copy of the data of a server.
#[derive(Debug)]
pub struct Standby<'a>(&'a Cluster);

impl Standby<'_> {
    /// Lets the copy take over the address of its crashed original, as a failover does. The copy
    /// lacks what it has not received.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn take_over(self) -> anyhow::Result<()> {
        let Self(cluster) = self;
        fs::rename(cluster.folder.join("data"), cluster.folder.join("lost"))?;
        fs::rename(cluster.folder.join("standby"), cluster.folder.join("data"))?;
        cluster.start_again()?;
        cluster.run("pg_ctl", &["promote", "-w", "-D", &cluster.data()])
    }
}

/// Returns a port that nothing listens on at this moment. It is not one of those that the system
/// gives to other programs, so it stays free while the server is stopped.
fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(STRIDE);
    for _ in 0..PORTS.len() {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(number % PORTS.len() as u32)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("all ports from {} to {} are in use", PORTS.start, PORTS.end)
}
