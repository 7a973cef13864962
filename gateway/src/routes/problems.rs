//! `GET /problems/{kind}`: what a problem's `type` leads to.

use axum::extract::Request;

use crate::error::{Kind, Problem};
use crate::path;

/// Describes a kind of problem, for people.
///
/// # Errors
/// 404 for one that does not exist.
#[utoipa::path(
    get, path = "/problems/{kind}", tag = "health", operation_id = "describe_problem",
    params(("kind" = String, Path, description = "The last part of a problem's `type`.", example = "not-found")),
    responses((status = 200, description = "Its description.", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such kind."))
)]
pub async fn handle(request: Request) -> Result<String, Problem> {
    let (mut parts, _) = request.into_parts();
    let params = path::params(&mut parts, &()).await?;
    let kind = Kind::named(path::segment(&params, "kind")).ok_or_else(|| {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        Problem::not_found(format!("there is no such kind of problem; there are: {}", known.join(", ")))
    })?;
    Ok(format!("{} ({})\n\n{} {}\n", kind.slug(), kind.status(), kind.meaning(), kind.advice()))
}
