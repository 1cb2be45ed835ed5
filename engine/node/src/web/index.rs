//! `GET /`: what there is.

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, get};

const TEXT: &str = concat!(
    "DaJet Stream ",
    env!("CARGO_PKG_VERSION"),
    "\n\n",
    "/status   the scripts, as JSON\n",
    "/metrics  the same for Prometheus\n",
    "/health   200 while the node runs, 503 when it stops\n",
);

/// Answers what there is.
#[get("/")]
pub async fn index() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .body(TEXT)
}
