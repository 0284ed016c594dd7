//! Many callers that change the same aggregate at the same time.

use std::sync::Arc;

use futures::future::join_all;
use ironstar_app::{CommandContext, CommandError, CommandHandler};
use ironstar_fixtures::remark::{RemarkCommand, RemarkState};
use ironstar_ports::Sequence;
use uuid::Uuid;

use crate::support::{Hesitant, handler, memory_store};

const ID: Uuid = Uuid::from_u128(7);

struct App {
    commands: CommandHandler,
    store: Arc<Hesitant>,
}

impl App {
    fn new() -> Self {
        let store = Arc::new(Hesitant::new(memory_store()));
        let commands = handler(store.clone());
        Self { commands, store }
    }

    async fn create(&self, id: Uuid) {
        let (note, text) = (Uuid::from_u128(1), "Milk".to_owned());
        let create = RemarkCommand::Create { note, text };
        let context = CommandContext::default();
        let created = self.commands.execute::<RemarkState>(&id, &create, &context);
        created.await.expect("created");
    }
}

fn rewrite(number: usize) -> RemarkCommand {
    let text = format!("Milk {number}");
    RemarkCommand::Rewrite { text }
}

#[tokio::test(start_paused = true)]
async fn none_of_many_rewrites_at_once_is_refused() {
    for many in [40, 300] {
        let app = App::new();
        app.create(ID).await;
        app.store.hesitate();
        let context = CommandContext::default();
        let rewrites = (0..many).map(|number| {
            let (app, context) = (&app, &context);
            async move {
                let rewrite = rewrite(number);
                app.commands
                    .execute::<RemarkState>(&ID, &rewrite, context)
                    .await
            }
        });
        for rewritten in join_all(rewrites).await {
            rewritten.expect("rewritten");
        }
        assert_eq!(app.store.count("rewritten").await, many);
    }
}

#[tokio::test(start_paused = true)]
async fn two_processes_refuse_none_of_many_rewrites_at_once() {
    let app = App::new();
    app.create(ID).await;
    app.store.hesitate();
    let handlers = [app.commands.clone(), handler(app.store.clone())];
    let context = CommandContext::default();
    let rewrites = (0..200).map(|number| {
        let (handlers, context) = (&handlers, &context);
        async move {
            let rewrite = rewrite(number);
            let handler = &handlers[number % 2];
            handler.execute::<RemarkState>(&ID, &rewrite, context).await
        }
    });
    for rewritten in join_all(rewrites).await {
        rewritten.expect("rewritten");
    }
    assert_eq!(app.store.count("rewritten").await, 200);
}

#[tokio::test(start_paused = true)]
async fn named_sequence_is_decided_once_among_many() {
    let app = App::new();
    app.create(ID).await;
    app.store.hesitate();
    let rewrites = (0..40).map(|number| {
        let app = &app;
        async move {
            let context = CommandContext {
                expected: (number % 2 == 0).then_some(Sequence::FIRST),
                ..CommandContext::default()
            };
            let rewrite = rewrite(number);
            let rewritten = app.commands.execute::<RemarkState>(&ID, &rewrite, &context);
            (number, rewritten.await)
        }
    });
    let mut named = 0;
    for (number, rewritten) in join_all(rewrites).await {
        match rewritten {
            Ok(_) if number % 2 == 0 => named += 1,
            Ok(_) => {}
            Err(CommandError::Unexpected { .. }) => assert_eq!(number % 2, 0, "{number}"),
            Err(error) => panic!("{number}: {error}"),
        }
    }
    assert!(named <= 1, "{named}");
}

#[tokio::test(start_paused = true)]
async fn command_on_many_remarks_gets_its_turn_among_many_on_each() {
    let app = App::new();
    let ids: Vec<Uuid> = (1..=20).map(Uuid::from_u128).collect();
    for id in &ids {
        app.create(*id).await;
    }
    app.store.hesitate();
    let context = CommandContext::default();
    let rewrites = (0..400).map(|number| {
        let (app, context, id) = (&app, &context, ids[number % ids.len()]);
        async move {
            let rewrite = rewrite(number);
            let rewritten = app.commands.execute::<RemarkState>(&id, &rewrite, context);
            rewritten.await
        }
    });
    let wholes = [RemarkCommand::Close, RemarkCommand::Close].map(|close| {
        let (app, context, ids) = (&app, &context, &ids);
        async move {
            let done = app
                .commands
                .execute_on_all::<RemarkState>(ids, &close, context);
            done.await.map(|accepted| accepted.changed)
        }
    });
    let (rewrites, wholes) = futures::join!(join_all(rewrites), join_all(wholes));
    for rewritten in rewrites {
        rewritten.expect("rewritten");
    }
    let changed: usize = wholes.into_iter().map(|done| done.expect("done")).sum();
    assert_eq!(changed, ids.len());
}
