//! `GET /health`: 200 while the node runs, 503 when it stops.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};

use crate::board::Board;

/// Answers whether the node runs.
#[get("/health")]
pub async fn health(board: Data<Board>) -> HttpResponse {
    if board.stopping() {
        HttpResponse::ServiceUnavailable().body("stopping\n")
    } else {
        HttpResponse::Ok().body("running\n")
    }
}
