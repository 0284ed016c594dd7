//! The questions of visitors, and the check of each answer.

use std::time::Duration;

use axum::http::{Request, StatusCode, header};
use serde_json::json;

use super::deeds::VISITORS;
use super::{Note, World};
use crate::app::text;
use crate::kinds::{Kind, at};

impl World {
    /// Checks that a visitor's answer is about no note that they may not see.
    fn check(&self, visitor: usize, link: Option<usize>, what: &str, got: &str) {
        for (number, note) in self.notes.iter().enumerate() {
            if !self.may_see(visitor, number, link) {
                assert!(
                    !got.contains(&note.mark),
                    "{what} tells of {}: {got}",
                    note.mark
                );
            }
        }
    }

    /// Every visitor asks for everything.
    pub(super) async fn examine(&mut self) {
        for visitor in 0..VISITORS {
            for link in self.links_of(visitor) {
                self.ask(visitor, link).await;
            }
        }
        // Wait until streams have sent what they are about to send.
        tokio::time::sleep(Duration::from_millis(25)).await;
        for index in 0..self.streams.len() {
            let stream = &self.streams[index];
            let heard = self.heard(index);
            let new = &heard[stream.checked..];
            self.check(stream.visitor, stream.link, "a stream", new);
        }
    }

    async fn ask(&self, visitor: usize, link: Option<usize>) {
        let app = &self.visitors[visitor];
        let Kind {
            page,
            query,
            mine,
            all,
            ..
        } = self.kind;
        let (shared, _) = query.split_once('?').expect("an address without a note");
        for path in ["/", mine, all.0, shared, "/api/session"] {
            let got = text(app.get(&self.at(path, "", link)).await).await;
            // These pages show the visitor's own notes, whatever the link.
            self.check(visitor, None, path, &got);
        }
        for (number, note) in self.notes.iter().enumerate() {
            let may_see = self.may_see(visitor, number, link);
            for address in [page, query].into_iter().chain(self.kind.pages) {
                let path = self.at(address, &note.id, link);
                let response = app.get(&path).await;
                let status = response.status();
                let expected = if may_see {
                    StatusCode::OK
                } else {
                    StatusCode::NOT_FOUND
                };
                assert_eq!(status, expected, "{visitor} {path}");
                self.check(visitor, link, &path, &text(response).await);
            }
            if !may_see {
                self.meddle(visitor, link, number).await;
            }
        }
    }

    /// Checks that a visitor who may not see a note cannot change it, and that the answer is
    /// 404.
    async fn meddle(&self, visitor: usize, link: Option<usize>, note: usize) {
        let Note { id, remarks, .. } = &self.notes[note];
        let kind = self.kind;
        let all = format!("{}s", kind.part);
        let mut commands = vec![
            (
                kind.name,
                json!({"type": kind.rewrite, "id": id, kind.text: "x"}),
            ),
            (
                kind.name,
                json!({"type": "create_link", "id": id, "access": "edit"}),
            ),
            (
                kind.part,
                json!({"type": "create", "text": "x", kind.name: id}),
            ),
            (&*all, json!({"type": kind.on_all, "id": id})),
        ];
        if let Some(remark) = remarks.last() {
            let on_part = kind.on_part.iter();
            commands.extend(on_part.map(|it| (kind.part, json!({"type": it, "id": remark}))));
        }
        let app = &self.visitors[visitor];
        for (what, command) in commands {
            let (status, answer) = app.post(&self.at(what, "", link), command.clone()).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{command}: {answer}");
            self.check(visitor, link, what, &answer.to_string());
        }
        let form = self.at(kind.form, id, link);
        let request = Request::post(form).header(header::ACCEPT, "text/html");
        let response = app.form(request, "text=x").await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        self.check(visitor, link, "a form", &text(response).await);
    }

    /// Checks that visitors see the notes that they may see. Without this, a server that shows
    /// nothing would pass.
    pub(crate) async fn expect_sight(&self) -> usize {
        let mut seen = 0;
        for link in self.links.iter().filter(|link| !link.is_revoked) {
            let Note { id, mark, .. } = &self.notes[link.note];
            let path = at(self.kind.page, id, Some(&link.token));
            let page = text(self.visitors[link.to].get(&path).await).await;
            assert!(page.contains(mark), "{page}");
            let owns = self.notes[link.note].owner == link.to;
            assert_eq!(page.contains(self.kind.adds), link.edit || owns, "{page}");
            // Only the owner sees all links, and needs none of them.
            let shown = self.links.iter().filter(|it| page.contains(&it.token));
            assert!(owns || shown.count() == 1, "{page}");
            (self.kind.check_page)(&page, &link.token, owns);
            seen += 1;
        }
        seen
    }
}
