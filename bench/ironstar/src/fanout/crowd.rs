//! Very many clients of one server, on one thread. They share the machine with the server. So
//! each client costs only one read for all data that arrives together, and a hundred bytes of
//! memory.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use super::publisher::{Changes, Post, Publisher};
use super::reader::Reader;

/// The number of clients that connect at the same time.
const WAVE: usize = 256;

/// The longest time to wait for an expected event.
const PATIENCE: Duration = Duration::from_secs(60);

/// The size of the receive buffer of a client that never reads, in bytes.
const SILENT_BUFFER: usize = 16 * 1024;

/// The group of the clients that do not read. No change waits for this group.
const SILENT: usize = usize::MAX;

const PUBLISHER: Token = Token(usize::MAX);

/// The clients, and the connection that makes the changes.
#[derive(Debug)]
pub(super) struct Crowd {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    /// The number of clients that have received an event.
    greeted: usize,
    pub(super) publisher: Publisher,
    /// The expected events.
    targets: VecDeque<Target>,
    /// For each expected event, the time until the last client had it.
    reached: Vec<Duration>,
    buffer: Box<[u8]>,
}

#[derive(Debug)]
struct Client {
    stream: TcpStream,
    reader: Reader,
    group: usize,
    /// The received bytes of events, if they are kept. They always are for the first client.
    kept: Option<Vec<u8>>,
}

/// A position that all clients of a group must reach.
#[derive(Debug)]
struct Target {
    group: usize,
    position: u64,
    since: Instant,
    /// The number of clients that have not reached it yet.
    behind: usize,
}

