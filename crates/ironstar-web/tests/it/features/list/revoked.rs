//! Pages of a list do not reach a visitor whose link has been revoked.

use super::LIST;
use crate::app::text;
use crate::revoked::{World, give_away, reads_in_vain};

#[tokio::test]
async fn page_of_a_list_is_not_shown_if_its_link_is_revoked_while_it_is_read() {
    reads_in_vain(&LIST).await;
}

#[tokio::test]
async fn page_of_a_list_reloads_when_its_visitor_may_do_less_than_it_shows() {
    let world = World::new(&LIST, "read").await;
    // The owner came by a link for reading.
    let mut stream = world.app.stream(&world.at(LIST.stream), None).await;
    let shown = stream.next().await;
    assert!(shown.data.contains("toggle-all"), "{}", shown.data);
    give_away(&world.app, "List", &world.id).await;
    let told = stream.next_with("now").await;
    assert_eq!(told.event, "datastar-reload");
    let page = text(world.app.get(&world.at(LIST.page)).await).await;
    assert!(
        page.contains("You can view this list") && !page.contains("new-todo"),
        "{page}"
    );
}
