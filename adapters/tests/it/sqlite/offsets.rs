//! Offsets of a source of messages.

use std::sync::Arc;

use super::fixture::Fixture;
use crate::offsets::check;

#[tokio::test]
async fn keeps_offsets_and_moves_them_with_the_rows() {
    let fixture = Fixture::new("");
    check(Arc::clone(&fixture.service)).await;
    let sql = "SELECT next_offset FROM Смещения WHERE consumer_group = 'группа' ORDER BY 1";
    assert_eq!(fixture.ask(sql), ["1", "8", "10"]);
}