impl Crowd {
    /// Creates a crowd without clients, with a connection that publishes.
    pub(super) fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut publisher = Publisher::connect(address)?;
        let registry = poll.registry();
        registry.register(&mut publisher.stream, PUBLISHER, Interest::READABLE)?;
        Ok(Self {
            address,
            poll,
            events: Events::with_capacity(1_024),
            clients: Vec::new(),
            greeted: 0,
            publisher,
            targets: VecDeque::new(),
            reached: Vec::new(),
            buffer: vec![0; 64 * 1024].into(),
        })
    }

    /// Lets clients open a stream and read its first event. The clients of a group are waited
    /// for together.
    pub(super) fn join(&mut self, path: &str, group: usize, count: usize) -> anyhow::Result<()> {
        let mut left = count;
        while left > 0 {
            let wave = left.min(WAVE);
            for _ in 0..wave {
                let stream = net::TcpStream::connect(self.address)?;
                self.open(stream, path, group)?;
                self.listen(self.clients.len() - 1)?;
            }
            self.wait(|crowd| crowd.greeted == crowd.clients.len())?;
            left -= wave;
        }
        Ok(())
    }

    /// Lets clients open a stream without reading it before [`Self::wake`].
    pub(super) fn join_silently(&mut self, path: &str, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
            socket.set_recv_buffer_size(SILENT_BUFFER)?;
            socket.connect(&self.address.into())?;
            self.open(socket.into(), path, SILENT)?;
        }
        Ok(())
    }

    /// Lets all clients but the first `awake` read their unread data, and waits until each
    /// has reached this position.
    pub(super) fn wake(&mut self, awake: usize, position: u64) -> anyhow::Result<()> {
        for index in awake..self.clients.len() {
            self.listen(index)?;
        }
        let has_seen = |client: &Client| client.reader.seen() >= Some(position);
        self.wait(|crowd| crowd.clients.iter().all(has_seen))
    }

    fn open(&mut self, mut stream: net::TcpStream, path: &str, group: usize) -> anyhow::Result<()> {
        let (address, cookie) = (self.address, &self.publisher.cookie);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{cookie}\r\n")?;
        stream.set_nonblocking(true)?;
        self.clients.push(Client {
            stream: TcpStream::from_std(stream),
            reader: Reader::default(),
            group,
            kept: self.clients.is_empty().then(Vec::new),
        });
        Ok(())
    }

    fn listen(&mut self, index: usize) -> anyhow::Result<()> {
        let stream = &mut self.clients[index].stream;
        let registry = self.poll.registry();
        Ok(registry.register(stream, Token(index), Interest::READABLE)?)
    }

    /// The number of clients.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Keeps the received bytes of each client from now on.
    pub(super) fn keep(&mut self) {
        for client in &mut self.clients {
            client.kept = Some(Vec::new());
        }
    }

    /// Returns the bytes of the first client since the last call.
    pub(super) fn take_kept(&mut self) -> Vec<u8> {
        let kept = self.clients.first_mut().and_then(|one| one.kept.as_mut());
        kept.map(std::mem::take).unwrap_or_default()
    }

    /// The number of clients whose kept bytes contain a text.
    pub(super) fn count_kept(&self, text: &[u8]) -> usize {
        let kept = self.clients.iter().filter_map(|one| one.kept.as_ref());
        kept.filter(|kept| memchr::memmem::find(kept, text).is_some())
            .count()
    }

    /// Makes a change that the clients of a group must see. Its time counts from `since`.
    pub(super) fn publish(
        &mut self,
        post: &Post,
        group: usize,
        since: Instant,
    ) -> anyhow::Result<()> {
        self.publisher.send(post)?;
        let position = self.publisher.position;
        let is_behind = |one: &&Client| one.group == group && one.reader.seen() < Some(position);
        let behind = self.clients.iter().filter(is_behind).count();
        self.targets.push_back(Target {
            group,
            position,
            since,
            behind,
        });
        Ok(())
    }

    /// Makes a change, and waits until every client of the group has it.
    pub(super) fn change(&mut self, changes: &mut Changes, group: usize) -> anyhow::Result<()> {
        let post = changes.next(self.publisher.position + 1)?;
        self.publish(&post, group, Instant::now())?;
        self.settle()
    }

    /// Waits until every client has every change.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        self.wait(|crowd| crowd.targets.is_empty() && crowd.publisher.is_done())
    }

    /// Returns the times from each change to the last client since the last call, in
    /// ascending order.
    pub(super) fn take_times(&mut self) -> Vec<Duration> {
        let mut times = std::mem::take(&mut self.reached);
        times.sort_unstable();
        times
    }

    /// Processes events until this time.
    pub(super) fn run_until(&mut self, end: Instant) -> anyhow::Result<()> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.pump(left)?;
        }
    }

    fn wait(&mut self, is_done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while !is_done(self) {
            self.pump(Duration::from_secs(1))?;
            ensure!(Instant::now() < end, "{}", self.complain());
        }
        Ok(())
    }

    fn complain(&self) -> String {
        let target = self.targets.front();
        let (position, behind) = target.map_or((0, 0), |target| (target.position, target.behind));
        format!(
            "of {} clients, {} have received an event, and {behind} wait for position {position}; \
             every command was answered: {}",
            self.clients.len(),
            self.greeted,
            self.publisher.is_done(),
        )
    }

    /// Waits for events, at most for this time, and processes them.
    fn pump(&mut self, most: Duration) -> anyhow::Result<()> {
        match self.poll.poll(&mut self.events, Some(most)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        for event in &self.events {
            let token = event.token();
            if token == PUBLISHER {
                self.publisher.receive()?;
                continue;
            }
            let client = &mut self.clients[token.0];
            let before = client.reader.seen();
            client.receive(&mut self.buffer)?;
            let seen = client.reader.seen();
            if seen == before {
                continue;
            }
            self.greeted += usize::from(before.is_none());
            let group = client.group;
            for target in &mut self.targets {
                let position = Some(target.position);
                if target.group == group && before < position && position <= seen {
                    target.behind -= 1;
                    if target.behind == 0 {
                        self.reached.push(target.since.elapsed());
                    }
                }
            }
        }
        self.targets.retain(|target| target.behind > 0);
        Ok(())
    }
}

impl Client {
    fn receive(&mut self, buffer: &mut [u8]) -> anyhow::Result<()> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => bail!("a stream was cut off"),
                Ok(read) => {
                    self.reader.read(&buffer[..read], self.kept.as_mut())?;
                    // The next data will cause another event.
                    if read < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
