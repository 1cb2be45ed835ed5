//! Offsets of a source of messages.

use super::fixture::Database;
use crate::offsets::{check, check_rivals};

#[tokio::test]
async fn keeps_offsets_and_moves_them_with_the_rows() {
    let database = Database::with("").await;
    check(database.service()).await;
    check_rivals(database.service()).await;
    database.close().await;
}
