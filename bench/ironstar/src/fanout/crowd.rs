//! Very many clients of one server, on one thread. They share the machine with
//! the server, so each costs one read for what arrives together, and a hundred
//! bytes.

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

/// How many clients connect at a time.
const WAVE: usize = 256;

/// How long to wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client that never reads takes from the network nevertheless.
const SILENT_BUFFER: usize = 16 * 1024;

/// The group of those who do not read. Nobody waits for it.
const SILENT: usize = usize::MAX;

const PUBLISHER: Token = Token(usize::MAX);

/// The clients, and the connection that changes what they see.
#[derive(Debug)]
pub(super) struct Crowd {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    /// How many have got anything at all.
    greeted: usize,
    pub(super) publisher: Publisher,
    /// What is waited for.
    targets: VecDeque<Target>,
    /// How long it took until the last client had what was waited for.
    reached: Vec<Duration>,
    buffer: Box<[u8]>,
}

#[derive(Debug)]
struct Client {
    stream: TcpStream,
    reader: Reader,
    group: usize,
    /// What it gets, if that is wanted; always of the first one.
    kept: Option<Vec<u8>>,
}

/// A position that all clients of a group have to see.
#[derive(Debug)]
struct Target {
    group: usize,
    position: u64,
    since: Instant,
    /// How many have not seen it yet.
    behind: usize,
}

impl Crowd {
    /// Nobody yet, but for the one that publishes.
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

    /// Lets clients open a stream and get what that begins with. Those of a
    /// group are waited for together.
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

    /// Lets clients open a stream and not read it, before [`Self::wake`].
    pub(super) fn join_silently(&mut self, path: &str, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
            socket.set_recv_buffer_size(SILENT_BUFFER)?;
            socket.connect(&self.address.into())?;
            self.open(socket.into(), path, SILENT)?;
        }
        Ok(())
    }

    /// Lets all but the first so many read what they have not read so far, and
    /// waits until each has seen this position.
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

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Keeps what each client gets, from now on.
    pub(super) fn keep(&mut self) {
        for client in &mut self.clients {
            client.kept = Some(Vec::new());
        }
    }

    /// What the first client has got since the last time.
    pub(super) fn take_kept(&mut self) -> Vec<u8> {
        let kept = self.clients.first_mut().and_then(|one| one.kept.as_mut());
        kept.map(std::mem::take).unwrap_or_default()
    }

    /// How many clients have got a text in what was kept of them.
    pub(super) fn count_kept(&self, text: &[u8]) -> usize {
        let kept = self.clients.iter().filter_map(|one| one.kept.as_ref());
        kept.filter(|kept| memchr::memmem::find(kept, text).is_some())
            .count()
    }

    /// Changes something that the clients of a group have to see. How long that
    /// takes counts from this time on.
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

    /// Changes something, and waits until everyone concerned has seen it.
    pub(super) fn change(&mut self, changes: &mut Changes, group: usize) -> anyhow::Result<()> {
        let post = changes.next(self.publisher.position + 1)?;
        self.publish(&post, group, Instant::now())?;
        self.settle()
    }

    /// Waits until everyone has seen everything.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        self.wait(|crowd| crowd.targets.is_empty() && crowd.publisher.is_done())
    }

    /// How long each change took to get to the last client, in order of that,
    /// since this was asked before.
    pub(super) fn take_times(&mut self) -> Vec<Duration> {
        let mut times = std::mem::take(&mut self.reached);
        times.sort_unstable();
        times
    }

    /// Lets things happen until this time.
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
            "of {} clients {} have got anything, and {behind} wait for position {position}; \
             every command was answered: {}",
            self.clients.len(),
            self.greeted,
            self.publisher.is_done(),
        )
    }

    /// Waits until something arrives, but not for longer than this.
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
                    // What comes after that will be announced.
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
