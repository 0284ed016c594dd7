//! No visitor ever gets a byte of a list that they may not see.

use super::LIST;
use crate::isolation::{play, play_at_random};

#[test]
fn visitor_gets_no_byte_of_a_list_that_they_may_not_see() {
    play_at_random(&LIST);
}

#[tokio::test]
async fn link_opens_its_list_until_it_is_revoked() {
    play(&LIST).await;
}
